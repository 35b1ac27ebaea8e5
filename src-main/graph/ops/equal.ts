import { inferBinary, mapBinary } from '../elementwise.ts';
import type { NoAttrs, Primitive } from '../types.ts';

export const equal: Primitive<NoAttrs, 2> = {
  kind: 'primitive',
  arity: 2,
  infer: (inputs) => ({ ...inferBinary(inputs), dtype: 'bool' }),
  evaluate: ([a, b], _, output) => mapBinary(a!, b!, output.shape, (x, y) => (x === y ? 1 : 0)),
  grad: 'blocked',
  onnx: (e, names) => e.node('Equal', names),
  cases: [{ inputs: [{ shape: [4], values: [1, 2, 3, 4] }, { shape: [4], values: [1, 0, 3, 5] }] }],
};

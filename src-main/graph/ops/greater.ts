import { inferBinary, mapBinary } from '../elementwise.ts';
import type { NoAttrs, Primitive } from '../types.ts';

export const greater: Primitive<NoAttrs, 2> = {
  kind: 'primitive',
  arity: 2,
  infer: (inputs) => ({ ...inferBinary(inputs), dtype: 'bool' }),
  evaluate: ([a, b], _, output) => mapBinary(a!, b!, output.shape, (x, y) => (x > y ? 1 : 0)),
  grad: 'blocked',
  onnx: (e, names) => e.node('Greater', names),
  cases: [{ inputs: [{ shape: [2, 3] }, { shape: [3] }] }],
};

import { inferBinary, mapBinary } from '../elementwise.ts';
import type { NoAttrs, Primitive } from '../types.ts';

export const mul: Primitive<NoAttrs, 2> = {
  kind: 'primitive',
  arity: 2,
  infer: inferBinary,
  evaluate: ([a, b], _, output) => mapBinary(a!, b!, output.shape, (x, y) => x * y),
  grad: (g, { dy, inputs: [a, b], wants }) => [wants(0) ? g.mul(dy, b!) : null, wants(1) ? g.mul(dy, a!) : null],
  onnx: (e, names) => e.node('Mul', names),
  cases: [
    { inputs: [{ shape: [2, 3] }, { shape: [2, 3] }] },
    { inputs: [{ shape: [2, 3, 4] }, { shape: [3, 1] }] },
    { inputs: [{ shape: [1, 4] }, { shape: [5, 1] }] },
  ],
};

import { inferBinary, mapBinary } from '../elementwise.ts';
import type { NoAttrs, Primitive } from '../types.ts';

export const sub: Primitive<NoAttrs, 2> = {
  kind: 'primitive',
  arity: 2,
  infer: inferBinary,
  evaluate: ([a, b], _, output) => mapBinary(a!, b!, output.shape, (x, y) => x - y),
  grad: (g, { dy, wants }) => [dy, wants(1) ? g.neg(dy) : null],
  onnx: (e, names) => e.node('Sub', names),
  cases: [
    { inputs: [{ shape: [2, 3] }, { shape: [2, 3] }] },
    { inputs: [{ shape: [2, 3, 4] }, { shape: [3, 1] }] },
    { inputs: [{ shape: [1, 4] }, { shape: [5, 1] }] },
  ],
};

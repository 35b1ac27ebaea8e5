import { inferBinary, mapBinary } from '../elementwise.ts';
import type { NoAttrs, Primitive } from '../types.ts';

export const div: Primitive<NoAttrs, 2> = {
  kind: 'primitive',
  arity: 2,
  infer: inferBinary,
  evaluate: ([a, b], _, output) => mapBinary(a!, b!, output.shape, (x, y) => x / y),
  grad: (g, { dy, inputs: [, b], output, wants }) => [
    wants(0) ? g.div(dy, b!) : null,
    wants(1) ? g.neg(g.div(g.mul(dy, output), b!)) : null,
  ],
  onnx: (e, names) => e.node('Div', names),
  cases: [
    { inputs: [{ shape: [2, 3] }, { shape: [2, 3], range: [0.4, 2] }] },
    { inputs: [{ shape: [2, 3, 4] }, { shape: [3, 1], range: [0.4, 2] }] },
    { inputs: [{ shape: [1, 4] }, { shape: [5, 1], range: [0.4, 2] }] },
  ],
};

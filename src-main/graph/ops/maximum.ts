import { inferBinary, mapBinary } from '../elementwise.ts';
import type { NoAttrs, Primitive } from '../types.ts';

export const maximum: Primitive<NoAttrs, 2> = {
  kind: 'primitive',
  arity: 2,
  infer: inferBinary,
  evaluate: ([a, b], _, output) => mapBinary(a!, b!, output.shape, Math.max),
  grad: (g, { dy, inputs: [a, b] }) => {
    const zero = g.scalar(0, dy.dtype);
    const first = g.greater(a!, b!);
    return [g.where(first, dy, zero), g.where(first, zero, dy)];
  },
  onnx: (e, names) => e.node('Max', names),
  cases: [
    { inputs: [{ shape: [2, 3] }, { shape: [2, 3] }] },
    { inputs: [{ shape: [2, 3, 4] }, { shape: [3, 1] }] },
    { inputs: [{ shape: [1, 4] }, { shape: [5, 1] }] },
  ],
};

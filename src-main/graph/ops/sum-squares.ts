import type { Composite } from '../types.ts';

/** Sum of squares over `axes`. */
export const sumSquares: Composite<{ readonly axes: readonly number[]; readonly keep: boolean }, 1> = {
  kind: 'composite',
  arity: 1,
  body: (g, [x], attrs) => g.reduceSum(g.mul(x!, x!), attrs),
  // On the CPU, ONNX Runtime's own operation is fast over all axes only: over some of them the body takes a quarter of its time.
  onnx: (e, names, { inputs: [x], attrs }) =>
    (e.device === 'cpu' && attrs.axes.length < x!.shape.length ? null : e.node('ReduceSumSquare', [names[0]!, e.ints(attrs.axes)], { keepdims: attrs.keep ? 1 : 0 })),
  cases: [
    { inputs: [{ shape: [2, 3, 4] }], attrs: { axes: [0, 2], keep: true } },
    { inputs: [{ shape: [2, 3, 4] }], attrs: { axes: [0, 1, 2], keep: false } },
  ],
};

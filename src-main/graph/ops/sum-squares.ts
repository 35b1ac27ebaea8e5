import type { Composite } from '../types.ts';

/** Sum of squares over `axes`. */
export const sumSquares: Composite<{ readonly axes: readonly number[]; readonly keep: boolean }, 1> = {
  kind: 'composite',
  arity: 1,
  body: (g, [x], attrs) => g.reduceSum(g.mul(x!, x!), attrs),
  onnx: (e, names, { attrs }) => e.node('ReduceSumSquare', [names[0]!, e.ints(attrs.axes)], { keepdims: attrs.keep ? 1 : 0 }),
  cases: [{ inputs: [{ shape: [2, 3, 4] }], attrs: { axes: [0, 2], keep: true } }],
};

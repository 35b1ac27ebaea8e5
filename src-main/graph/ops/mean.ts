import type { Composite } from '../types.ts';

/** Mean over `axes`. */
export const mean: Composite<{ readonly axes: readonly number[]; readonly keep: boolean }, 1> = {
  kind: 'composite',
  arity: 1,
  body: (g, [x], attrs) => {
    const count = attrs.axes.reduce((product, axis) => product * x!.shape.at(axis)!, 1);
    return g.mul(g.reduceSum(x!, attrs), 1 / count);
  },
  onnx: (e, names, { attrs }) => e.node('ReduceMean', [names[0]!, e.ints(attrs.axes)], { keepdims: attrs.keep ? 1 : 0 }),
  cases: [{ inputs: [{ shape: [2, 3, 4] }], attrs: { axes: [0, 2], keep: true } }],
};

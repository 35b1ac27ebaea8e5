import { reduce, reducedShape } from '../elementwise.ts';
import type { Primitive } from '../types.ts';

export const reduceSum: Primitive<{ readonly axes: readonly number[]; readonly keep: boolean }, 1> = {
  kind: 'primitive',
  arity: 1,
  infer: ([x], { axes, keep }) => ({ dtype: x!.dtype, shape: reducedShape(x!.shape, axes, keep) }),
  evaluate: ([x], { axes }) => reduce(x!, axes, 0, (total, v) => total + v),
  grad: (g, { dy, inputs: [x], attrs: { axes } }) => {
    const kept = g.reshape(dy, { shape: reducedShape(x!.shape, axes, true) });
    return [g.expand(kept, { shape: x!.shape })];
  },
  onnx: (e, names, { attrs }) => e.node('ReduceSum', [names[0]!, e.ints(attrs.axes)], { keepdims: attrs.keep ? 1 : 0 }),
  cases: [
    { inputs: [{ shape: [2, 3, 4] }], attrs: { axes: [1], keep: true } },
    { inputs: [{ shape: [2, 3, 4] }], attrs: { axes: [0, 2], keep: false } },
  ],
};

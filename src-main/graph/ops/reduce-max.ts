import { reduce, reducedShape } from '../elementwise.ts';
import type { Primitive } from '../types.ts';

/** Largest element. Used for stability (softmax), where it is a constant for differentiation. */
export const reduceMax: Primitive<{ readonly axes: readonly number[]; readonly keep: boolean }, 1> = {
  kind: 'primitive',
  arity: 1,
  infer: ([x], { axes, keep }) => ({ dtype: x!.dtype, shape: reducedShape(x!.shape, axes, keep) }),
  evaluate: ([x], { axes }) => reduce(x!, axes, -Infinity, Math.max),
  grad: 'blocked',
  onnx: (e, names, { attrs }) => e.node('ReduceMax', [names[0]!, e.ints(attrs.axes)], { keepdims: attrs.keep ? 1 : 0 }),
  cases: [{ inputs: [{ shape: [3, 4] }], attrs: { axes: [1], keep: true } }],
};

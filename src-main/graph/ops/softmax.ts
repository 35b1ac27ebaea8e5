import type { Composite, NoAttrs } from '../types.ts';

/** Softmax over the last axis. */
export const softmax: Composite<NoAttrs, 1> = {
  kind: 'composite',
  arity: 1,
  body: (g, [x]) => {
    const last = { axes: [x!.shape.length - 1], keep: true };
    const weights = g.exp(g.sub(x!, g.reduceMax(x!, last)));
    return g.div(weights, g.reduceSum(weights, last));
  },
  grad: (g, { dy, output }) => {
    const product = g.mul(dy, output);
    const total = g.reduceSum(product, { axes: [dy.shape.length - 1], keep: true });
    return [g.mul(output, g.sub(dy, total))];
  },
  onnx: (e, names) => e.node('Softmax', names, { axis: -1 }),
  cases: [{ inputs: [{ shape: [2, 3, 5], range: [-3, 3] }] }],
};

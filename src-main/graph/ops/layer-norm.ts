import type { Composite } from '../types.ts';

/** Normalises the last axis of x to mean 0 and variance 1, then scales by gamma[D] and shifts by beta[D]. */
export const layerNorm: Composite<{ readonly eps: number }, 3> = {
  kind: 'composite',
  arity: 3,
  tolerance: 1e-4,
  body: (g, [x, gamma, beta], { eps }) => {
    const last = { axes: [x!.shape.length - 1], keep: true };
    const centred = g.sub(x!, g.mean(x!, last));
    const deviation = g.sqrt(g.add(g.mean(g.mul(centred, centred), last), eps));
    return g.add(g.mul(g.div(centred, deviation), gamma!), beta!);
  },
  // With n the normalised x and d = dy·gamma: dx = (d − mean(d) − n·mean(d·n)) / deviation. Only x is kept.
  grad: (g, { dy, inputs: [x, gamma], attrs: { eps }, wants }) => {
    const last = { axes: [x!.shape.length - 1], keep: true };
    const centred = g.sub(x!, g.mean(x!, last));
    const scale = g.reciprocal(g.sqrt(g.add(g.mean(g.mul(centred, centred), last), eps)));
    const normal = g.mul(centred, scale);
    const d = g.mul(dy, gamma!);
    const inner = g.sub(g.sub(d, g.mean(d, last)), g.mul(normal, g.mean(g.mul(d, normal), last)));
    return [wants(0) ? g.mul(inner, scale) : null, wants(1) ? g.mul(dy, normal) : null, dy];
  },
  onnx: (e, names, { attrs }) => e.node('LayerNormalization', names, { axis: -1, epsilon: { float: attrs.eps } }),
  cases: [{ inputs: [{ shape: [2, 3, 8] }, { shape: [8] }, { shape: [8] }], attrs: { eps: 1e-5 } }],
};

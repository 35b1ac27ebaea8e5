import type { Builder } from '../builder.ts';
import type { Composite, Value } from '../types.ts';

/**
 * Normalises each group of channels of x[N,C,...] over its channels and positions, then scales and shifts channels
 * by gamma[C] and beta[C].
 */
export const groupNorm: Composite<{ readonly groups: number; readonly eps: number }, 3> = {
  kind: 'composite',
  arity: 3,
  tolerance: 1e-4,
  body: (g, [x, gamma, beta], { groups, eps }) => {
    const grouped = split(g, x!, groups);
    const rest = { axes: [2], keep: true };
    const centred = g.sub(grouped, g.mean(grouped, rest));
    const deviation = g.sqrt(g.add(g.mean(g.mul(centred, centred), rest), eps));
    const normal = g.reshape(g.div(centred, deviation), { shape: x!.shape });
    return g.add(g.mul(normal, channels(g, gamma!, x!)), channels(g, beta!, x!));
  },
  // The same formula as for the layer norm, over groups: dx = (d − mean(d) − n·mean(d·n)) / deviation, d = dy·gamma.
  grad: (g, { dy, inputs: [x, gamma], attrs: { groups, eps }, wants }) => {
    const rest = { axes: [2], keep: true };
    const grouped = split(g, x!, groups);
    const centred = g.sub(grouped, g.mean(grouped, rest));
    const scale = g.reciprocal(g.sqrt(g.add(g.mean(g.mul(centred, centred), rest), eps)));
    const normal = g.mul(centred, scale);
    const d = split(g, g.mul(dy, channels(g, gamma!, x!)), groups);
    const inner = g.sub(g.sub(d, g.mean(d, rest)), g.mul(normal, g.mean(g.mul(d, normal), rest)));
    const positions = [0, ...x!.shape.slice(2).map((_, i) => i + 2)];
    const perChannel = (value: Value): Value => g.reduceSum(value, { axes: positions, keep: false });
    return [
      wants(0) ? g.reshape(g.mul(inner, scale), { shape: x!.shape }) : null,
      wants(1) ? perChannel(g.mul(dy, g.reshape(normal, { shape: x!.shape }))) : null,
      wants(2) ? perChannel(dy) : null,
    ];
  },
  onnx: (e, [x, gamma, beta], { inputs: [type], attrs: { groups, eps } }) => {
    const { shape, dtype } = type!;
    const grouped = e.node('Reshape', [x!, e.ints([shape[0]!, groups, -1])]);
    const ones = e.node('Expand', [e.scalar(1, dtype), e.ints([groups])]);
    const zeros = e.node('Expand', [e.scalar(0, dtype), e.ints([groups])]);
    const normal = e.node('InstanceNormalization', [grouped, ones, zeros], { epsilon: { float: eps } });
    const columns = e.ints([1, shape[1]!, ...shape.slice(2).map(() => 1)]);
    const scaled = e.node('Mul', [e.node('Reshape', [normal, e.ints(shape)]), e.node('Reshape', [gamma!, columns])]);
    return e.node('Add', [scaled, e.node('Reshape', [beta!, columns])]);
  },
  cases: [{ inputs: [{ shape: [2, 6, 3, 2] }, { shape: [6] }, { shape: [6] }], attrs: { groups: 3, eps: 1e-5 } }],
};

const split = (g: Builder, x: Value, groups: number): Value => g.reshape(x, { shape: [x.shape[0]!, groups, x.shape.slice(1).reduce((a, b) => a * b, 1) / groups] });

/** A vector over channels, shaped to broadcast over x[N,C,...]. */
const channels = (g: Builder, vector: Value, x: Value): Value =>
  g.reshape(vector, { shape: [1, x.shape[1]!, ...x.shape.slice(2).map(() => 1)] });

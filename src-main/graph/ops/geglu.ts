import type { Composite, NoAttrs } from '../types.ts';

/** hidden·gelu(gate), of one shape (Shazeer 2020, arXiv 2002.05202). */
export const geglu: Composite<NoAttrs, 2> = {
  kind: 'composite',
  arity: 2,
  body: (g, [hidden, gate]) => g.mul(hidden!, g.gelu(gate!)),
  // From the inputs alone, so that nothing else is kept. With t = gate/√2: Φ(gate) = (1 + erf t)/2 and gate·φ(gate) = t·exp(-t²)/√π.
  grad: (g, { dy, inputs: [hidden, gate] }) => {
    const t = g.mul(gate!, Math.SQRT1_2);
    const cdf = g.mul(g.add(g.erf(t), 1), 0.5);
    const slope = g.add(cdf, g.mul(t, g.exp(g.sub(-0.5 * Math.log(Math.PI), g.mul(t, t)))));
    return [g.mul(dy, g.mul(gate!, cdf)), g.mul(g.mul(dy, hidden!), slope)];
  },
  cases: [{ inputs: [{ shape: [2, 3, 4], range: [-3, 3] }, { shape: [2, 3, 4], range: [-3, 3] }] }],
};

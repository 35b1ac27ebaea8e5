import type { Composite, NoAttrs } from '../types.ts';

/** x·Φ(x) with the exact normal distribution function. */
export const gelu: Composite<NoAttrs, 1> = {
  kind: 'composite',
  arity: 1,
  body: (g, [x]) => g.mul(g.mul(x!, 0.5), g.add(g.erf(g.mul(x!, Math.SQRT1_2)), 1)),
  // d/dx = Φ(x) + x·φ(x)
  grad: (g, { dy, inputs: [x] }) => {
    const cdf = g.mul(g.add(g.erf(g.mul(x!, Math.SQRT1_2)), 1), 0.5);
    const density = g.mul(g.exp(g.mul(g.mul(x!, x!), -0.5)), 1 / Math.sqrt(2 * Math.PI));
    return [g.mul(dy, g.add(cdf, g.mul(x!, density)))];
  },
  onnx: (e, names) => e.node('Gelu', names, { approximate: 'none' }),
  cases: [{ inputs: [{ shape: [3, 5], range: [-4, 4] }] }],
};

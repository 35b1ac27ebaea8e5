import type { Composite, NoAttrs } from '../types.ts';



/** x[...,2D] as hidden and gate, side by side -> hidden·gelu(gate), [...,D] (Shazeer 2020, arXiv 2002.05202). */
export const geglu: Composite<NoAttrs, 1> = {
  kind: 'composite',
  arity: 1,
  body: (g, [x]) => {
    const half = x!.shape.at(-1)! / 2;
    const sizes = [...x!.shape.slice(0, -1), half];
    const starts = sizes.map(() => 0);
    const hidden = g.slice(x!, { starts, sizes });
    const gate = g.slice(x!, { starts: [...starts.slice(0, -1), half], sizes });
    return g.mul(hidden, g.gelu(gate));
  },
  // Both halves of the gradient are written side by side; slices would be padded and added up.
  grad: (g, { dy, inputs: [x] }) => {
    const half = x!.shape.at(-1)! / 2;
    const sizes = [...x!.shape.slice(0, -1), half];
    const starts = sizes.map(() => 0);
    const hidden = g.slice(x!, { starts, sizes });
    const gate = g.slice(x!, { starts: [...starts.slice(0, -1), half], sizes });
    const cdf = g.mul(g.add(g.erf(g.mul(gate, Math.SQRT1_2)), 1), 0.5);
    const density = g.mul(g.exp(g.mul(g.mul(gate, gate), -0.5)), 1 / Math.sqrt(2 * Math.PI));
    const slope = g.add(cdf, g.mul(gate, density));
    return [g.concat([g.mul(dy, g.mul(gate, cdf)), g.mul(dy, g.mul(hidden, slope))], { axis: sizes.length - 1 })];
  },
  cases: [{ inputs: [{ shape: [2, 3, 8], range: [-3, 3] }] }],
};

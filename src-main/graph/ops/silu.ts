import type { Composite, NoAttrs } from '../types.ts';

/** x·sigmoid(x), also called swish. */
export const silu: Composite<NoAttrs, 1> = {
  kind: 'composite',
  arity: 1,
  body: (g, [x]) => g.mul(x!, g.sigmoid(x!)),
  // d/dx = s + y·(1 − s), with s recomputed so that only x is kept.
  grad: (g, { dy, inputs: [x], output }) => {
    const s = g.sigmoid(x!);
    return [g.mul(dy, g.add(s, g.mul(output, g.sub(1, s))))];
  },
  onnx: (e, names) => e.node('QuickGelu', names, { alpha: { float: 1 } }, 'com.microsoft'),
  cases: [{ inputs: [{ shape: [3, 5], range: [-4, 4] }] }],
};

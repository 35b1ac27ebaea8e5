import type { Composite, NoAttrs } from '../types.ts';

const ALPHA = 1.702;

/** x·sigmoid(1.702·x): the activation of OpenAI's CLIP. */
export const quickGelu: Composite<NoAttrs, 1> = {
  kind: 'composite',
  arity: 1,
  body: (g, [x]) => g.mul(x!, g.sigmoid(g.mul(x!, ALPHA))),
  onnx: (e, names) => e.node('QuickGelu', names, { alpha: { float: ALPHA } }, 'com.microsoft'),
  cases: [{ inputs: [{ shape: [3, 5], range: [-4, 4] }] }],
};

import { inferSame } from '../elementwise.ts';
import type { NoAttrs, Primitive } from '../types.ts';

/** The value itself, as a constant for differentiation (DoRA's norm, paper section 4.3). */
export const detach: Primitive<NoAttrs, 1> = {
  kind: 'primitive',
  arity: 1,
  infer: inferSame,
  evaluate: ([x]) => x!.data.slice(),
  grad: 'blocked',
  onnx: (_, names) => names[0]!,
  cases: [{ inputs: [{ shape: [2, 3] }] }],
};

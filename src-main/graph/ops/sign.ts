import { inferSame, mapUnary } from '../elementwise.ts';
import type { NoAttrs, Primitive } from '../types.ts';

export const sign: Primitive<NoAttrs, 1> = {
  kind: 'primitive',
  arity: 1,
  infer: inferSame,
  evaluate: ([x]) => mapUnary(x!, Math.sign),
  grad: 'blocked',
  onnx: (e, names) => e.node('Sign', names),
  cases: [{ inputs: [{ shape: [2, 5] }] }],
};

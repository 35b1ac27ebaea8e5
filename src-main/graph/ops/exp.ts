import { inferSame, mapUnary } from '../elementwise.ts';
import type { NoAttrs, Primitive } from '../types.ts';

export const exp: Primitive<NoAttrs, 1> = {
  kind: 'primitive',
  arity: 1,
  infer: inferSame,
  evaluate: ([x]) => mapUnary(x!, Math.exp),
  grad: (g, { dy, output }) => [g.mul(dy, output)],
  onnx: (e, names) => e.node('Exp', names),
  cases: [{ inputs: [{ shape: [2, 5] }] }],
};

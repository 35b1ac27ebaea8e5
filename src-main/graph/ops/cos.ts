import { inferSame, mapUnary } from '../elementwise.ts';
import type { NoAttrs, Primitive } from '../types.ts';

export const cos: Primitive<NoAttrs, 1> = {
  kind: 'primitive',
  arity: 1,
  infer: inferSame,
  evaluate: ([x]) => mapUnary(x!, Math.cos),
  grad: (g, { dy, inputs: [x] }) => [g.neg(g.mul(dy, g.sin(x!)))],
  onnx: (e, names) => e.node('Cos', names),
  cases: [{ inputs: [{ shape: [2, 5] }] }],
};

import { inferSame, mapUnary } from '../elementwise.ts';
import type { NoAttrs, Primitive } from '../types.ts';

export const reciprocal: Primitive<NoAttrs, 1> = {
  kind: 'primitive',
  arity: 1,
  infer: inferSame,
  evaluate: ([x]) => mapUnary(x!, (v) => 1 / v),
  grad: (g, { dy, output }) => [g.neg(g.mul(dy, g.mul(output, output)))],
  onnx: (e, names) => e.node('Reciprocal', names),
  cases: [{ inputs: [{ shape: [2, 5], range: [0.3, 3] }] }],
};

import { inferSame, mapUnary } from '../elementwise.ts';
import type { NoAttrs, Primitive } from '../types.ts';

export const abs: Primitive<NoAttrs, 1> = {
  kind: 'primitive',
  arity: 1,
  infer: inferSame,
  evaluate: ([x]) => mapUnary(x!, Math.abs),
  grad: (g, { dy, inputs: [x] }) => [g.mul(dy, g.sign(x!))],
  onnx: (e, names) => e.node('Abs', names),
  cases: [{ inputs: [{ shape: [2, 5], range: [0.2, 2] }] }],
};

import { inferSame, mapUnary } from '../elementwise.ts';
import type { NoAttrs, Primitive } from '../types.ts';

export const tanh: Primitive<NoAttrs, 1> = {
  kind: 'primitive',
  arity: 1,
  infer: inferSame,
  evaluate: ([x]) => mapUnary(x!, Math.tanh),
  grad: (g, { dy, output }) => [g.mul(dy, g.sub(1, g.mul(output, output)))],
  onnx: (e, names) => e.node('Tanh', names),
  cases: [{ inputs: [{ shape: [2, 5] }] }],
};

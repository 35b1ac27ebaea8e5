import { inferSame, mapUnary } from '../elementwise.ts';
import type { NoAttrs, Primitive } from '../types.ts';

export const sigmoid: Primitive<NoAttrs, 1> = {
  kind: 'primitive',
  arity: 1,
  infer: inferSame,
  evaluate: ([x]) => mapUnary(x!, (v) => 1 / (1 + Math.exp(-v))),
  grad: (g, { dy, output }) => [g.mul(dy, g.mul(output, g.sub(1, output)))],
  onnx: (e, names) => e.node('Sigmoid', names),
  cases: [{ inputs: [{ shape: [2, 5] }] }],
};

import { inferSame, mapUnary } from '../elementwise.ts';
import type { NoAttrs, Primitive } from '../types.ts';

export const sqrt: Primitive<NoAttrs, 1> = {
  kind: 'primitive',
  arity: 1,
  infer: inferSame,
  evaluate: ([x]) => mapUnary(x!, Math.sqrt),
  grad: (g, { dy, output }) => [g.div(g.mul(dy, 0.5), output)],
  onnx: (e, names) => e.node('Sqrt', names),
  cases: [{ inputs: [{ shape: [2, 5], range: [0.3, 3] }] }],
};

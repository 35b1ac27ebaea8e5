import { inferSame, mapUnary } from '../elementwise.ts';
import type { NoAttrs, Primitive } from '../types.ts';

export const log: Primitive<NoAttrs, 1> = {
  kind: 'primitive',
  arity: 1,
  infer: inferSame,
  evaluate: ([x]) => mapUnary(x!, Math.log),
  grad: (g, { dy, inputs: [x] }) => [g.div(dy, x!)],
  onnx: (e, names) => e.node('Log', names),
  cases: [{ inputs: [{ shape: [2, 5], range: [0.3, 3] }] }],
};

import { inferSame, mapUnary } from '../elementwise.ts';
import type { NoAttrs, Primitive } from '../types.ts';

export const neg: Primitive<NoAttrs, 1> = {
  kind: 'primitive',
  arity: 1,
  infer: inferSame,
  evaluate: ([x]) => mapUnary(x!, (v) => -v),
  grad: (g, { dy }) => [g.neg(dy)],
  onnx: (e, names) => e.node('Neg', names),
  cases: [{ inputs: [{ shape: [2, 5] }] }],
};

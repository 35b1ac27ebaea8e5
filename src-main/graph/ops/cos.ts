import { inferSame, mapUnary } from '../elementwise.ts';
import { lowerSine } from '../sine.ts';
import type { NoAttrs, Primitive } from '../types.ts';

export const cos: Primitive<NoAttrs, 1> = {
  kind: 'primitive',
  arity: 1,
  infer: inferSame,
  evaluate: ([x]) => mapUnary(x!, Math.cos),
  grad: (g, { dy, inputs: [x] }) => [g.neg(g.mul(dy, g.sin(x!)))],
  onnx: (e, [x], context) => lowerSine(e, x!, context, 'Cos'),
  cases: [{ inputs: [{ shape: [2, 5] }] }, { inputs: [{ shape: [3, 9], range: [-12, 12] }] }],
};

import { inferSame, mapUnary } from '../elementwise.ts';
import { lowerSine } from '../sine.ts';
import type { NoAttrs, Primitive } from '../types.ts';

export const sin: Primitive<NoAttrs, 1> = {
  kind: 'primitive',
  arity: 1,
  infer: inferSame,
  evaluate: ([x]) => mapUnary(x!, Math.sin),
  grad: (g, { dy, inputs: [x] }) => [g.mul(dy, g.cos(x!))],
  onnx: (e, [x], context) => lowerSine(e, x!, context, 'Sin'),
  cases: [{ inputs: [{ shape: [2, 5] }] }, { inputs: [{ shape: [3, 9], range: [-12, 12] }] }],
};

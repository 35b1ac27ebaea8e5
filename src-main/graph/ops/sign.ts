import { inferSame, mapUnary } from '../elementwise.ts';
import type { NoAttrs, Primitive } from '../types.ts';

export const sign: Primitive<NoAttrs, 1> = {
  kind: 'primitive',
  arity: 1,
  infer: inferSame,
  evaluate: ([x]) => mapUnary(x!, Math.sign),
  grad: 'blocked',
  onnx: (e, names, { output: { dtype } }) => {
    if (e.device !== 'webgpu') return e.node('Sign', names);
    // The WebGPU provider has no Sign.
    const zero = e.scalar(0, dtype);
    const test = (opType: string): string => e.node('Cast', [e.node(opType, [names[0]!, zero])], { to: dtype === 'f16' ? 10 : 1 });
    return e.node('Sub', [test('Greater'), test('Less')]);
  },
  cases: [{ inputs: [{ shape: [2, 5] }] }, { inputs: [{ shape: [4], values: [-2, 0, 3, -0.5] }] }],
};

import { stridesOf } from '../../base/shape.ts';
import type { Primitive } from '../types.ts';

/** Zeros around x; `before` and `after` have one entry per axis. */
export const pad: Primitive<{ readonly before: readonly number[]; readonly after: readonly number[] }, 1> = {
  kind: 'primitive',
  arity: 1,
  infer: ([x], { before, after }) => ({
    dtype: x!.dtype,
    shape: x!.shape.map((extent, axis) => before[axis]! + extent + after[axis]!),
  }),
  evaluate: ([x], { before }, output) => {
    const strides = stridesOf(x!.shape);
    const outStrides = stridesOf(output.shape);
    const out = new Float64Array(output.shape.reduce((a, b) => a * b, 1));
    x!.data.forEach((value, i) => {
      let offset = 0;
      x!.shape.forEach((extent, axis) => (offset += ((Math.floor(i / strides[axis]!) % extent) + before[axis]!) * outStrides[axis]!));
      out[offset] = value;
    });
    return out;
  },
  grad: (g, { dy, inputs: [x], attrs: { before } }) => [g.slice(dy, { starts: before, sizes: x!.shape })],
  onnx: (e, names, { attrs: { before, after } }) =>
    before.every((n) => n === 0) && after.every((n) => n === 0) ? names[0]! : e.node('Pad', [names[0]!, e.ints([...before, ...after])], { mode: 'constant' }),
  cases: [{ inputs: [{ shape: [2, 3] }], attrs: { before: [1, 0], after: [0, 2] } }],
};

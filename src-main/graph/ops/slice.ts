import { assert } from '../../base/errors.ts';
import { stridesOf } from '../../base/shape.ts';
import type { Primitive } from '../types.ts';

export interface SliceAttrs {
  readonly [key: string]: readonly number[] | undefined;
  /** First element, one per axis. */
  readonly starts: readonly number[];
  /** Extent of the result, one per axis. */
  readonly sizes: readonly number[];
  /** Distance between elements taken, one per axis; 1 when absent. */
  readonly steps?: readonly number[];
}

export const slice: Primitive<SliceAttrs, 1> = {
  kind: 'primitive',
  arity: 1,
  infer: ([x], { starts, sizes, steps }) => {
    assert(starts.length === x!.shape.length && sizes.length === starts.length, 'slice needs one start and size per axis');
    sizes.forEach((size, axis) => {
      const last = starts[axis]! + (size - 1) * (steps?.[axis] ?? 1);
      assert(starts[axis]! >= 0 && size > 0 && last < x!.shape[axis]!, `slice leaves axis ${axis}`);
    });
    return { dtype: x!.dtype, shape: sizes };
  },
  evaluate: ([x], { starts, steps }, output) => {
    const strides = stridesOf(x!.shape);
    const outStrides = stridesOf(output.shape);
    const out = new Float64Array(output.shape.reduce((a, b) => a * b, 1));
    for (let i = 0; i < out.length; i++) {
      let offset = 0;
      output.shape.forEach((extent, axis) => {
        const index = Math.floor(i / outStrides[axis]!) % extent;
        offset += (starts[axis]! + index * (steps?.[axis] ?? 1)) * strides[axis]!;
      });
      out[i] = x!.data[offset]!;
    }
    return out;
  },
  grad: (g, { dy, inputs: [x], attrs: { starts, sizes, steps } }) => {
    // A strided slice is un-strided by spreading: [n] -> [n, step], of which only the first column is dy.
    let spread = dy;
    sizes.forEach((size, axis) => {
      const step = steps?.[axis] ?? 1;
      if (step === 1 || size === 1) return;
      const shape = [...spread.shape];
      const wide = g.reshape(spread, { shape: [...shape.slice(0, axis + 1), 1, ...shape.slice(axis + 1)] });
      const zeros = new Array<number>(wide.shape.length).fill(0);
      const padded = g.pad(wide, { before: zeros, after: zeros.map((_, a) => (a === axis + 1 ? step - 1 : 0)) });
      const flat = g.reshape(padded, { shape: shape.map((extent, a) => (a === axis ? extent * step : extent)) });
      const cut = flat.shape.map((extent, a) => (a === axis ? (size - 1) * step + 1 : extent));
      spread = g.slice(flat, { starts: shape.map(() => 0), sizes: cut });
    });
    const after = x!.shape.map((extent, axis) => extent - starts[axis]! - spread.shape[axis]!);
    return [g.pad(spread, { before: starts, after })];
  },
  onnx: (e, names, { inputs: [x], attrs: { starts, sizes, steps } }) => {
    const axes = sizes.flatMap((size, axis) => (size === x!.shape[axis] ? [] : [axis]));
    if (axes.length === 0) return names[0]!;
    const step = (axis: number): number => steps?.[axis] ?? 1;
    return e.node('Slice', [
      names[0]!,
      e.ints(axes.map((axis) => starts[axis]!)),
      e.ints(axes.map((axis) => starts[axis]! + (sizes[axis]! - 1) * step(axis) + 1)),
      e.ints(axes),
      e.ints(axes.map(step)),
    ]);
  },
  cases: [
    { inputs: [{ shape: [4, 5] }], attrs: { starts: [1, 0], sizes: [2, 5] } },
    { inputs: [{ shape: [7, 6] }], attrs: { starts: [1, 1], sizes: [3, 2], steps: [2, 3] } },
  ],
};

import { sizeOf } from '../../base/shape.ts';
import type { Composite } from '../types.ts';

/**
 * Gradient of gather: x[..., D] summed into the rows of [rows, D] that indices[...] (i64) name.
 * A product with the one-hot matrix of the indices, because scattered addition with repeated rows is neither
 * deterministic nor available on every device.
 */
export const scatterRows: Composite<{ readonly rows: number }, 2> = {
  kind: 'composite',
  arity: 2,
  body: (g, [x, indices], { rows }) => {
    const width = x!.shape.at(-1)!;
    const count = indices!.shape.reduce((a, b) => a * b, 1);
    const columns = g.constant(Array.from({ length: rows }, (_, row) => row), [1, rows], 'i64');
    const oneHot = g.cast(g.equal(g.reshape(indices!, { shape: [count, 1] }), columns), { to: x!.dtype });
    return g.matmul(oneHot, g.reshape(x!, { shape: [count, width] }), { transA: true });
  },
  grad: (g, { dy, inputs: [, indices] }) => [g.gather(dy, indices!), null],
  // The WebGPU provider takes i64 as indices and for nothing else: a table turns them into f32, exact below 2^24.
  onnx: (e, [x, indices], { inputs: [xType, indexType], output: { dtype }, attrs: { rows } }) => {
    if (e.device !== 'webgpu') return null;
    const count = sizeOf(indexType!.shape);
    const numbers = e.node('Range', [e.scalar(0, 'f32'), e.scalar(rows, 'f32'), e.scalar(1, 'f32')]);
    const named = e.node('Reshape', [e.node('Gather', [numbers, indices!], { axis: 0 }), e.ints([count, 1])]);
    const oneHot = e.node('Cast', [e.node('Equal', [named, numbers])], { to: dtype === 'f16' ? 10 : 1 });
    return e.node('Gemm', [oneHot, e.node('Reshape', [x!, e.ints([count, xType!.shape.at(-1)!])])], { transA: 1 });
  },
  cases: [
    {
      inputs: [{ shape: [4, 3] }, { shape: [4], dtype: 'i64', values: [4, 0, 1, 4], fixed: true }],
      attrs: { rows: 5 },
    },
  ],
};

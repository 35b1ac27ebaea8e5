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
  cases: [
    {
      inputs: [{ shape: [4, 3] }, { shape: [4], dtype: 'i64', values: [4, 0, 1, 4], fixed: true }],
      attrs: { rows: 5 },
    },
  ],
};

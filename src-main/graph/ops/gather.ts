import { assert } from '../../base/errors.ts';
import { sizeOf } from '../../base/shape.ts';
import type { Primitive } from '../types.ts';

/** Rows of table[V, D] at indices[...] (i64): [..., D]. */
export const gather: Primitive<Readonly<Record<never, never>>, 2> = {
  kind: 'primitive',
  arity: 2,
  infer: ([table, indices]) => {
    assert(table!.shape.length === 2 && indices!.dtype === 'i64', 'gather needs a table of rank 2 and i64 indices');
    return { dtype: table!.dtype, shape: [...indices!.shape, table!.shape[1]!] };
  },
  evaluate: ([table, indices], _, output) => {
    const width = table!.shape[1]!;
    const out = new Float64Array(sizeOf(output.shape));
    indices!.data.forEach((row, i) => out.set(table!.data.subarray(row * width, (row + 1) * width), i * width));
    return out;
  },
  grad: (g, { dy, inputs: [table, indices] }) => [g.scatterRows(dy, indices!, { rows: table!.shape[0]! }), null],
  onnx: (e, names) => e.node('Gather', names, { axis: 0 }),
  cases: [{ inputs: [{ shape: [5, 3] }, { shape: [2, 2], dtype: 'i64', values: [4, 0, 1, 4], fixed: true }] }],
};

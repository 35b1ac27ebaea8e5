import { assert } from '../../base/errors.ts';
import { sizeOf } from '../../base/shape.ts';
import { sameDType } from '../elementwise.ts';
import type { Primitive } from '../types.ts';

export const concat: Primitive<{ readonly axis: number }, 'many'> = {
  kind: 'primitive',
  arity: 'many',
  infer: (inputs, { axis }) => {
    const first = inputs[0]!.shape;
    for (const { shape } of inputs) {
      assert(shape.length === first.length && shape.every((extent, a) => a === axis || extent === first[a]), 'concat shapes differ');
    }
    const total = inputs.reduce((sum, { shape }) => sum + shape[axis]!, 0);
    return { dtype: sameDType(inputs), shape: first.map((extent, a) => (a === axis ? total : extent)) };
  },
  evaluate: (inputs, { axis }, output) => {
    const out = new Float64Array(sizeOf(output.shape));
    const rows = sizeOf(output.shape.slice(0, axis));
    const rowLength = sizeOf(output.shape.slice(axis));
    let start = 0;
    for (const x of inputs) {
      const length = sizeOf(x.shape.slice(axis));
      for (let row = 0; row < rows; row++) out.set(x.data.subarray(row * length, (row + 1) * length), row * rowLength + start);
      start += length;
    }
    return out;
  },
  grad: (g, { dy, inputs, attrs: { axis }, wants }) => {
    let start = 0;
    return inputs.map((x, i) => {
      const starts = x.shape.map((_, a) => (a === axis ? start : 0));
      start += x.shape[axis]!;
      return wants(i) ? g.slice(dy, { starts, sizes: x.shape }) : null;
    });
  },
  onnx: (e, names, { attrs }) => e.node('Concat', names, { axis: attrs.axis }),
  cases: [
    { inputs: [{ shape: [2, 3] }, { shape: [2, 1] }, { shape: [2, 2] }], attrs: { axis: 1 } },
    { inputs: [{ shape: [1, 3] }, { shape: [2, 3] }], attrs: { axis: 0 } },
  ],
};

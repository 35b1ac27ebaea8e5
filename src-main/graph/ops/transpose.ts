import { assert } from '../../base/errors.ts';
import { stridesOf } from '../../base/shape.ts';
import type { Primitive } from '../types.ts';

/** Axis i of the result is axis `perm[i]` of x. */
export const transpose: Primitive<{ readonly perm: readonly number[] }, 1> = {
  kind: 'primitive',
  arity: 1,
  infer: ([x], { perm }) => {
    assert([...perm].sort((a, b) => a - b).every((axis, i) => axis === i) && perm.length === x!.shape.length, `bad perm ${perm.join(',')}`);
    return { dtype: x!.dtype, shape: perm.map((axis) => x!.shape[axis]!) };
  },
  evaluate: ([x], { perm }, output) => {
    const strides = stridesOf(x!.shape);
    const outStrides = stridesOf(output.shape);
    return new Float64Array(x!.data.length).map((_, i) => {
      let offset = 0;
      perm.forEach((axis, k) => (offset += (Math.floor(i / outStrides[k]!) % output.shape[k]!) * strides[axis]!));
      return x!.data[offset]!;
    });
  },
  grad: (g, { dy, attrs: { perm } }) => {
    const inverse = perm.map((_, axis) => perm.indexOf(axis));
    return [g.transpose(dy, { perm: inverse })];
  },
  onnx: (e, names, { attrs }) => e.node('Transpose', names, { perm: attrs.perm }),
  cases: [{ inputs: [{ shape: [2, 3, 4] }], attrs: { perm: [2, 0, 1] } }],
};

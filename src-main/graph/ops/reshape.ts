import { assert } from '../../base/errors.ts';
import { showShape, sizeOf, type Shape } from '../../base/shape.ts';
import type { Primitive } from '../types.ts';

export const reshape: Primitive<{ readonly shape: Shape }, 1> = {
  kind: 'primitive',
  arity: 1,
  infer: ([x], { shape }) => {
    assert(sizeOf(x!.shape) === sizeOf(shape), `${showShape(x!.shape)} cannot become ${showShape(shape)}`);
    return { dtype: x!.dtype, shape };
  },
  evaluate: ([x]) => x!.data.slice(),
  grad: (g, { dy, inputs: [x] }) => [g.reshape(dy, { shape: x!.shape })],
  onnx: (e, names, { output }) => e.node('Reshape', [names[0]!, e.ints(output.shape)], { allowzero: 0 }),
  cases: [{ inputs: [{ shape: [2, 6] }], attrs: { shape: [3, 4] } }],
};

import { assert } from '../../base/errors.ts';
import { broadcastShapes, sameShape, showShape, type Shape } from '../../base/shape.ts';
import { broadcastOffsets } from '../elementwise.ts';
import type { Primitive } from '../types.ts';

/** Repeats x along axes of extent 1 (and new leading axes) to `shape`. */
export const expand: Primitive<{ readonly shape: Shape }, 1> = {
  kind: 'primitive',
  arity: 1,
  infer: ([x], { shape }) => {
    assert(sameShape(broadcastShapes(x!.shape, shape), shape), `${showShape(x!.shape)} does not expand to ${showShape(shape)}`);
    return { dtype: x!.dtype, shape };
  },
  evaluate: ([x], _, output) => Float64Array.from(broadcastOffsets(x!.shape, output.shape), (offset) => x!.data[offset]!),
  grad: (_, { dy }) => [dy],
  onnx: (e, names, { output }) => e.node('Expand', [names[0]!, e.ints(output.shape)]),
  cases: [{ inputs: [{ shape: [3, 1] }], attrs: { shape: [2, 3, 4] } }],
};

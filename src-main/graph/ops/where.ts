import { broadcastShapes } from '../../base/shape.ts';
import { broadcastOffsets, sameDType } from '../elementwise.ts';
import type { NoAttrs, Primitive } from '../types.ts';

/** condition ? a : b, element by element, with broadcasting. */
export const where: Primitive<NoAttrs, 3> = {
  kind: 'primitive',
  arity: 3,
  infer: ([condition, a, b]) => ({
    dtype: sameDType([a!, b!]),
    shape: broadcastShapes(condition!.shape, broadcastShapes(a!.shape, b!.shape)),
  }),
  evaluate: ([condition, a, b], _, output) => {
    const fromA = broadcastOffsets(a!.shape, output.shape);
    const fromB = broadcastOffsets(b!.shape, output.shape);
    const chosen = broadcastOffsets(condition!.shape, output.shape);
    return Float64Array.from(chosen, (offset, i) => (condition!.data[offset] ? a!.data[fromA[i]!]! : b!.data[fromB[i]!]!));
  },
  grad: (g, { dy, inputs: [condition] }) => {
    const zero = g.scalar(0, dy.dtype);
    return [null, g.where(condition!, dy, zero), g.where(condition!, zero, dy)];
  },
  onnx: (e, names) => e.node('Where', names),
  cases: [{ inputs: [{ shape: [2, 3], dtype: 'bool', values: [1, 0, 1, 0, 0, 1], fixed: true }, { shape: [2, 3] }, { shape: [3] }] }],
};

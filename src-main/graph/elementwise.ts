// Shared by the op files: f64 loops over broadcast operands and reductions, for the oracle only (slow and plain).
import { assert } from '../base/errors.ts';
import { broadcastShapes, normalizeAxis, showShape, sizeOf, stridesOf, type Shape } from '../base/shape.ts';
import type { NdArray, TensorType } from './types.ts';

export function sameDType(inputs: readonly TensorType[]): TensorType['dtype'] {
  const dtype = inputs[0]!.dtype;
  assert(inputs.every((input) => input.dtype === dtype), `operands have dtypes ${inputs.map((i) => i.dtype).join(', ')}`);
  return dtype;
}

export function inferBinary(inputs: readonly TensorType[]): TensorType {
  return { dtype: sameDType(inputs), shape: broadcastShapes(inputs[0]!.shape, inputs[1]!.shape) };
}

export const inferSame = (inputs: readonly TensorType[]): TensorType => ({ dtype: inputs[0]!.dtype, shape: inputs[0]!.shape });

export const mapUnary = (x: NdArray, f: (value: number) => number): Float64Array => x.data.map(f);

/** Element offsets of `part` for every element of `full` (broadcasting). */
export function broadcastOffsets(part: Shape, full: Shape): Int32Array {
  const strides = stridesOf(part);
  const shift = full.length - part.length;
  const fullStrides = stridesOf(full);
  const offsets = new Int32Array(sizeOf(full));
  for (let i = 0; i < offsets.length; i++) {
    let offset = 0;
    for (let axis = shift; axis < full.length; axis++) {
      const extent = part[axis - shift]!;
      if (extent !== 1) offset += (Math.floor(i / fullStrides[axis]!) % full[axis]!) * strides[axis - shift]!;
    }
    offsets[i] = offset;
  }
  return offsets;
}

export function mapBinary(a: NdArray, b: NdArray, shape: Shape, f: (x: number, y: number) => number): Float64Array {
  const fromA = broadcastOffsets(a.shape, shape);
  const fromB = broadcastOffsets(b.shape, shape);
  return Float64Array.from(fromA, (offset, i) => f(a.data[offset]!, b.data[fromB[i]!]!));
}

export function reducedShape(shape: Shape, axes: readonly number[], keep: boolean): number[] {
  const reduced = new Set(axes.map((axis) => normalizeAxis(axis, shape.length)));
  assert(reduced.size === axes.length, `axes ${axes.join(',')} of ${showShape(shape)} repeat`);
  return shape.flatMap((extent, axis) => (reduced.has(axis) ? (keep ? [1] : []) : [extent]));
}

export function reduce(x: NdArray, axes: readonly number[], start: number, f: (total: number, v: number) => number): Float64Array {
  const kept = reducedShape(x.shape, axes, true);
  const into = broadcastOffsets(kept, x.shape);
  const out = new Float64Array(sizeOf(kept)).fill(start);
  x.data.forEach((value, i) => (out[into[i]!] = f(out[into[i]!]!, value)));
  return out;
}

// Shapes are plain arrays of non-negative integers; all of them are static.
import { assert } from './errors.ts';

export type Shape = readonly number[];

export const sizeOf = (shape: Shape): number => shape.reduce((total, extent) => total * extent, 1);

export const sameShape = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((extent, axis) => extent === b[axis]);

export const showShape = (shape: Shape): string => `[${shape.join(',')}]`;

/** Row-major strides in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * shape[axis + 1]!;
  return strides;
}

/** NumPy broadcasting of two shapes. */
export function broadcastShapes(a: Shape, b: Shape): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const x = a[axis - rank + a.length] ?? 1;
    const y = b[axis - rank + b.length] ?? 1;
    assert(x === y || x === 1 || y === 1, `shapes ${showShape(a)} and ${showShape(b)} do not broadcast`);
    return x === 1 ? y : x;
  });
}

/** Axes of `full` along which a tensor of shape `part` was repeated by broadcasting. */
export function broadcastAxes(part: Shape, full: Shape): number[] {
  const offset = full.length - part.length;
  return full.flatMap((extent, axis) => (axis < offset || (part[axis - offset] === 1 && extent !== 1) ? [axis] : []));
}

/** `-1` counts from the end. */
export function normalizeAxis(axis: number, rank: number): number {
  const normal = axis < 0 ? axis + rank : axis;
  assert(normal >= 0 && normal < rank, `axis ${axis} is outside rank ${rank}`);
  return normal;
}

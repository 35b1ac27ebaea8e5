// Some vectors of a layer (rows, or input channels with their kernel positions) in f64, so that large layers can be looked at
// piece by piece: a DoRA weight's vector depends on the same vector of the base and of the low-rank factors alone.
// r rank, O rows, C input channels, k kernel positions
import { multiply } from '../base/linear-algebra/multiply.ts';
import { rng } from '../base/rng.ts';
import type { Shape } from '../base/shape.ts';
import type { DoraAxis } from '../catalog/define/format.ts';

export interface LayerPart {
  readonly rows: number;
  readonly channels: number;
  readonly kernel: number;
  /** Of a weight [O,C·k]. */
  takeWeight(weight: ArrayLike<number>): Float64Array;
  /** Of B·A, from A [r,C·k] and B [O,r]. */
  takeProduct(down: ArrayLike<number>, up: ArrayLike<number>, rank: number): Float64Array;
  /** Of a vector along the part's axis; one of another length is taken whole. */
  takeVector(values: ArrayLike<number>): Float64Array;
}

/** Extents of a weight [O,C] or [O,C,kh,kw]. */
export function extentsOf([rows = 1, channels = 1, ...kernel]: Shape): { rows: number; channels: number; kernel: number } {
  return { rows, channels, kernel: kernel.reduce((a, b) => a * b, 1) };
}

export function partOf(shape: Shape, axis: DoraAxis, vectors: readonly number[]): LayerPart {
  const whole = extentsOf(shape);
  const { kernel } = whole;
  const rows = axis === 'output' ? vectors.length : whole.rows;
  const channels = axis === 'input' ? vectors.length : whole.channels;
  const takeRows = (matrix: ArrayLike<number>, width: number): Float64Array => {
    const result = new Float64Array(vectors.length * width);
    vectors.forEach((row, i) => {
      for (let k = 0; k < width; k++) result[i * width + k] = matrix[row * width + k]!;
    });
    return result;
  };
  const takeChannels = (matrix: ArrayLike<number>, height: number): Float64Array => {
    const result = new Float64Array(height * channels * kernel);
    const width = whole.channels * kernel;
    for (let row = 0; row < height; row++) {
      for (let i = 0; i < channels; i++) {
        const from = row * width + vectors[i]! * kernel;
        const to = (row * channels + i) * kernel;
        for (let k = 0; k < kernel; k++) result[to + k] = matrix[from + k]!;
      }
    }
    return result;
  };
  return {
    rows, channels, kernel,
    takeWeight: (weight) => (axis === 'output' ? takeRows(weight, whole.channels * kernel) : takeChannels(weight, whole.rows)),
    takeProduct: (down, up, rank) => multiply(
      axis === 'output' ? takeRows(up, rank) : Float64Array.from(up), axis === 'output' ? Float64Array.from(down) : takeChannels(down, rank),
      rows, rank, channels * kernel,
    ),
    takeVector: (values) => (values.length === (axis === 'output' ? whole.rows : whole.channels) ? Float64Array.from(vectors, (i) => values[i]!) : Float64Array.from(values)),
  };
}

/** Elements of a part that are worked on at once. */
const AT_ONCE = 1 << 19;

/** The vectors in pieces of bounded size. */
export function* pieces(shape: Shape, axis: DoraAxis, vectors: readonly number[]): Generator<LayerPart> {
  const { rows, channels, kernel } = extentsOf(shape);
  const size = axis === 'output' ? channels * kernel : rows * kernel;
  const count = Math.max(1, Math.floor(AT_ONCE / size));
  for (let at = 0; at < vectors.length; at += count) yield partOf(shape, axis, vectors.slice(at, at + count));
}

export const allVectors = (shape: Shape, axis: DoraAxis): number[] => Array.from({ length: shape[axis === 'output' ? 0 : 1]! }, (_, i) => i);

/** Indices of as many of the vectors, spread evenly from a random start that the path gives; all when there are no more. */
export function someVectors(path: string, all: number, wanted: number): number[] {
  if (wanted >= all) return Array.from({ length: all }, (_, i) => i);
  const start = rng(0, 'proof', path).uniform();
  return Array.from({ length: wanted }, (_, i) => Math.floor(((i + start) * all) / wanted));
}

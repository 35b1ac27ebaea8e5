// A program that reads adapter files: which names it looks for, and what it makes of the tensors it finds. Exports are
// proved with this: the written tensors go through the program's own arithmetic and must give the trained weight.
import type { Shape } from '../../base/shape.ts';
import type { Beside, BesideFacts } from './beside.ts';
import type { AdapterPart, DoraAxis, NamedModel, Naming } from './format.ts';

/** One layer as it stands in a file, or some of its vectors: rows, or input channels (columns with their kernel positions). */
export interface WrittenLayer {
  /** Shape of the whole weight, [out,in] or [out,in,kh,kw]. */
  readonly shape: Shape;
  /** What is in hand: `rows` × `channels` × `kernel`, row-major. */
  readonly rows: number;
  readonly channels: number;
  readonly kernel: number;
  readonly base: Float64Array;
  /** B·A of the file, without any factor. */
  readonly product: Float64Array;
  readonly rank: number;
  /** The tensor `alpha`, if the file has it. */
  readonly alpha: number | null;
  /** With the shape in the file; values of the vectors in hand. */
  readonly magnitude: { readonly shape: Shape; readonly values: Float64Array } | null;
}

export interface ConsumerProgram {
  readonly label: string;
  readonly help: string;
  /** The kind of layout to write for it. */
  readonly naming: Naming;
  /** Axis of the magnitudes that it applies as DoRA defines them; on the other one the result is another. */
  readonly axis: DoraAxis;
  /**
   * Whether it finds a whole difference of a parameter under its layer's name (`<module>.diff` and so on); left out where it
   * reads none. `isNorm`: of a normalisation layer. Embeddings are never asked for.
   */
  readsDifference?(layer: string, part: 'weight' | 'bias', isNorm: boolean, model: NamedModel): boolean;
  /** Spellings of a layer that it looks for, in its order. */
  modulesOf(path: string, model: NamedModel): readonly string[];
  /** Endings of a layer's tensors that it looks for, the first that is there counts. */
  readonly endings: Readonly<Record<AdapterPart, readonly string[]>>;
  /** Whether it leaves a tensor out though it has such a name; left out where it takes all. */
  overlooks?(key: string): boolean;
  /** Why it would not take a file with these modules, or null. */
  refuses?(modules: readonly string[], model: NamedModel): string | null;
  /** A small file that it takes beside the adapter. */
  beside?(facts: BesideFacts): Beside | null;
  /** The weight that it computes with, [rows, channels · kernel]; null when it leaves the layer alone. */
  weight(layer: WrittenLayer, strength: number): Float64Array | null;
}

/** W + factor·B·A */
export function changed({ base, product }: WrittenLayer, factor: number): Float64Array {
  const result = base.slice();
  for (let i = 0; i < result.length; i++) result[i]! += factor * product[i]!;
  return result;
}

/** W0 + s·(W − W0), in place of W. */
export function interpolated(base: Float64Array, weight: Float64Array, strength: number): Float64Array {
  if (strength === 1) return weight;
  for (let i = 0; i < weight.length; i++) weight[i] = base[i]! + strength * (weight[i]! - base[i]!);
  return weight;
}

type Extents = Pick<WrittenLayer, 'rows' | 'channels' | 'kernel'>;

/** Norms of the rows [rows], or of the input channels [channels] over rows and kernel positions. */
export function norms(weight: Float64Array, { rows, channels, kernel }: Extents, axis: DoraAxis): Float64Array {
  const width = channels * kernel;
  const squares = new Float64Array(axis === 'output' ? rows : channels);
  for (let row = 0; row < rows; row++) {
    for (let channel = 0; channel < channels; channel++) {
      const start = row * width + channel * kernel;
      let sum = 0;
      for (let k = start; k < start + kernel; k++) sum += weight[k]! * weight[k]!;
      squares[axis === 'output' ? row : channel]! += sum;
    }
  }
  return squares.map(Math.sqrt);
}

/** Multiplies rows or input channels by `factors`, in place. */
export function scaleVectors(weight: Float64Array, { rows, channels, kernel }: Extents, axis: DoraAxis, factors: Float64Array): Float64Array {
  const width = channels * kernel;
  for (let row = 0; row < rows; row++) {
    for (let channel = 0; channel < channels; channel++) {
      const factor = factors[axis === 'output' ? row : channel]!;
      const start = row * width + channel * kernel;
      for (let k = start; k < start + kernel; k++) weight[k]! *= factor;
    }
  }
  return weight;
}

/** alpha / rank of the file; 1 without alpha. */
export const scaleOf = ({ alpha, rank }: WrittenLayer): number => (alpha === null ? 1 : alpha / rank);

// Proof of a merged model: the written files are opened again, and every changed weight is compared, in f64 and by the
// definition of the method, with what was trained. All vectors of small models, some of each layer of large ones.
import { UserError } from '../base/errors.ts';
import { decodeHalves, roundToBf16, roundToF16 } from '../base/half.ts';
import { sameShape, sizeOf, type Shape } from '../base/shape.ts';
import type { DoraAxis } from '../catalog/define/format.ts';
import { ReadAhead, type BytesToRead } from '../files/read-ahead.ts';
import type { Rows, TensorInfo, WeightFile } from '../files/weight-file.ts';
import { readParameter } from '../nn/checkpoint-parts.ts';
import type { Parameters } from '../nn/tensor-layout.ts';
import type { LayerProof } from './export-proof.ts';
import { isComputed, type FileDType } from './export-values.ts';
import { pieces, someVectors, type LayerPart } from './layer-part.ts';
import type { StoredFile } from './stored-files.ts';

/** A weight that a merged model changes, as its proof sees it. */
export interface WeightToProve {
  /** Path of the parameter: `unet.conv_in.weight`. */
  readonly path: string;
  readonly shape: Shape;
  /** Along which axis vectors do not depend on each other. */
  readonly axis: DoraAxis;
  /** Multiplications that one element of the exact weight takes. */
  readonly cost: number;
  /** The values are read once for all parts. */
  readonly exact: () => (part: LayerPart, base: Float64Array) => Float64Array;
}

export interface MergeProof {
  /** ‖written − trained‖ / ‖trained − base‖ over all weights together. */
  readonly overall: number;
  readonly worst: LayerProof | null;
  readonly layers: readonly LayerProof[];
  /** Share of the weights' vectors that were compared. */
  readonly compared: number;
}

export interface MergeProofSettings {
  readonly onProgress?: (done: number, total: number) => void;
  /** Between pieces of work; may throw to stop. */
  readonly pause?: () => Promise<void>;
}

/** Multiplications that a proof may take: half a second of one core, which is little beside writing a large model. */
const BUDGET = 2.5e8;
/** Vectors of a layer that are compared at least. Weights are merged some rows at a time: columns see all of them, rows have to be more. */
const LEAST_VECTORS: Readonly<Record<DoraAxis, number>> = { output: 16, input: 8 };
/** What f32 arithmetic may leave beside rounding to the file's element type. */
const ARITHMETIC = 4e-6;
/** Untouched tensors that are compared byte for byte, and bytes of each: all of small ones. */
const UNTOUCHED = 24;
const UNTOUCHED_BYTES = 1 << 20;

/** Where the parameters of a component are: in the base, or in what was written. */
interface Place {
  readonly file: WeightFile;
  readonly parameters: Parameters;
}

export interface PlacedWeight {
  readonly weight: WeightToProve;
  /** Null where the base has no such weight. */
  readonly base: Place | null;
  readonly written: Place;
}

/** Collects what is found in the files of one merged model. */
export class MergeProver {
  private readonly share: number;
  private readonly layers: LayerProof[] = [];
  private readonly total: number;
  private readonly settings: MergeProofSettings;
  private errors = 0;
  private changes = 0;
  private compared = 0;
  private all = 0;

  /** @param weights all that the model changes */
  constructor(weights: readonly WeightToProve[], settings: MergeProofSettings) {
    this.settings = settings;
    this.total = weights.length;
    this.share = Math.min(1, BUDGET / weights.reduce((sum, { shape, cost }) => sum + sizeOf(shape) * cost, 1));
  }

  /**
   * Compares weights in their places.
   * @param target for messages. Errors: `export.not-trained`, `files.*`
   */
  async weights(all: readonly PlacedWeight[], target: string): Promise<void> {
    const keys = all.map((one) => ({ ...one, key: one.weight.path.slice(one.weight.path.indexOf('.') + 1) }));
    const written = await ReadAhead.of(keys.flatMap(({ written: place, key }) => bytesOf(place, key)), 'the merged model');
    try {
      const base = await ReadAhead.of(keys.flatMap(({ base: place, key }) => (place ? bytesOf(place, key) : [])), 'the base model');
      try {
        for (const one of keys) await this.weight(one.weight, await elementsOf(one.written, one.key, written), one.base && await elementsOf(one.base, one.key, base), target);
      } finally {
        await base.close();
      }
    } finally {
      await written.close();
    }
  }

  private async weight({ path, shape, axis, exact }: WeightToProve, found: Elements, own: Elements | null, target: string): Promise<void> {
    this.settings.onProgress?.(this.layers.length, this.total);
    const count = shape[axis === 'output' ? 0 : 1] ?? 1;
    const vectors = someVectors(path, count, Math.max(LEAST_VECTORS[axis], Math.ceil(this.share * count)));
    this.compared += vectors.length;
    this.all += count;
    const trained = exact();
    const sums = { error: 0, rounding: 0, change: 0, size: 0 };
    for (const part of pieces(shape, axis, vectors)) {
      const there = found.take(part);
      const before = own?.take(part) ?? new Float64Array(there.length);
      addDistances(sums, there, trained(part, before), before, found.dtype);
      await this.settings.pause?.();
    }
    const { error, rounding, change, size } = sums;
    const relative = Math.sqrt(change > 0 ? error / change : size > 0 ? error / size : error);
    if (!(Math.sqrt(error) <= 1.01 * Math.sqrt(rounding) + ARITHMETIC * Math.sqrt(size))) {
      throw new UserError('export.not-trained', `The merged model was not left, because it would be wrong: in "${path}" it differs from what was trained by ${percent(relative)} of the change. Export again; if it stays so, use --as dora or --as lora and report it.`, { target, path, relative });
    }
    this.layers.push({ path, error: relative });
    this.errors += error;
    this.changes += change;
  }

  result(): MergeProof {
    this.settings.onProgress?.(this.total, this.total);
    const worst = this.layers.reduce<LayerProof | null>((most, layer) => (most === null || layer.error > most.error ? layer : most), null);
    return { overall: this.changes > 0 ? Math.sqrt(this.errors / this.changes) : Math.sqrt(this.errors), worst, layers: this.layers, compared: this.all === 0 ? 1 : this.compared / this.all };
  }
}

interface Distances {
  error: number;
  rounding: number;
  change: number;
  size: number;
}

const NEAREST: Readonly<Record<FileDType, (value: number) => number>> = { f32: Math.fround, f16: roundToF16, bf16: roundToBf16 };

/** Squares of written − trained, of what the element type alone takes, of trained − base, and of trained. */
function addDistances(sums: Distances, written: Float64Array, trained: Float64Array, base: Float64Array, dtype: FileDType): void {
  const nearest = NEAREST[dtype];
  for (let i = 0; i < trained.length; i++) {
    const wanted = trained[i]!;
    // What is no number in the base stays none.
    if (!Number.isFinite(wanted) && !Number.isFinite(written[i]!)) continue;
    sums.error += (written[i]! - wanted) ** 2;
    sums.rounding += (nearest(wanted) - wanted) ** 2;
    sums.change += (wanted - base[i]!) ** 2;
    sums.size += wanted * wanted;
  }
}

interface Elements {
  readonly dtype: FileDType;
  take(part: LayerPart): Float64Array;
}

/** Where the elements of a parameter lie one after the other; nowhere if they have to be put together. */
function bytesOf({ file, parameters }: Place, key: string): BytesToRead[] {
  const { tensor, form } = parameters.get(key)!;
  const { dtype, file: path, offset, length } = file.locate(tensor);
  return isComputed(dtype) && (form === 'same' || form === 'reshaped') ? [{ file: path, offset, length }] : [];
}

/** Elements of a parameter; those of 16 bits are decoded only where a part wants them. */
async function elementsOf({ file, parameters }: Place, key: string, ahead: ReadAhead): Promise<Elements> {
  const { dtype } = file.tensors.get(parameters.get(key)!.tensor)!;
  const type = isComputed(dtype) ? dtype : 'f32';
  const [place] = bytesOf({ file, parameters }, key);
  if (!place) {
    const values = readParameter(file, parameters, key);
    return { dtype: type, take: (part) => part.takeWeight(values) };
  }
  const { buffer, byteOffset, byteLength } = await ahead.take(place);
  if (type === 'f32') {
    const values = new Float32Array(buffer, byteOffset, byteLength / 4);
    return { dtype: type, take: (part) => part.takeWeight(values) };
  }
  const bits = new Uint16Array(buffer, byteOffset, byteLength / 2);
  return { dtype: type, take: (part) => decodeHalves(part.takeWeight(bits), type) };
}

const damaged = (target: string, what: string): UserError =>
  new UserError('export.damaged', `"${target}" does not hold what was written to it (${what}): nothing was left, check the disk and export again.`, { target });

/** The last rows of a tensor: what went wrong before them would have moved them. */
function someRows({ shape, begin, end }: TensorInfo): Rows | undefined {
  const [count = 1] = shape;
  const most = Math.max(1, Math.floor((UNTOUCHED_BYTES * count) / Math.max(1, end - begin)));
  return most >= count ? undefined : { first: count - most, count: most };
}

/** Every tensor in its place, and some of those that stay as they were. Error: `export.damaged`. */
export function proveUntouched(base: Pick<WeightFile, 'tensors' | 'read'>, written: WeightFile, isChanged: (name: string) => boolean, target: string): void {
  const untouched: string[] = [];
  for (const [name, { shape, dtype }] of base.tensors) {
    const found = written.tensors.get(name);
    if (!found || !sameShape(found.shape, shape)) throw damaged(target, `"${name}" is not in it`);
    if (isChanged(name)) continue;
    if (found.dtype !== dtype) throw damaged(target, `"${name}" has another type`);
    untouched.push(name);
  }
  const count = Math.min(UNTOUCHED, untouched.length);
  for (let i = 0; i < count; i++) {
    const name = untouched[Math.floor((i * untouched.length) / count)]!;
    const rows = someRows(base.tensors.get(name)!);
    if (Buffer.compare(base.read(name, rows).bytes, written.read(name, rows).bytes) !== 0) throw damaged(target, `"${name}" differs`);
  }
}

const percent = (value: number): string => `${value >= 1 ? Math.round(100 * value) : (100 * value).toPrecision(2)} %`;

/** Share of the change from which on it is told that the file's numbers are too coarse for it. */
const MUCH = 0.1;

/** What a proof has shown, as a sentence. @param changed weights that the model changes */
export const proofText = (changed: number, { overall, worst, compared }: MergeProof): string =>
  `All ${changed} changed weights are what was trained, to ${percent(overall)} of the change (${percent(worst?.error ?? 0)} in "${worst?.path ?? ''}")${compared < 1 ? `, ${percent(compared)} of each compared` : ''}.${overall > MUCH ? ' So much is lost by rounding to the numbers of the file, which are too coarse for so small a change: numbers with more digits, such as f32, keep it.' : ''}`;

/** Names of the tensors of a file in which parameters change. */
export const changedNames = ({ tensors }: StoredFile, paths: ReadonlySet<string>): Set<string> =>
  new Set(tensors.filter(({ parameters }) => parameters.some(({ path }) => paths.has(path))).map(({ name }) => name));

// Proof of a merged model: the written files are opened again, and every changed weight is compared, in f64 and by the
// definition of the method, with what was trained. All vectors of small models, some of each layer of large ones.
import { UserError } from '../base/errors.ts';
import { sameShape, sizeOf, type Shape } from '../base/shape.ts';
import type { DoraAxis } from '../catalog/define/format.ts';
import { hashInBackground } from '../files/background-hash.ts';
import { decodeF32, encodeTensor } from '../files/convert.ts';
import { openSafetensors } from '../files/safetensors.ts';
import type { WeightFile } from '../files/weight-file.ts';
import { readParameter } from '../nn/checkpoint-parts.ts';
import type { Parameters } from '../nn/tensor-layout.ts';
import type { LayerProof } from './export-proof.ts';
import type { FileDType } from './export-values.ts';
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

/** Multiplications that a proof may take: a second of one core, which is little beside writing a large model. */
const BUDGET = 5e8;
/** Vectors of a layer that are compared at least. */
const LEAST_VECTORS = 16;
/** What f32 arithmetic may leave beside rounding to the file's element type. */
const ARITHMETIC = 4e-6;
/** Untouched tensors that are compared byte for byte. */
const UNTOUCHED = 24;

/** Where the parameters of a component are: in the base, or in what was written. */
interface Place {
  readonly file: WeightFile;
  readonly parameters: Parameters;
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
   * Compares a weight in its place.
   * @param base null where the base has no such weight
   * @param target for messages. Error: `export.not-trained`
   */
  async weight({ path, shape, axis, exact }: WeightToProve, base: Place | null, written: Place, target: string): Promise<void> {
    this.settings.onProgress?.(this.layers.length, this.total);
    const count = shape[axis === 'output' ? 0 : 1] ?? 1;
    const vectors = someVectors(path, count, Math.max(LEAST_VECTORS, Math.ceil(this.share * count)));
    this.compared += vectors.length;
    this.all += count;
    const key = path.slice(path.indexOf('.') + 1);
    const [found, own] = [elementsOf(written, key), base && elementsOf(base, key)];
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

/** Squares of written − trained, of what the element type alone takes, of trained − base, and of trained. */
function addDistances(sums: Distances, written: Float64Array, trained: Float64Array, base: Float64Array, dtype: FileDType): void {
  const single = Float32Array.from(trained);
  const nearest = dtype === 'f32' ? single : decodeF32(encodeTensor(single, dtype) as Uint8Array<ArrayBuffer>, dtype);
  for (let i = 0; i < trained.length; i++) {
    const wanted = trained[i]!;
    // What is no number in the base stays none.
    if (!Number.isFinite(wanted) && !Number.isFinite(written[i]!)) continue;
    sums.error += (written[i]! - wanted) ** 2;
    sums.rounding += (nearest[i]! - wanted) ** 2;
    sums.change += (wanted - base[i]!) ** 2;
    sums.size += wanted * wanted;
  }
}

interface Elements {
  readonly dtype: FileDType;
  take(part: LayerPart): Float64Array;
}

/** Elements of a parameter; those of 16 bits are decoded only where a part wants them. */
function elementsOf({ file, parameters }: Place, key: string): Elements {
  const { tensor, form } = parameters.get(key)!;
  const stored = file.tensors.get(tensor)!.dtype;
  const dtype = stored === 'f16' || stored === 'bf16' ? stored : 'f32';
  if (dtype === 'f32' || (form !== 'same' && form !== 'reshaped')) {
    const values = readParameter(file, parameters, key);
    return { dtype, take: (part) => part.takeWeight(values) };
  }
  const { buffer, byteOffset, byteLength } = file.read(tensor).bytes;
  const bits = new Uint16Array(buffer, byteOffset, byteLength / 2);
  return {
    dtype,
    take: (part) => Float64Array.from(decodeF32(new Uint8Array(Uint16Array.from(part.takeWeight(bits)).buffer), dtype)),
  };
}

const damaged = (target: string, what: string): UserError =>
  new UserError('export.damaged', `"${target}" does not hold what was written to it (${what}): nothing was left, check the disk and export again.`, { target });

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
    if (Buffer.compare(base.read(name).bytes, written.read(name).bytes) !== 0) throw damaged(target, `"${name}" differs`);
  }
}

/**
 * A file must hold the bytes that were given to be written, all of them.
 * @param hash SHA-256 of its data section. Error: `export.damaged`
 */
export async function proveBytes(path: string, hash: string, target: string, signal?: AbortSignal): Promise<void> {
  if (await hashInBackground(path, openSafetensors(path).dataStart, signal) !== hash) throw damaged(target, 'its bytes differ');
}

const percent = (value: number): string => `${(100 * value).toPrecision(2)} %`;

/** What a proof has shown, as a sentence. @param changed weights that the model changes */
export const proofText = (changed: number, { overall, worst, compared }: MergeProof): string =>
  `All ${changed} changed weights are what was trained, to ${percent(overall)} of the change (${percent(worst?.error ?? 0)} in "${worst?.path ?? ''}")${compared < 1 ? `, ${percent(compared)} of each compared` : ''}.`;

/** Names of the tensors of a file in which parameters change. */
export const changedNames = ({ tensors }: StoredFile, paths: ReadonlySet<string>): Set<string> =>
  new Set(tensors.filter(({ parameters }) => parameters.some(({ path }) => paths.has(path))).map(({ name }) => name));

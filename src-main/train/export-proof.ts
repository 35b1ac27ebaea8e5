// Proof of an export: the written file is opened again, and what each program computes from its tensors is compared with the
// weight that was trained, layer by layer.
import type { ConsumerProgram, WrittenLayer } from '../catalog/define/consumer.ts';
import { consumers } from '../catalog/consumers/index.ts';
import type { AdapterPart, Program } from '../catalog/define/format.ts';
import { openSafetensors } from '../files/safetensors.ts';
import { ADAPTER_LIMITS, shown } from '../files/safetensors-header.ts';
import type { WeightFile } from '../files/weight-file.ts';
import { DOWN, UP } from '../nn/low-rank.ts';
import { extentsOf, pieces, someVectors, type LayerPart } from './layer-part.ts';
import { MAGNITUDE, type ExportSource, type SourceLayer } from './export-source.ts';
import { productError, type LowRankPair } from './low-rank-norms.ts';
import { trainedWeight } from './trained-weight.ts';

export interface LayerProof {
  readonly path: string;
  /** ‖W − W'‖ / ‖W' − W0‖: what the program computes, what was trained, the base. */
  readonly error: number;
}

export interface ProgramProof {
  readonly program: Program;
  readonly label: string;
  readonly ok: boolean;
  /** Over all layers together. */
  readonly overall: number;
  readonly worst: LayerProof | null;
  /** Why it is wrong; empty when it is right. */
  readonly problems: readonly string[];
  readonly layers: readonly LayerProof[];
}

export interface FileProof {
  readonly programs: readonly ProgramProof[];
  /** Share of the weights' vectors that were compared; all of them unless that would take minutes. */
  readonly compared: number;
}

export interface ProofSettings {
  /** Relative error that rounding (or a chosen approximation) explains. */
  allowed(layer: SourceLayer): number;
  /** The file holds the source itself, not an approximation: where vectors are left out, whole products are compared too. */
  readonly isSame?: boolean;
  /** Multiplications it may take. */
  readonly budget?: number;
  readonly onProgress?: (done: number, total: number) => void;
  /** Between pieces of work; may throw to stop. */
  readonly pause?: () => Promise<void>;
}

/** Multiplications that a proof may take: about a minute of one core. */
const BUDGET = 4e10;
/** Vectors of a layer that are compared at least. */
const LEAST_VECTORS = 16;
/** What f32 arithmetic, and small constants that programs add to norms, leave of a weight. */
const ARITHMETIC = 1e-6;

/** @param source what was trained @param path the written file @param programs those that shall read it */
export async function proveFile(source: ExportSource, path: string, programs: readonly Program[], settings: ProofSettings): Promise<FileProof> {
  const file = openSafetensors(path, ADAPTER_LIMITS);
  const readers = programs.map((program) => new Reader(program, consumers[program], file, source));
  const axis = source.axis ?? 'output';
  let compared = 0;
  let all = 0;
  const share = Math.min(1, (settings.budget ?? BUDGET) / source.layers.reduce((sum, layer) => sum + costOf(layer), 1));
  for (const [index, layer] of source.layers.entries()) {
    settings.onProgress?.(index, source.layers.length);
    const count = layer.shape[axis === 'output' ? 0 : 1]!;
    const vectors = someVectors(layer.path, count, Math.max(LEAST_VECTORS, Math.ceil(share * count)));
    compared += vectors.length;
    all += count;
    const found = new Map<string, ReadTensors>();
    const sums = readers.map((reader) => ({ reader, written: reader.layer(layer, found), error: 0 }));
    const base = source.baseModel.readF32(`${layer.path}.weight`);
    let change = 0;
    let size = 0;
    for (const part of pieces(layer.shape, axis, vectors)) {
      const own = part.takeWeight(base);
      const wanted = trainedWeight(source, layer, part, own);
      change += squaredDistance(wanted, own);
      size += squaredDistance(own, null);
      const products = new Map<ReadTensors, Float64Array>();
      for (const sum of sums) sum.error += squaredDistance(sum.written === null ? own : sum.reader.weight(sum.written, layer, part, own, products), wanted);
      await settings.pause?.();
    }
    if (settings.isSame && vectors.length < count) for (const { reader, written } of sums) reader.judgeProduct(layer, written, settings.allowed(layer));
    for (const { reader, error } of sums) reader.judge(layer.path, Math.sqrt(error), Math.sqrt(change), Math.sqrt(size), settings.allowed(layer));
  }
  settings.onProgress?.(source.layers.length, source.layers.length);
  return { programs: readers.map((reader) => reader.result()), compared: all === 0 ? 1 : compared / all };
}

const costOf = ({ shape, rank }: SourceLayer): number => {
  const { rows, channels, kernel } = extentsOf(shape);
  return 2 * rows * channels * kernel * rank;
};

function squaredDistance(a: Float64Array, b: Float64Array | null): number {
  let sum = 0;
  if (b === null) for (let i = 0; i < a.length; i++) sum += a[i]! * a[i]!;
  else for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return sum;
}

interface ReadTensors {
  readonly down: Float32Array;
  readonly up: Float32Array;
  readonly rank: number;
  readonly alpha: number | null;
  readonly magnitude: { readonly shape: readonly number[]; readonly values: Float32Array } | null;
}

/** A program's way through a file, and what came of it. */
class Reader {
  private readonly program: Program;
  private readonly consumer: ConsumerProgram;
  private readonly file: WeightFile;
  private readonly source: ExportSource;
  private readonly used = new Set<string>();
  private readonly modules: string[] = [];
  private readonly missing: string[] = [];
  private readonly wrong: string[] = [];
  private readonly layers: LayerProof[] = [];
  private errors = 0;
  private changes = 0;

  constructor(program: Program, consumer: ConsumerProgram, file: WeightFile, source: ExportSource) {
    this.program = program;
    this.consumer = consumer;
    this.file = file;
    this.source = source;
  }

  /** The tensors that the program takes for a layer; null when it finds none. `found` has those that others took. */
  layer({ path }: SourceLayer, found: Map<string, ReadTensors>): ReadTensors | null {
    const { file, consumer } = this;
    const keyOf = (module: string, part: AdapterPart): string | undefined => consumer.endings[part].map((ending) => `${module}.${ending}`).find((key) => file.tensors.has(key) && consumer.overlooks?.(key) !== true);
    const module = consumer.modulesOf(path, this.source.named).find((name) => keyOf(name, UP) !== undefined);
    const [down, up] = module === undefined ? [] : [keyOf(module, DOWN), keyOf(module, UP)];
    if (module === undefined || down === undefined || up === undefined) {
      this.missing.push(path);
      return null;
    }
    this.modules.push(module);
    const [alpha, magnitude] = [keyOf(module, 'alpha'), keyOf(module, MAGNITUDE)];
    const keys = [down, up, alpha, magnitude];
    for (const key of keys) if (key !== undefined) this.used.add(key);
    const known = found.get(keys.join(' '));
    if (known) return known;
    const read = {
      down: file.readF32(down), up: file.readF32(up), rank: file.tensors.get(down)!.shape[0]!,
      alpha: alpha === undefined ? null : file.readF32(alpha)[0]!,
      magnitude: magnitude === undefined ? null : { shape: file.tensors.get(magnitude)!.shape, values: file.readF32(magnitude) },
    };
    found.set(keys.join(' '), read);
    return read;
  }

  /** @param products B·A of the part, by what it was made from */
  weight(tensors: ReadTensors, { shape }: SourceLayer, part: LayerPart, base: Float64Array, products: Map<ReadTensors, Float64Array>): Float64Array {
    const { down, up, rank, alpha, magnitude } = tensors;
    const product = products.get(tensors) ?? part.takeProduct(down, up, rank);
    products.set(tensors, product);
    const layer: WrittenLayer = {
      shape, rows: part.rows, channels: part.channels, kernel: part.kernel, base, product, rank, alpha,
      magnitude: magnitude && { shape: magnitude.shape, values: part.takeVector(magnitude.values) },
    };
    return this.consumer.weight(layer, 1) ?? base;
  }

  /** All of B·A in factored form: what the chosen vectors do not see of A. */
  judgeProduct({ path, rank }: SourceLayer, written: ReadTensors | null, allowed: number): void {
    if (written === null) return;
    const { values, scale } = this.source;
    const pair = (down: Float32Array, up: Float32Array, own: number, factor: number): LowRankPair => ({ down, rank: own, up: factor === 1 ? up : up.map((value) => value * factor) });
    const trained = pair(values.get(`${path}.${DOWN}`)!.data as Float32Array, values.get(`${path}.${UP}`)!.data as Float32Array, rank, scale);
    const found = pair(written.down, written.up, written.rank, written.alpha === null ? 1 : written.alpha / written.rank);
    if (!(productError(found, trained) <= allowed + ARITHMETIC)) this.wrong.push(path);
  }

  /** Sizes are norms of differences and of the base. */
  judge(path: string, error: number, change: number, size: number, allowed: number): void {
    // Where nothing was learnt the measure is the weight itself.
    const relative = change > 0 ? error / change : size > 0 ? error / size : error;
    this.layers.push({ path, error: relative });
    this.errors += error * error;
    this.changes += change * change;
    if (!(error <= allowed * change + ARITHMETIC * size)) this.wrong.push(path);
  }

  result(): ProgramProof {
    const { program, consumer, layers, missing, wrong } = this;
    const strangers = [...this.file.tensors.keys()].filter((key) => !this.used.has(key));
    const refusal = consumer.refuses?.(this.modules, this.source.named) ?? null;
    const problems = [
      ...(refusal === null ? [] : [refusal]),
      ...(missing.length > 0 ? [`it finds no tensors for ${countOf(missing)}`] : []),
      ...(strangers.length > 0 ? [`it knows no layer for ${strangers.length} tensors (first "${shown(strangers[0]!)}")`] : []),
      ...(wrong.length > 0 ? [`it computes other weights than those trained in ${countOf(wrong)}`] : []),
    ];
    const worst = layers.reduce<LayerProof | null>((most, layer) => (most === null || !(layer.error <= most.error) ? layer : most), null);
    const overall = this.changes > 0 ? Math.sqrt(this.errors / this.changes) : Math.sqrt(this.errors);
    return { program, label: consumer.label, ok: problems.length === 0, overall, worst, problems, layers };
  }
}

const countOf = (paths: readonly string[]): string => `${paths.length} ${paths.length === 1 ? 'layer' : 'layers'} (first "${paths[0]}")`;

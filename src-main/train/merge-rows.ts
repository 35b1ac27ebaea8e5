// Merging a weight some rows at a time, from the bytes of the base to those of the merged file: all that is made on the way
// is small enough for the processor's cache, and large weights take no memory of their own.
import { scoped } from '../base/dispose.ts';
import { sameShape, sizeOf, type Shape } from '../base/shape.ts';
import type { AdaptedLayer, Adapter } from '../catalog/define/adapter.ts';
import { decodeF32, encodeTensor } from '../files/convert.ts';
import type { TensorOutput } from '../files/safetensors-copy.ts';
import { createBuilder, type Builder } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { castTo } from '../nn/cast.ts';
import type { HostData, HostTensor, Program, Runtime, WeightSource } from '../runtime/runtime.ts';
import type { FileDType } from './export-values.ts';

/** Elements that are merged at once. */
const ELEMENTS = 1 << 19;
/** A sum of squares below this has no element that is infinite in f16 (from 65520 on), or no number. */
const SAFE_SIZE = 65000 ** 2;
/** Programs that are kept: models have few shapes of layers. */
const MOST_PROGRAMS = 64;

type Settings = Parameters<Adapter['merge']>[3];
type ComputeDType = 'f32' | 'f16';

/** A weight that is merged where it lies. */
export interface StoredRows {
  /** For messages. */
  readonly name: string;
  /** Element types in the base and in the merged file. */
  readonly from: FileDType;
  readonly to: FileDType;
  /** The weight's bytes in the base. */
  readonly base: Uint8Array<ArrayBuffer>;
  readonly output: TensorOutput;
}

export interface LayerToMerge {
  readonly layer: AdaptedLayer;
  readonly adapter: Adapter;
  readonly settings: Settings;
  readonly values: (name: string) => HostTensor;
}

interface Rows {
  readonly shape: Shape;
  readonly feeds: ReadonlyMap<string, HostTensor>;
  /** Bytes of the base. */
  readonly base: Uint8Array<ArrayBuffer>;
}

export const canMergeRows = ({ shape }: AdaptedLayer, { rowSums }: Adapter): boolean =>
  rowSums !== undefined && shape.length > 1;

export class RowMerger {
  private readonly weights: WeightSource;
  private readonly runtime: Runtime;
  private readonly programs = new Map<string, Program>();

  constructor(weights: WeightSource, runtime: Runtime) {
    this.weights = weights;
    this.runtime = runtime;
  }

  /** Error: `safetensors.f16-overflow`. */
  async merge(what: LayerToMerge, stored: StoredRows): Promise<void> {
    const pieces = cut(what, stored);
    const sums = pieces.length > 1 ? await this.sumsOf(what, stored, pieces) : null;
    for (const rows of pieces) await stored.output.give(await this.mergeRows(what, stored, rows, sums));
  }

  async dispose(): Promise<void> {
    const all = [...this.programs.values()];
    this.programs.clear();
    for (const program of all) await program.dispose();
  }

  /** What all rows add to; null when they need nothing of each other. */
  private async sumsOf(what: LayerToMerge, { from }: StoredRows, pieces: readonly Rows[]): Promise<HostTensor | null> {
    const shape = sumsShape(what);
    if (shape === null) return null;
    let sums = zeros(shape);
    for (const rows of pieces) {
      const program = await this.program(what, rows.shape, `sums ${from}`, (g, weight, leaves) => {
        const own = what.adapter.rowSums!(g, castTo(g, weight, 'f32'), leaves, what.settings)!;
        return { made: g.add(g.input('sums', shape, 'f32'), own) };
      }, computed(from));
      sums = { dtype: 'f32', shape, data: (await this.run(program, rows, from, sums))['made']! };
    }
    return sums;
  }

  private async mergeRows(what: LayerToMerge, stored: StoredRows, rows: Rows, sums: HostTensor | null): Promise<Uint8Array<ArrayBuffer>> {
    const { to, name } = stored;
    if (to === 'f16') {
      const { made, size } = await this.compute(what, stored, rows, sums, to);
      if (size![0]! < SAFE_SIZE) return new Uint8Array(made.buffer as ArrayBuffer, made.byteOffset, made.byteLength);
    }
    // What may be too large for f16, or is infinite in the base already: here the encoder looks at each element.
    const { made } = await this.compute(what, stored, rows, sums, 'f32');
    return encodeTensor(made as Float32Array, to, name) as Uint8Array<ArrayBuffer>;
  }

  /** The merged rows; in f16, with the sum of their squares before rounding. */
  private async compute(what: LayerToMerge, { from }: StoredRows, rows: Rows, sums: HostTensor | null, to: ComputeDType): Promise<{ made: HostData; size?: Float32Array }> {
    const program = await this.program(what, rows.shape, `${sums === null ? 'whole' : 'rows'} ${from} ${to}`, (g, weight, leaves) => {
      const all = sums === null ? [] : [g.input('sums', sums.shape, 'f32')];
      const merged = what.adapter.merge(g, castTo(g, weight, 'f32'), leaves, what.settings, ...all);
      const size = (): Value => g.sumSquares(merged, { axes: merged.shape.map((_, axis) => axis), keep: false });
      return { made: castTo(g, merged, to), ...(to === 'f16' ? { size: size() } : {}) };
    }, computed(from));
    const { made, size } = await this.run(program, rows, from, sums);
    return { made: made!, ...(size ? { size: size as Float32Array } : {}) };
  }

  private run(program: Program, rows: Rows, from: FileDType, sums: HostTensor | null): Promise<Record<string, HostData>> {
    return scoped(async (keep) => {
      const feeds = new Map([...rows.feeds].map(([name, tensor]) => [name, keep(this.runtime.upload(tensor))]));
      const data = from === 'f16' ? halvesOf(rows.base) : decodeF32(rows.base, from);
      feeds.set('weight', keep(this.runtime.upload({ dtype: computed(from), shape: rows.shape, data })));
      if (sums) feeds.set('sums', keep(this.runtime.upload(sums)));
      const results: Record<string, HostData> = {};
      for (const [name, tensor] of await program.run(feeds)) results[name] = await keep(tensor).read();
      return results;
    });
  }

  private async program({ layer, adapter, settings }: LayerToMerge, shape: Shape, what: string, make: (g: Builder, weight: Value, leaves: Parameters<Adapter['merge']>[2]) => Readonly<Record<string, Value>>, dtype: ComputeDType): Promise<Program> {
    const key = JSON.stringify([what, adapter.label, layer.kind, shape, settings]);
    const known = this.programs.get(key);
    if (known) return known;
    if (this.programs.size >= MOST_PROGRAMS) await this.dispose();
    const g = createBuilder();
    const leaves = Object.fromEntries(adapter.parameters({ ...layer, shape }, settings).map((one) => [one.name, g.trainable(one.name, one.shape)]));
    const graph = g.graph(make(g, g.input('weight', shape, dtype), leaves));
    const program = await this.runtime.compile(graph, { weights: this.weights, name: 'merge' });
    this.programs.set(key, program);
    return program;
  }
}

/** Rows of the weight with those of the parameters that have them, in pieces of about the same size. */
function cut({ layer, adapter, settings, values }: LayerToMerge, { base }: StoredRows): Rows[] {
  const [count = 1, ...rest] = layer.shape;
  const most = Math.max(1, Math.ceil(count / Math.ceil(sizeOf(layer.shape) / ELEMENTS)));
  const rowBytes = base.byteLength / count;
  const whole = adapter.parameters(layer, settings);
  return Array.from({ length: Math.ceil(count / most) }, (_, at) => {
    const first = at * most;
    const rows = Math.min(most, count - first);
    const own = adapter.parameters({ ...layer, shape: [rows, ...rest] }, settings);
    const feeds = new Map(whole.map(({ name, shape }, i) => {
      const data = values(`${layer.path}.${name}`).data as Float32Array;
      // A parameter that changes its shape with the rows has them, all axes before them being 1.
      if (sameShape(own[i]!.shape, shape)) return [name, { dtype: 'f32' as const, shape, data }];
      const width = sizeOf(shape) / count;
      return [name, { dtype: 'f32' as const, shape: own[i]!.shape, data: data.subarray(first * width, (first + rows) * width) }];
    }));
    return { shape: [rows, ...rest], feeds, base: base.subarray(first * rowBytes, (first + rows) * rowBytes) };
  });
}

/** Shape of what the rows of a weight add to; null when they need nothing of each other. */
function sumsShape({ layer, adapter, settings }: LayerToMerge): Shape | null {
  const g = createBuilder();
  const leaves = Object.fromEntries(adapter.parameters(layer, settings).map((one) => [one.name, g.trainable(one.name, one.shape)]));
  return adapter.rowSums!(g, g.input('weight', layer.shape, 'f32'), leaves, settings)?.shape ?? null;
}

const computed = (stored: FileDType): ComputeDType => (stored === 'f16' ? 'f16' : 'f32');
const zeros = (shape: Shape): HostTensor => ({ dtype: 'f32', shape, data: new Float32Array(sizeOf(shape)) });
const halvesOf = ({ buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>): Uint16Array<ArrayBuffer> => new Uint16Array(buffer, byteOffset, byteLength / 2);

// Merging a weight some rows at a time, from the bytes of the base to those of the merged file: all that is made on the way
// is small enough for the processor's cache, and large weights take no memory of their own.
import { scoped } from '../base/dispose.ts';
import { sameShape, sizeOf, type Shape } from '../base/shape.ts';
import type { AdaptedLayer, Adapter } from '../catalog/define/adapter.ts';
import { decodeF32, encodeTensor } from '../files/convert.ts';
import type { TensorOutput } from '../files/safetensors-copy.ts';
import { createBuilder } from '../graph/builder.ts';
import { castTo } from '../nn/cast.ts';
import type { HostData, HostTensor, Program, Runtime, WeightSource } from '../runtime/runtime.ts';
import type { FileDType } from './export-values.ts';

/** Elements that are merged at once. */
const ELEMENTS = 1 << 19;
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
    const sums = await this.sumsOf(what, stored, pieces);
    for (const rows of pieces) await stored.output.give(await this.mergeRows(what, stored, rows, sums));
  }

  async dispose(): Promise<void> {
    const all = [...this.programs.values()];
    this.programs.clear();
    for (const program of all) await program.dispose();
  }

  /** What all rows add to; null when they need nothing of each other. */
  private async sumsOf(what: LayerToMerge, { from }: StoredRows, pieces: readonly Rows[]): Promise<HostTensor | null> {
    const shape = sumsShape(what, pieces[0]!.shape);
    if (shape === null) return null;
    let sums = zeros(shape);
    for (const rows of pieces) {
      const program = await this.program(what, rows.shape, `sums ${from}`, (g, weight, leaves) => {
        const own = what.adapter.rowSums!(g, castTo(g, weight, 'f32'), leaves, what.settings)!;
        return g.add(g.input('sums', shape, 'f32'), own);
      }, computed(from));
      sums = { dtype: 'f32', shape, data: await this.run(program, rows, from, sums) };
    }
    return sums;
  }

  private async mergeRows(what: LayerToMerge, stored: StoredRows, rows: Rows, sums: HostTensor | null): Promise<Uint8Array<ArrayBuffer>> {
    const { to, name } = stored;
    const exact = async (): Promise<Uint8Array<ArrayBuffer>> => encodeTensor(await this.exact(what, stored, rows, sums), to, name) as Uint8Array<ArrayBuffer>;
    if (to !== 'f16') return exact();
    const halves = (await this.compute(what, stored, rows, sums, to)) as Uint16Array<ArrayBuffer>;
    // An infinity is one of the base, or an overflow, of which the exact way tells.
    return hasInfinity(halves) ? exact() : new Uint8Array(halves.buffer, halves.byteOffset, halves.byteLength);
  }

  private async exact(what: LayerToMerge, stored: StoredRows, rows: Rows, sums: HostTensor | null): Promise<Float32Array> {
    return (await this.compute(what, stored, rows, sums, 'f32')) as Float32Array;
  }

  private async compute(what: LayerToMerge, { from }: StoredRows, rows: Rows, sums: HostTensor | null, to: ComputeDType): Promise<HostData> {
    const program = await this.program(what, rows.shape, `rows ${from} ${to}`, (g, weight, leaves) => {
      const all = sums === null ? [] : [g.input('sums', sums.shape, 'f32')];
      return castTo(g, what.adapter.merge(g, castTo(g, weight, 'f32'), leaves, what.settings, ...all), to);
    }, computed(from));
    return this.run(program, rows, from, sums);
  }

  private run(program: Program, rows: Rows, from: FileDType, sums: HostTensor | null): Promise<HostData> {
    return scoped(async (keep) => {
      const feeds = new Map([...rows.feeds].map(([name, tensor]) => [name, keep(this.runtime.upload(tensor))]));
      const data = from === 'f16' ? halvesOf(rows.base) : decodeF32(rows.base, from);
      feeds.set('weight', keep(this.runtime.upload({ dtype: computed(from), shape: rows.shape, data })));
      if (sums) feeds.set('sums', keep(this.runtime.upload(sums)));
      return keep((await program.run(feeds)).get('made')!).read();
    });
  }

  private async program({ layer, adapter, settings }: LayerToMerge, shape: Shape, what: string, make: (g: ReturnType<typeof createBuilder>, weight: Parameters<Adapter['merge']>[1], leaves: Parameters<Adapter['merge']>[2]) => ReturnType<Adapter['merge']>, dtype: ComputeDType): Promise<Program> {
    const key = JSON.stringify([what, adapter.label, layer.kind, shape, settings]);
    const known = this.programs.get(key);
    if (known) return known;
    if (this.programs.size >= MOST_PROGRAMS) await this.dispose();
    const g = createBuilder();
    const leaves = Object.fromEntries(adapter.parameters({ ...layer, shape }, settings).map((one) => [one.name, g.trainable(one.name, one.shape)]));
    const graph = g.graph({ made: make(g, g.input('weight', shape, dtype), leaves) });
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

function sumsShape({ layer, adapter, settings }: LayerToMerge, shape: Shape): Shape | null {
  const g = createBuilder();
  const leaves = Object.fromEntries(adapter.parameters({ ...layer, shape }, settings).map((one) => [one.name, g.trainable(one.name, one.shape)]));
  return adapter.rowSums!(g, g.input('weight', shape, 'f32'), leaves, settings)?.shape ?? null;
}

const computed = (stored: FileDType): ComputeDType => (stored === 'f16' ? 'f16' : 'f32');
const zeros = (shape: Shape): HostTensor => ({ dtype: 'f32', shape, data: new Float32Array(sizeOf(shape)) });
const halvesOf = ({ buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>): Uint16Array<ArrayBuffer> => new Uint16Array(buffer, byteOffset, byteLength / 2);

/** Whether some f16 bits are no finite number: all five bits of the exponent are set. */
function hasInfinity(bits: Uint16Array): boolean {
  const pairs = new Uint32Array(bits.buffer, bits.byteOffset, bits.length >> 1);
  // Adding one at the lowest bit of an exponent carries out of it only when all are set.
  let carries = 0;
  for (let i = 0; i < pairs.length; i++) carries |= (pairs[i]! & 0x7c007c00) + 0x04000400;
  return (carries & 0x80008000) !== 0 || (bits.length % 2 === 1 && (bits.at(-1)! & 0x7c00) === 0x7c00);
}

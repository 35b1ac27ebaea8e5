// Weights of a model with what was learnt merged in, layer by layer.
import { scoped } from '../base/dispose.ts';
import type { Shape } from '../base/shape.ts';
import { dora } from '../catalog/adapters/dora.ts';
import { lora } from '../catalog/adapters/lora.ts';
import type { AdaptedLayer, Adapter } from '../catalog/define/adapter.ts';
import { defaultSettings } from '../contract/fields.ts';
import { createBuilder } from '../graph/builder.ts';
import { f32, type HostTensor, type Program, type Runtime } from '../runtime/runtime.ts';
import type { LayerToMerge } from './merge-rows.ts';
import { toF32, type OpenModel } from './open-model.ts';
import type { OpenRun } from './run-job.ts';
import type { ReadAdapter } from './read-adapter.ts';

/** A trained tensor by its name. */
export type ValueOf = (name: string) => HostTensor;

export interface MergedWeight {
  /** Path of the parameter: `unet.conv_in.weight`. */
  readonly path: string;
  readonly shape: Shape;
  /** The weight with these trained values merged in; f32. */
  merge(values: ValueOf): Promise<Float32Array>;
}

/** Every parameter that a run changes, one at a time: a weight lives only until the next one is asked for. */
export async function* mergedWeights({ job, plan, baseModel, runtime }: Pick<OpenRun, 'job' | 'plan' | 'baseModel' | 'runtime'>): AsyncGenerator<MergedWeight> {
  const { adapter } = plan;
  if (adapter === null) {
    for (const { name, shape } of plan.tensors) {
      yield { path: name, shape, merge: async (values) => values(name).data as Float32Array };
    }
    return;
  }
  const merger = new Merger(baseModel, runtime);
  try {
    for (const layer of plan.layers) yield { path: `${layer.path}.weight`, shape: layer.shape, merge: (values) => merger.merge(layer, adapter, job.adapter as never, values) };
  } finally {
    await merger.dispose();
  }
}

/** An adapter as it is read from a file: alpha = rank, each layer with its own rank. */
export type FileAdapter = Pick<ReadAdapter, 'axis' | 'layers' | 'values'>;

/** The parameters that an adapter file changes, with its own values. */
export async function* mergedFile(file: FileAdapter, folder: OpenModel, runtime: Runtime, shapes: ReadonlyMap<string, Shape>): AsyncGenerator<{ path: string; merged: Float32Array }> {
  const merger = new Merger(folder, runtime);
  try {
    for (const layer of file.layers) yield { path: `${layer.path}.weight`, merged: await merger.mergeRead(file, layer, shapes.get(layer.path)!) };
  } finally {
    await merger.dispose();
  }
}

/** Programs that are kept: models have few shapes of layers. */
const MOST_PROGRAMS = 48;

/** Merges layer by layer. One program serves all layers of a shape: the base weight is fed, not compiled in. */
export class Merger {
  private readonly folder: OpenModel;
  private readonly runtime: Runtime;
  private readonly programs = new Map<string, Program>();

  constructor(folder: OpenModel, runtime: Runtime) {
    this.folder = folder;
    this.runtime = runtime;
  }

  /** The weight in f32, row-major. */
  async merge(layer: AdaptedLayer, adapter: Adapter, settings: Parameters<Adapter['merge']>[3], values: ValueOf): Promise<Float32Array> {
    const parameters = adapter.parameters({ ...layer, path: 'layer' }, settings);
    const program = await this.program(layer, adapter, settings);
    return scoped(async (keep) => {
      const feeds = new Map(parameters.map(({ name }) => [name, keep(this.runtime.upload(values(`${layer.path}.${name}`)))]));
      feeds.set('weight', keep(this.runtime.upload(f32(this.folder.readF32(`${layer.path}.weight`), layer.shape))));
      return toF32((await keep((await program.run(feeds)).get('merged')!).read()) as Float32Array);
    });
  }

  mergeRead(file: FileAdapter, layer: FileAdapter['layers'][number], shape: Shape): Promise<Float32Array> {
    const { layer: adapted, adapter, settings, values } = readLayer(file, layer, shape);
    return this.merge(adapted, adapter, settings, values);
  }

  private async program({ kind, shape }: AdaptedLayer, adapter: Adapter, settings: Parameters<Adapter['merge']>[3]): Promise<Program> {
    const key = JSON.stringify([adapter.label, kind, shape, settings]);
    const known = this.programs.get(key);
    if (known) return known;
    if (this.programs.size >= MOST_PROGRAMS) await this.dispose();
    const g = createBuilder();
    const leaves = Object.fromEntries(adapter.parameters({ kind, shape, path: 'layer' }, settings).map((one) => [one.name, g.trainable(one.name, one.shape)]));
    const graph = g.graph({ merged: adapter.merge(g, g.input('weight', shape), leaves, settings) });
    const program = await this.runtime.compile(graph, { weights: this.folder.weights, name: 'merge' });
    this.programs.set(key, program);
    return program;
  }

  async dispose(): Promise<void> {
    const all = [...this.programs.values()];
    this.programs.clear();
    for (const program of all) await program.dispose();
  }
}

/** A layer of an adapter file, as merging takes it. */
export function readLayer({ axis, values }: FileAdapter, { path, rank, hasMagnitude }: FileAdapter['layers'][number], shape: Shape): LayerToMerge {
  const adapter = (hasMagnitude ? dora : lora) as unknown as Adapter;
  // A file read has its alpha in the matrices already.
  const settings = { ...defaultSettings(adapter.fields), rank, alpha: rank, ...(axis === null ? {} : { axis }) };
  return { layer: { path, shape, kind: shape.length === 2 ? 'linear' : 'conv' }, adapter, settings: settings as never, values: (name) => values.get(name)! };
}

/** The model with some parameters replaced by f32 values in memory. */
export function withWeights(folder: OpenModel, replaced: ReadonlyMap<string, Float32Array>): OpenModel {
  return {
    ...folder,
    storedDType: (path) => (replaced.has(path) ? 'f32' : folder.storedDType(path)),
    weights: (path) => {
      const data = replaced.get(path);
      return data ? { kind: 'memory', data } : folder.weights(path);
    },
    readF32: (path) => replaced.get(path) ?? folder.readF32(path),
  };
}

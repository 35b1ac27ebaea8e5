// Weights of a model with what was learnt merged in, layer by layer.
import { assert } from '../base/errors.ts';
import type { Shape } from '../base/shape.ts';
import { dora } from '../catalog/adapters/dora.ts';
import { lora } from '../catalog/adapters/lora.ts';
import type { AdaptedLayer, Adapter } from '../catalog/define/adapter.ts';
import { defaultSettings } from '../contract/fields.ts';
import { createBuilder } from '../graph/builder.ts';
import type { HostTensor, Runtime } from '../runtime/runtime.ts';
import { toF32, type ModelFolder } from './model-folder.ts';
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
export async function* mergedWeights({ job, plan, modelFolder, runtime }: Pick<OpenRun, 'job' | 'plan' | 'modelFolder' | 'runtime'>): AsyncGenerator<MergedWeight> {
  const { adapter } = plan;
  if (adapter === null) {
    for (const { name, shape } of plan.tensors) {
      yield { path: name, shape, merge: async (values) => values(name).data as Float32Array };
    }
    return;
  }
  for (const layer of plan.layers) yield* adaptedWeight(layer, adapter, job.adapter as never, modelFolder, runtime);
}

/** The parameters that an adapter file changes, with its own values. */
export async function* mergedFile({ axis, layers, values }: ReadAdapter, folder: ModelFolder, runtime: Runtime, shapes: ReadonlyMap<string, Shape>): AsyncGenerator<{ path: string; merged: Float32Array }> {
  for (const { path, rank, hasMagnitude } of layers) {
    const shape = shapes.get(path);
    assert(shape, `${path} is a layer of the model`);
    const adapter = (hasMagnitude ? dora : lora) as unknown as Adapter;
    // A file read has its alpha in the matrices already.
    const settings = { ...defaultSettings(adapter.fields), rank, alpha: rank, ...(axis === null ? {} : { axis }) };
    const kind = shape.length === 2 ? 'linear' : 'conv';
    for await (const weight of adaptedWeight({ path, shape, kind }, adapter, settings as never, folder, runtime)) {
      yield { path: weight.path, merged: await weight.merge((name) => values.get(name)!) };
    }
  }
}

async function* adaptedWeight(layer: AdaptedLayer, adapter: Adapter, settings: Parameters<Adapter['merge']>[3], folder: ModelFolder, runtime: Runtime): AsyncGenerator<MergedWeight> {
  const g = createBuilder({ storedDType: folder.storedDType });
  const path = `${layer.path}.weight`;
  const parameters = adapter.parameters(layer, settings).map(({ name, shape }) => ({ name, path: `${layer.path}.${name}`, shape }));
  const leaves = Object.fromEntries(parameters.map((one) => [one.name, g.trainable(one.path, one.shape)]));
  const graph = g.graph({ merged: adapter.merge(g, g.param(path, layer.shape), leaves, settings) });
  const program = await runtime.compile(graph, { weights: folder.weights, name: 'merge' });
  try {
    yield {
      path, shape: layer.shape,
      merge: async (values) => {
        const feeds = new Map(parameters.map((one) => [one.path, runtime.upload(values(one.path))]));
        const merged = (await program.run(feeds)).get('merged')!;
        const data = toF32((await merged.read()) as Float32Array).slice();
        for (const tensor of [merged, ...feeds.values()]) tensor.dispose();
        return data;
      },
    };
  } finally {
    await program.dispose();
  }
}

/** The model with some parameters replaced by f32 values in memory. */
export function withWeights(folder: ModelFolder, replaced: ReadonlyMap<string, Float32Array>): ModelFolder {
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

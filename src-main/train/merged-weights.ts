// Weights of a model with what a run has learnt merged in, layer by layer.
import { assert } from '../base/errors.ts';
import type { Shape } from '../base/shape.ts';
import { createBuilder } from '../graph/builder.ts';
import { toF32 } from './model-folder.ts';
import type { SavedValues } from './open-run.ts';
import type { PlannedLayer } from './plan.ts';
import type { OpenRun } from './run-job.ts';

type MergeRun = Pick<OpenRun, 'job' | 'plan' | 'modelFolder' | 'runtime'>;

export interface MergedWeight {
  /** Path of the parameter: `unet.conv_in.weight`. */
  readonly path: string;
  readonly shape: Shape;
  /** The weight with these trained values merged in; f32. */
  merge(values: SavedValues): Promise<Float32Array>;
}

/** Every parameter that training changes, one at a time: a weight lives only until the next one is asked for. */
export async function* mergedWeights(run: MergeRun): AsyncGenerator<MergedWeight> {
  const { plan } = run;
  if (plan.adapter === null) {
    for (const { name, shape } of plan.tensors) {
      yield { path: name, shape, merge: async (values) => values(name).data as Float32Array };
    }
    return;
  }
  for (const layer of plan.layers) yield* adaptedWeight(run, layer);
}

async function* adaptedWeight({ job, plan, modelFolder, runtime }: MergeRun, layer: PlannedLayer): AsyncGenerator<MergedWeight> {
  const { adapter } = plan;
  assert(adapter, 'a plan with layers has an adapter');
  const settings = job.adapter as never;
  const g = createBuilder({ storedDType: modelFolder.storedDType });
  const path = `${layer.path}.weight`;
  const names = adapter.parameters(layer, settings).map(({ name, shape }) => ({ name, path: `${layer.path}.${name}`, shape }));
  const parameters = Object.fromEntries(names.map((one) => [one.name, g.trainable(one.path, one.shape)]));
  const graph = g.graph({ merged: adapter.merge(g, g.param(path, layer.shape), parameters, settings) });
  const program = await runtime.compile(graph, { weights: modelFolder.weights, name: 'merge' });
  try {
    yield {
      path, shape: layer.shape,
      merge: async (values) => {
        const feeds = new Map(names.map((one) => [one.path, runtime.upload(values(one.path))]));
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

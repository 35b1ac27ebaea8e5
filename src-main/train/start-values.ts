// Start values of trained tensors: drawn, read from the model's file, or computed from a layer's weight.
import type { Adapter } from '../catalog/define/adapter.ts';
import { scoped } from '../base/dispose.ts';
import { assert } from '../base/errors.ts';
import { createBuilder } from '../graph/builder.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Job } from '../contract/job.ts';
import type { OpenModel } from './open-model.ts';
import { drawStart, type Plan, type PlannedTensor } from './plan.ts';
import { runToHost } from './run-to-host.ts';
import type { TrainedTensor } from './trained.ts';

/** Layers whose norms one program computes. */
const NORMS_AT_ONCE = 32;

/** @param kept values that take the place of the plan's own start, by name; null where there are none */
export function trainedTensors(plan: Plan, job: Job, folder: OpenModel, runtime: Runtime, kept: (name: string) => Float32Array | null = () => null): TrainedTensor[] {
  const norms = lazy(() => layerNorms(plan, job, folder, runtime));
  return plan.tensors.map((tensor) => ({ name: tensor.name, shape: tensor.shape, initial: async () => kept(tensor.name) ?? startOf(tensor, folder, norms) }));
}

async function startOf(tensor: PlannedTensor, folder: OpenModel, norms: () => Promise<ReadonlyMap<string, Float32Array>>): Promise<Float32Array> {
  const drawn = drawStart(tensor);
  if (drawn) return drawn;
  if (tensor.start.kind === 'file') return folder.readF32(tensor.name);
  const norm = (await norms()).get(tensor.name);
  assert(norm, `${tensor.name} has no norm`);
  return norm.slice();
}

/** Norms of the layers' weights, computed by the runtime as the training step computes them: a fresh DoRA changes nothing. */
async function layerNorms({ tensors, adapter }: Plan, job: Job, folder: OpenModel, runtime: Runtime): Promise<Map<string, Float32Array>> {
  const wanted = tensors.flatMap(({ name, shape, start }) => (start.kind === 'norm' ? [{ name, shape, layer: start.layer }] : []));
  const norms = new Map<string, Float32Array>();
  assert(adapter?.norm || wanted.length === 0, 'the adapter has no norm');
  for (let at = 0; at < wanted.length; at += NORMS_AT_ONCE) {
    const g = createBuilder({ storedDType: folder.storedDType });
    const outputs = wanted.slice(at, at + NORMS_AT_ONCE).map(({ name, shape, layer }) => {
      const norm = (adapter as Adapter).norm!(g, g.param(`${layer.path}.weight`, layer.shape), job.adapter as never);
      return [name, g.reshape(norm, { shape })] as const;
    });
    await scoped(async (keep) => {
      const program = keep(await runtime.compile(g.graph(Object.fromEntries(outputs)), { weights: folder.weights, name: 'norms' }));
      for (const [name, { data }] of await runToHost(runtime, program, [])) norms.set(name, data);
    });
  }
  return norms;
}

function lazy<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

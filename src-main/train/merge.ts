// The merged model of a run: the base with what was learnt in its weights.
import { basename, join } from 'node:path';
import { assert } from '../base/errors.ts';
import { sameShape } from '../base/shape.ts';
import { openWeights } from '../files/sharded.ts';
import { roundTrained, trainedScale, type FileDType } from './export-values.ts';
import { mergedWeights, type ValueOf } from './merged-weights.ts';
import type { OpenRun } from './run-job.ts';
import { saveModel, type NewTensor } from './save-model.ts';

type MergedRun = Pick<OpenRun, 'job' | 'plan' | 'modelFolder' | 'runtime'>;

export interface MergeSettings {
  readonly target: string;
  readonly dtype: FileDType | 'stored';
  readonly step: number;
}

export interface MergedModel {
  readonly path: string;
  /** Tensors that differ from the base. */
  readonly changed: number;
  /** Of the change of a weight, the largest share that the element type of the file has taken; 0 for f32. */
  readonly worstRounding: number;
}

/**
 * Writes the model folder, weight by weight. What is merged are the values as adapter files round them, so that both render
 * the same. Errors: those of `saveModel`.
 */
export async function saveMerged(run: MergedRun, values: ValueOf, { target, dtype, step }: MergeSettings): Promise<MergedModel> {
  const { job, plan, modelFolder } = run;
  const exact = new Map(plan.tensors.map(({ name }) => [name, values(name)]));
  // Weights that were trained themselves are rounded once, when they are written.
  const rounded = plan.adapter === null ? exact : roundTrained(exact, trainedScale(job), job.output.dtype);
  const weights = new Map<string, NewTensor>();
  const paths = plan.adapter === null ? plan.tensors.map(({ name, shape }) => ({ path: name, shape })) : plan.layers.map(({ path, shape }) => ({ path: `${path}.weight`, shape }));
  for (const { path, shape } of paths) weights.set(path, { shape, data: () => mergeOne(run, path, (name) => rounded.get(name)!) });
  const meter = roundingMeter(run);
  await saveModel(weights, {
    base: modelFolder.root, target, dtype, onWritten: meter.note,
    metadata: { 'modelspec.merged_from': basename(modelFolder.root), 'adora.merged': `${job.name}, step ${step}` },
  });
  checkWritten(run, target, [...weights.keys()]);
  return { path: target, changed: weights.size, worstRounding: meter.worst };
}

async function mergeOne(run: MergedRun, path: string, values: ValueOf): Promise<Float32Array> {
  const { plan } = run;
  const single = plan.adapter === null
    ? { ...plan, tensors: plan.tensors.filter(({ name }) => name === path) }
    : { ...plan, layers: plan.layers.filter((layer) => `${layer.path}.weight` === path) };
  for await (const { merge } of mergedWeights({ ...run, plan: single })) return await merge(values);
  return assert(false, `${path} is no weight of the run`) as never;
}

/** Collects how much of the weights' changes their element type leaves. */
function roundingMeter({ modelFolder }: MergedRun) {
  const hasWeight = (path: string): boolean => {
    const cut = path.indexOf('.');
    return modelFolder.files.get(path.slice(0, cut))?.tensors.has(path.slice(cut + 1)) ?? false;
  };
  const meter = {
    worst: 0,
    note: (path: string, wanted: Float32Array, written: Float32Array): void => {
      if (written === wanted) return;
      const base = hasWeight(path) ? modelFolder.readF32(path) : new Float32Array(wanted.length);
      let lost = 0;
      let change = 0;
      for (let i = 0; i < wanted.length; i++) {
        lost += (written[i]! - wanted[i]!) ** 2;
        change += (wanted[i]! - base[i]!) ** 2;
      }
      if (change > 0) meter.worst = Math.max(meter.worst, Math.sqrt(lost / change));
    },
  };
  return meter;
}

/** The written model must have the tensors of its base, in the same shapes. */
function checkWritten({ modelFolder }: MergedRun, target: string, paths: readonly string[]): void {
  for (const component of new Set(paths.map((path) => path.slice(0, path.indexOf('.'))))) {
    const { tensors } = openWeights(join(target, component));
    for (const [key, { shape }] of modelFolder.files.get(component)!.tensors) {
      const found = tensors.get(key);
      assert(found && sameShape(found.shape, shape), `the merged model lost "${component}.${key}"`);
    }
  }
}

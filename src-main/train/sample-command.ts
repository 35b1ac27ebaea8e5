// `adora sample`: pictures with a base model and adapter files, or with what a run has learnt.
import { join, resolve } from 'node:path';
import type { Model } from '../catalog/define/family.ts';
import type { DoraAxis } from '../catalog/define/format.ts';
import type { TrainEventBody } from '../contract/events.ts';
import type { Job } from '../contract/job.ts';
import { makeFolder } from '../files/atomic-write.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { chooseRuntime, type ChosenRuntime } from './choose-runtime.ts';
import { roundTrained, trainedScale } from './export-values.ts';
import { mergedFile, mergedWeights, withWeights } from './merged-weights.ts';
import { openBase, type OpenModel } from './open-model.ts';
import { namedModel } from './named-model.ts';
import { noiseOf } from './noise-of.ts';
import { chooseCheckpoint, openRun, openSavedValues } from './open-run.ts';
import { adapterOfRun, factsOfAdapter, paintedFrom, type AdapterFacts, type PaintedFrom } from './painted-with.ts';
import { Painter } from './painter.ts';
import { savePicture, type PictureSettings } from './picture.ts';
import { readAdapter } from './read-adapter.ts';
import { asJob, type ToldBase } from './told-base.ts';

export interface SampleSettings extends ToldBase {
  /** Folder of a run: its base model with what it learnt up to `step`, or to the last checkpoint. */
  readonly run?: string;
  readonly step?: number;
  readonly adapter: readonly string[];
  /** Axis of magnitudes where an adapter's file leaves it open. */
  readonly axis?: DoraAxis;
  /** Factor of the change that adapters (or the run) make. */
  readonly strength: number;
  readonly prompt: readonly string[];
  readonly negative: string;
  readonly sampler: string;
  readonly steps: number;
  readonly guidance: number;
  readonly seed: number;
  /** Pictures of each prompt; seeds count up. */
  readonly count: number;
  readonly width?: number;
  readonly height?: number;
  readonly out: string;
  readonly device: string;
  readonly dtype: string;
}

interface Context {
  readonly onEvent: (event: TrainEventBody) => void;
  readonly shouldStop: () => boolean;
}

/** Errors: those of opening models, runs and adapters, `picture.size`, `picture.sampler`, `sample.stopped`, `files.*`. */
export async function sampleCommand(settings: SampleSettings, { onEvent, shouldStop }: Context): Promise<{ text: string; data: unknown }> {
  const chosen = await chooseRuntime({ train: { device: settings.device, dtype: settings.dtype } as Job['train'] }, 0, onEvent);
  onEvent({ kind: 'phase', name: 'open the model', done: 0, total: 0, unit: 'layers' });
  const opened = settings.run === undefined ? await openBasePainting(settings, chosen.runtime) : await openTrainedPainting(settings.run, settings, chosen);
  const { model, baseModel, noise } = opened;
  const painter = new Painter({ model, baseModel, noise, runtime: chosen.runtime, builder: { compute: chosen.compute, storedDType: baseModel.storedDType }, trainsText: false, shouldStop });
  const wanted = picturesOf(settings, model);
  const files: string[] = [];
  try {
    const pictures = await painter.paint(new Map(), wanted, (done) => onEvent({ kind: 'phase', name: 'paint', done, total: wanted.length, unit: 'pictures' }));
    await makeFolder(resolve(settings.out));
    for (const [index, picture] of pictures.entries()) {
      const { seed } = wanted[index]!;
      const file = join(settings.out, `${String(Math.floor(index / settings.count)).padStart(3, '0')}-seed-${seed}.png`);
      await savePicture(file, picture, wanted[index]!, paintedFrom(opened, settings.strength, wanted[index]!));
      files.push(file);
    }
  } finally {
    await painter.dispose();
  }
  const data = files.map((file, i) => ({ file, prompt: wanted[i]!.prompt, seed: wanted[i]!.seed }));
  return { text: files.join('\n'), data: { device: chosen.runtime.device, dtype: chosen.compute, pictures: data } };
}

function picturesOf(settings: SampleSettings, model: Model): PictureSettings[] {
  const { negative, sampler, steps, guidance, width = model.nativeSide, height = model.nativeSide } = settings;
  return settings.prompt.flatMap((prompt) => Array.from({ length: settings.count }, (_, i) => (
    { prompt, negative, sampler, steps, guidance, width, height, seed: settings.seed + i })));
}

/** Adapters are merged into the weights: any number, each in its own layout, at full speed afterwards. */
export async function openBasePainting({ adapter, axis, strength, ...told }: ToldBase & Pick<SampleSettings, 'adapter' | 'axis' | 'strength'>, runtime: Runtime): Promise<PaintedFrom> {
  const job = asJob(told);
  const { baseModel, model } = openBase(job);
  const named = namedModel(baseModel.files, model.denoiserComponent);
  const changes = new Map<string, Float32Array>();
  const adapters: AdapterFacts[] = [];
  for (const path of adapter) {
    const read = readAdapter(path, named, axis);
    adapters.push(factsOfAdapter(path, read));
    for await (const { path: parameter, merged } of mergedFile(read, baseModel, runtime, named.layers)) {
      addChange(changes, parameter, merged, baseModel, strength);
    }
  }
  return { model, baseModel: withWeights(baseModel, changes), noise: noiseOf(job, model), base: job.base, clipSkip: job.base.clipSkip ?? null, adapters };
}

/** The values are rounded as an export rounds them. */
async function openTrainedPainting(path: string, { step, strength }: Pick<SampleSettings, 'step' | 'strength'>, chosen: ChosenRuntime): Promise<PaintedFrom> {
  const run = openRun(path, chosen);
  const checkpoint = chooseCheckpoint(run, step);
  const saved = openSavedValues(checkpoint.path);
  const exact = new Map(run.plan.tensors.map(({ name }) => [name, saved(name)]));
  const rounded = roundTrained(exact, trainedScale(run.job), run.job.output.dtype);
  const changes = new Map<string, Float32Array>();
  for await (const { path: parameter, merge } of mergedWeights(run)) {
    addChange(changes, parameter, await merge((name) => rounded.get(name)!), run.baseModel, strength);
  }
  return {
    model: run.model, baseModel: withWeights(run.baseModel, changes), noise: noiseOf(run.job, run.model),
    base: run.job.base, clipSkip: run.job.base.clipSkip ?? null, adapters: adapterOfRun(run, checkpoint.step),
  };
}

/** changes[path] += strength · (merged − base), starting from the base. */
function addChange(changes: Map<string, Float32Array>, path: string, merged: Float32Array, folder: OpenModel, strength: number): void {
  const known = changes.get(path);
  if (!known && strength === 1) {
    changes.set(path, merged);
    return;
  }
  const base = folder.readF32(path);
  const sum = known ?? base.slice();
  for (let i = 0; i < sum.length; i++) sum[i]! += strength * (merged[i]! - base[i]!);
  changes.set(path, sum);
}

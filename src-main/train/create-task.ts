// Sets up what a job trains on: reads the data set, fills the caches, makes the task.
import { join } from 'node:path';
import { alphasCumprodOf } from '../catalog/noise.ts';
import { objectiveFor } from '../catalog/objectives/index.ts';
import type { TrainEventBody } from '../contract/events.ts';
import { prepareDataset } from '../dataset/index.ts';
import { appFolders } from '../files/paths.ts';
import { Autoencoder, ShapedPrograms, TextEncoders } from './encoders.ts';
import { noiseOf } from './noise-of.ts';
import { dropoutOf } from './plan.ts';
import type { OpenRun } from './run-job.ts';
import { createExampleSource, createPictureSource } from './sources.ts';
import type { TrainingTask } from './task.ts';
import { createAutoencoderTask } from './tasks/autoencoder.ts';
import { createDenoiserTask } from './tasks/denoiser.ts';
import type { TrainedTensor } from './trained.ts';

export interface PreparedTask {
  readonly task: TrainingTask;
  readonly images: number;
  /** Of the data set; a resumed run compares it. */
  readonly fingerprint: string;
  /** Pictures to measure a trained autoencoder's latents on; null for other tasks. */
  readonly latentStatistics: (() => Promise<Float32Array[]>) | null;
}

const hasWeights = (run: OpenRun, component: string): boolean => (run.modelFolder.files.get(component)?.tensors.size ?? 0) > 0;

export async function createTask(run: OpenRun, tensors: readonly TrainedTensor[], emit: (event: TrainEventBody) => void, { cacheFolder, signal }: { readonly cacheFolder?: string; readonly signal?: AbortSignal }): Promise<PreparedTask> {
  const { job, model, modelFolder, plan, runtime } = run;
  const side = model.nativeSide;
  emit({ kind: 'phase', name: 'read the data set', done: 0, total: 0, unit: 'pictures' });
  const dataset = await prepareDataset(job.data, { modelSize: { width: side, height: side }, pixelStep: model.pixelStep, seed: job.train.seed, ...(signal ? { signal } : {}) });
  for (const { code, text, data } of dataset.warnings) emit({ kind: 'warning', code, text, ...(data ? { data: { ...data } } : {}) });
  const common = { dataset, batch: job.train.batch, seed: job.train.seed };
  const facts = { images: dataset.items.length, fingerprint: dataset.fingerprint };

  if (job.task === 'autoencoder') {
    const pictures = createPictureSource(common);
    const task = createAutoencoderTask({ model, job, tensors, builder: plan.builder, pictures });
    const latentStatistics = async () => (await pictures.measuringBatches()).map(({ pixels }) => pixels);
    // Latents of a frozen encoder keep their scale.
    return { ...facts, task, latentStatistics: job.autoencoder.part === 'all' ? latentStatistics : null };
  }
  const { noise, prediction } = noiseOf(job, model);
  const objective = objectiveFor(job.objective.kind === 'auto' ? prediction : job.objective.kind);
  const programs = new ShapedPrograms(runtime, modelFolder);
  const text = new TextEncoders(model, modelFolder, programs);
  const textParts = model.textEncoders.map(({ component }) => component);
  const examples = await createExampleSource({
    ...common, model, text,
    autoencoder: new Autoencoder(model, programs),
    trainsText: plan.trainsText,
    cacheFolder: cacheFolder ?? join(appFolders().cache, 'encoded'),
    autoencoderId: `${modelFolder.identity('vae')} ${runtime.device}`,
    textId: textParts.filter((part) => hasWeights(run, part)).map((part) => `${modelFolder.identity(part)} ${runtime.device}`).join(' '),
    onProgress: (name, done, total) => emit({ kind: 'phase', name, done, total, unit: 'items' }),
    ...(signal ? { signal } : {}),
  });
  await programs.dispose();
  const task = createDenoiserTask({ model, job, objective, alphasCumprod: alphasCumprodOf(noise), tensors, builder: plan.builder, trainsText: plan.trainsText, examples, dropout: dropoutOf(job) });
  return { ...facts, task, latentStatistics: null };
}

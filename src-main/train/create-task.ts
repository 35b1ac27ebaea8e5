// Sets up what a job trains on: reads the data set, fills the caches, makes the task.
import { join } from 'node:path';
import { keptUnlessFailed } from '../base/dispose.ts';
import { alphasCumprodOf } from '../catalog/noise.ts';
import type { TrainEventBody } from '../contract/events.ts';
import type { Job } from '../contract/job.ts';
import { checkPictures } from '../dataset/check-pictures.ts';
import { withPrefix } from '../dataset/caption.ts';
import { prepareDataset, type PreparedDataset } from '../dataset/index.ts';
import { countOf, listNames, shortName } from '../dataset/names.ts';
import { appFolders } from '../files/paths.ts';
import { Autoencoder, ShapedPrograms, TextEncoders } from './encoders.ts';
import { noiseOf } from './noise-of.ts';
import { objectiveOf } from './objective-of.ts';
import { dropoutOf } from './plan.ts';
import type { OpenRun } from './run-job.ts';
import { createExampleSource, createPictureSource } from './sources.ts';
import type { TrainingTask } from './task.ts';
import { createAutoencoderTask, type PictureBatch } from './tasks/autoencoder.ts';
import { createDenoiserTask } from './tasks/denoiser.ts';
import type { TrainedTensor } from './trained.ts';

export interface PreparedTask {
  readonly task: TrainingTask;
  readonly images: number;
  /** Of the data set; a resumed run compares it. */
  readonly fingerprint: string;
  /** Pictures to measure a trained autoencoder's latents on; null for other tasks. */
  readonly latentStatistics: (() => Promise<readonly PictureBatch[]>) | null;
  /** Gives back what the task computes with besides its own step: encoders of texts that come up while training. */
  dispose(): Promise<void>;
}

const hasWeights = (run: OpenRun, component: string): boolean => (run.baseModel.files.get(component)?.tensors.size ?? 0) > 0;

export interface TaskSettings {
  readonly cacheFolder?: string;
  readonly signal?: AbortSignal;
  /** Told of the data set before anything is encoded; what it throws ends the preparation. */
  readonly onDataset?: (dataset: PreparedDataset) => Promise<void>;
}

export async function createTask(run: OpenRun, tensors: readonly TrainedTensor[], emit: (event: TrainEventBody) => void, { cacheFolder, signal, onDataset }: TaskSettings): Promise<PreparedTask> {
  const { job, model, baseModel, plan, runtime } = run;
  const side = model.nativeSide;
  const stop = signal ? { signal } : {};
  emit({ kind: 'phase', name: 'read the data set', done: 0, total: 0, unit: 'pictures' });
  const dataset = await prepareDataset(job.data, { modelSize: { width: side, height: side }, pixelStep: model.pixelStep, seed: job.train.seed, ...stop });
  for (const { code, text, data } of dataset.warnings) emit({ kind: 'warning', code, text, ...(data ? { data: { ...data } } : {}) });
  await onDataset?.(dataset);
  const common = { dataset, batch: job.train.batch, seed: job.train.seed };
  const facts = { images: dataset.items.length, fingerprint: dataset.fingerprint };
  const onProgress = (name: string, done: number, total: number): void => emit({ kind: 'phase', name, done, total, unit: 'items' });

  if (job.task === 'autoencoder') {
    await checkPictures([...dataset.items, ...dataset.heldOut], { ...stop, onProgress: (done, total) => onProgress('check pictures', done, total) });
    const pictures = createPictureSource(common);
    const task = createAutoencoderTask({ model, job, tensors, builder: plan.builder, pictures });
    // Latents of a frozen encoder keep their scale.
    return { ...facts, task, latentStatistics: job.autoencoder.part === 'all' ? () => pictures.measuringBatches() : null, dispose: async () => {} };
  }
  const { noise, prediction } = noiseOf(job, model);
  const { objective, warnings } = objectiveOf(job, noise, prediction);
  for (const warning of warnings) emit({ kind: 'warning', ...warning });
  return keptUnlessFailed(async (keep) => {
    const autoencoder = keep(new Autoencoder(model, new ShapedPrograms(runtime, baseModel)));
    const text = keep(new TextEncoders(model, baseModel, new ShapedPrograms(runtime, baseModel), job.data.caption.maxTokens));
    warnOfCuts(text, dataset, job, emit);
    const textParts = model.textEncoders.map(({ component }) => component);
    const examples = await createExampleSource({
      ...common, model, text, autoencoder,
      trainsText: plan.trainsText,
      cacheFolder: cacheFolder ?? join(appFolders().cache, 'encoded'),
      autoencoderId: `${baseModel.identity('vae')} ${runtime.device}`,
      textId: textParts.filter((part) => hasWeights(run, part)).map((part) => `${baseModel.identity(part)} ${runtime.device} ${job.base.clipSkip ?? ''} ${job.data.caption.maxTokens}`).join(' '),
      onProgress, ...stop,
    });
    const task = createDenoiserTask({ model, job, objective, alphasCumprod: alphasCumprodOf(noise), tensors, builder: plan.builder, trainsText: plan.trainsText, examples, dropout: dropoutOf(job) });
    return { ...facts, task, latentStatistics: null, dispose: () => text.dispose() };
  });
}

/** Captions and prompts that are longer than what is used of them. */
function warnOfCuts(text: TextEncoders, { items, heldOut, caption }: PreparedDataset, { preview }: Job, emit: (event: TrainEventBody) => void): void {
  const cut = [...items, ...heldOut].flatMap((item) => {
    const found = text.cut(withPrefix(caption.prefix, item.caption ?? '', caption.separator));
    return found ? [{ path: item.path, ...found }] : [];
  });
  const [first] = cut;
  if (first) {
    emit({
      kind: 'warning', code: 'caption.cut', data: { files: cut.map(({ path }) => path) },
      text: `${countOf(cut.length, 'caption')} longer than the ${first.used} tokens that are used, so that the end is not trained: ${listNames(cut.map(({ path, has }) => `${shortName(path)} (${has})`))}; shorten them or raise data.caption.maxTokens.`,
    });
  }
  for (const prompt of [...preview.prompts, preview.negative]) {
    // Previews show what other programs make of a prompt, whatever is used of captions.
    const found = text.cut(prompt, 'auto');
    if (found) emit({ kind: 'warning', code: 'prompt.cut', text: `The prompt "${prompt.slice(0, 40)}…" has ${found.has} tokens; the first ${found.used} are used.`, data: { prompt, ...found } });
  }
}

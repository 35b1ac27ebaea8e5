// Previews: pictures from the very values that an export would write, rounded as the export rounds them.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { TrainEventBody } from '../contract/events.ts';
import type { Job } from '../contract/job.ts';
import type { DeviceTensor } from '../runtime/runtime.ts';
import { webuiName } from './export-choice.ts';
import { calledThere, usedFor, type PictureElsewhere } from './export-beside.ts';
import { roundForExport } from './export-values.ts';
import { noiseOf } from './noise-of.ts';
import { Painter } from './painter.ts';
import { checkPicture } from './check-picture.ts';
import { savePicture, type PaintedWith, type PictureSettings } from './picture.ts';
import type { OpenRun } from './run-job.ts';
import type { TrainedValues } from './trained.ts';

export type RoundedValues = TrainedValues;

export interface Preview {
  /** @param isRepeated the step was reached before, so that only what is missing is painted */
  run(step: number, isRepeated?: boolean): Promise<void>;
  dispose(): Promise<void>;
}

/** @param shouldStop asked while painting, see `Painter` */
export function createPreview(run: OpenRun, values: () => ReadonlyMap<string, DeviceTensor>, emit: (event: TrainEventBody) => void, shouldStop: () => boolean): Preview {
  const { job, model, baseModel, runtime, plan, folder } = run;
  const painter = new Painter({ model, baseModel, runtime, builder: plan.builder, trainsText: plan.trainsText, noise: noiseOf(job, model), shouldStop });
  const wanted = previewPictures(run);
  const used = paintedWith(run);
  return {
    run: async (step, isRepeated = false) => {
      const fileOf = (index: number): string => join(folder.samples, `step-${String(step).padStart(6, '0')}-${index}.png`);
      if (isRepeated && wanted.every((_, index) => existsSync(fileOf(index)))) return;
      const pictures = await painter.paint(await roundForExport(values(), run), wanted);
      // Between previews their programs, each with the weights of the model, would only take room beside the training.
      await painter.dispose();
      for (const [index, picture] of pictures.entries()) {
        const file = fileOf(index);
        const { prompt, seed } = wanted[index]!;
        await savePicture(file, picture, wanted[index]!, used);
        emit({ kind: 'sample', step, file, prompt, seed });
      }
    },
    dispose: () => painter.dispose(),
  };
}

/** Refuses previews that could not be painted, before training begins. Errors: `picture.*`. */
export function checkPreview(run: Pick<OpenRun, 'job' | 'model'>): void {
  const { noise } = noiseOf(run.job, run.model);
  for (const picture of previewPictures(run)) checkPicture(picture, run.model, noise);
}

/** One picture for each prompt; seeds count up from the job's. */
export function previewPictures({ job: { preview }, model }: Pick<OpenRun, 'job' | 'model'>): PictureSettings[] {
  const { negative, sampler, steps, guidance, seed, width = model.nativeSide, height = model.nativeSide } = preview;
  const prompts = preview.prompts.length > 0 ? preview.prompts : [''];
  return prompts.map((prompt, index) => ({ prompt, negative, seed: seed + index, sampler, steps, guidance, width, height }));
}

/** Names of the base and of the adapter's file, for the texts in previews. */
export const paintedWith = (run: Pick<OpenRun, 'job' | 'plan' | 'model'>): PaintedWith => usedFor(pictureOfRun(run), calledThere(webuiName(run)));

/** The first preview of a run, to be made again with an exported file, here or in another program. */
export const pictureOfRun = ({ job, model }: Pick<OpenRun, 'job' | 'model'>): PictureElsewhere =>
  ({ settings: previewPictures({ job, model })[0]!, noise: noiseOf(job, model), clipSkip: job.base.clipSkip ?? null, base: job.base });

export const previewCount = ({ preview }: Pick<Job, 'preview'>): number => Math.max(1, preview.prompts.length);

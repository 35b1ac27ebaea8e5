// Previews: pictures from the very values that an export would write, rounded as the export rounds them.
import { join } from 'node:path';
import { rng } from '../base/rng.ts';
import { alphasCumprodOf } from '../catalog/noise.ts';
import { samplers } from '../catalog/samplers/index.ts';
import type { Sampler } from '../catalog/define/sampler.ts';
import type { TrainEventBody } from '../contract/events.ts';
import type { Job } from '../contract/job.ts';
import { writeFileAtomic } from '../files/atomic-write.ts';
import { encodePng } from '../files/images.ts';
import type { DeviceTensor, HostTensor } from '../runtime/runtime.ts';
import { Painter } from './painter.ts';
import { roundForExport } from './export-values.ts';
import { noiseOf } from './noise-of.ts';
import type { OpenRun } from './run-job.ts';

export interface Preview {
  run(step: number): Promise<void>;
  dispose(): Promise<void>;
}

export function createPreview(run: OpenRun, values: () => ReadonlyMap<string, DeviceTensor>, emit: (event: TrainEventBody) => void): Preview {
  const { job, folder } = run;
  const painter = new Painter(run);
  return {
    run: async (step) => {
      const rounded = await roundForExport(values(), run);
      for (const [index, prompt] of promptsOf(job).entries()) {
        const seed = job.preview.seed + index;
        const picture = await painter.paint(rounded, { ...pictureSettings(run), prompt, seed });
        const file = join(folder.samples, `step-${String(step).padStart(6, '0')}-${index}.png`);
        await writeFileAtomic(file, await encodePng(picture.rgb, picture.width, picture.height, { parameters: infoText(job, prompt, seed, picture) }));
        emit({ kind: 'sample', step, file, prompt, seed });
      }
    },
    dispose: () => painter.dispose(),
  };
}

const promptsOf = ({ preview }: Job): readonly string[] => (preview.prompts.length > 0 ? preview.prompts : ['']);

export interface PictureSettings {
  readonly prompt: string;
  readonly negative: string;
  readonly seed: number;
  readonly sampler: string;
  readonly steps: number;
  readonly guidance: number;
  readonly width: number;
  readonly height: number;
}

export function pictureSettings({ job, model }: Pick<OpenRun, 'job' | 'model'>): Omit<PictureSettings, 'prompt' | 'seed'> {
  const { negative, sampler, steps, guidance, width = model.nativeSide, height = model.nativeSide } = job.preview;
  return { negative, sampler, steps, guidance, width, height };
}

/** What A1111 writes into its pictures, so that the settings can be read there. */
export const infoText = ({ preview }: Pick<Job, 'preview'>, prompt: string, seed: number, { width, height }: { width: number; height: number }): string =>
  `${prompt}\n${preview.negative ? `Negative prompt: ${preview.negative}\n` : ''}Steps: ${preview.steps}, Sampler: ${preview.sampler}, CFG scale: ${preview.guidance}, Seed: ${seed}, Size: ${width}x${height}`;

/** The starting noise of a picture and the noise of its steps, by seed. */
export const pictureNoise = (seed: number, size: number, stream: string, step = 0): Float32Array => rng(seed, 'picture', stream, step).fillNormal(new Float32Array(size));

export function startSampler(run: Pick<OpenRun, 'job' | 'model'>, kind: string, steps: number) {
  const { noise, prediction } = noiseOf(run.job, run.model);
  const sampler = (samplers as Readonly<Record<string, Sampler>>)[kind]!;
  return sampler.start({ alphasCumprod: alphasCumprodOf(noise), prediction, steps });
}

export type RoundedValues = ReadonlyMap<string, HostTensor>;

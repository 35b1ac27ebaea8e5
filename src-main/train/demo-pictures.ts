// The pictures of the demo: those it learns from, and prompts painted with and without what it learnt.
import type { Job } from '../contract/job.ts';
import { detectModel } from '../catalog/families/index.ts';
import { prepareDataset } from '../dataset/index.ts';
import { pixelSource } from '../dataset/pixels.ts';
import { encodePng } from '../files/images.ts';
import type { ChosenRuntime } from './choose-runtime.ts';
import { openModel } from './open-model.ts';
import { noiseOf } from './noise-of.ts';
import { Painter } from './painter.ts';
import { picturePng, type Picture, type PictureSettings } from './picture.ts';
import { previewPictures } from './preview.ts';

export interface CaptionedPicture {
  readonly caption: string;
  /** At the size of the model. */
  readonly png: Uint8Array;
}

export interface DemoPictures {
  readonly training: readonly CaptionedPicture[];
  /** Held-out pictures to compare with. */
  readonly real: readonly CaptionedPicture[];
  /** Held-out pictures that are measured. */
  readonly heldOut: number;
}

/** Rows of the comparison. */
const ROWS = 6;

export async function loadDemoPictures(job: Job): Promise<DemoPictures> {
  const model = detectModel(openModel(job.base.model).files);
  const side = model.nativeSide;
  const { items, heldOut, background } = await prepareDataset(job.data, { modelSize: { width: side, height: side }, pixelStep: model.pixelStep, seed: job.train.seed });
  const load = async (list: typeof items): Promise<CaptionedPicture[]> => {
    const source = pixelSource({ items: list, background });
    return Promise.all(list.map(async ({ caption }, index) => {
      const { data, width, height } = await source.crop(index, 0);
      return { caption: caption ?? '', png: await encodePng(data, width, height) };
    }));
  };
  return { training: await load(items), real: await load(heldOut.slice(0, ROWS)), heldOut: heldOut.length };
}

export interface Comparison {
  readonly settings: PictureSettings;
  readonly base: Uint8Array;
  readonly adapted: Uint8Array;
  readonly real: Uint8Array;
}

/** Paints the captions of held-out pictures with the base and with the merged model that was written, both from their files. */
export async function paintComparison(
  job: Job, chosen: ChosenRuntime, { merged }: { readonly merged: string }, { real }: DemoPictures, onProgress: (done: number, total: number) => void,
): Promise<Comparison[]> {
  const model = detectModel(openModel(job.base.model).files);
  const wanted = previewPictures({ model, job: { ...job, preview: { ...job.preview, prompts: real.map(({ caption }) => caption) } } });
  const total = wanted.length * 2;
  const base = await paintWith(job.base.model, job, chosen, wanted, (done) => onProgress(done, total));
  const adapted = await paintWith(merged, job, chosen, wanted, (done) => onProgress(wanted.length + done, total));
  return Promise.all(wanted.map(async (settings, i) => ({
    settings, base: await picturePng(base[i]!, settings), adapted: await picturePng(adapted[i]!, settings), real: real[i]!.png,
  })));
}

async function paintWith(folder: string, job: Job, { runtime, compute }: ChosenRuntime, wanted: readonly PictureSettings[], onProgress: (done: number) => void): Promise<Picture[]> {
  const baseModel = openModel(folder);
  const model = detectModel(baseModel.files);
  const painter = new Painter({ model, baseModel, runtime, builder: { compute, storedDType: baseModel.storedDType }, trainsText: false, noise: noiseOf(job, model) });
  try {
    return await painter.paint(new Map(), wanted, onProgress);
  } finally {
    await painter.dispose();
  }
}

// The data set as the tasks want it: pictures for the autoencoder, latents and prompts for the denoiser.
import type { Model } from '../catalog/define/family.ts';
import { createBatches, type Batches } from '../dataset/batches.ts';
import { captionFor, possibleTexts, withPrefix } from '../dataset/caption.ts';
import type { Draw } from '../dataset/draws.ts';
import type { PreparedDataset } from '../dataset/index.ts';
import { encodeLatents, type LatentStore } from '../dataset/latents.ts';
import { pixelSource } from '../dataset/pixels.ts';
import { toBatch } from '../dataset/crop.ts';
import { encodeTexts, type TextStore } from '../dataset/texts.ts';
import { cropConditioning } from '../dataset/variants.ts';
import type { DatasetItem, Size } from '../dataset/types.ts';
import type { Autoencoder, TextEncoders } from './encoders.ts';
import type { Encoded, Prompt } from './condition.ts';
import type { PictureBatch, PictureSource } from './tasks/autoencoder.ts';
import type { Example, ExampleSource } from './tasks/denoiser.ts';

/** Pictures measured at once, and at most. */
const MEASURED_AT_ONCE = 8;
const MEASURED_AT_MOST = 64;

export interface SourceSettings {
  readonly dataset: PreparedDataset;
  readonly batch: number;
  readonly seed: number;
}

export function createPictureSource({ dataset, batch, seed }: SourceSettings): PictureSource {
  const batches = createBatches(dataset.items, { batchSize: batch, seed });
  const training = pixelSource(dataset);
  const measured = measuredItems(dataset);
  const measuring = pixelSource({ items: measured, background: dataset.background });
  const load = async (source: typeof training, uses: readonly { item: number; variant: number }[]): Promise<PictureBatch> => {
    const crops = await Promise.all(uses.map(({ item, variant }) => source.crop(item, variant)));
    return { pixels: toBatch(crops), count: crops.length, width: crops[0]!.width, height: crops[0]!.height };
  };
  return {
    batchAt: (index) => load(training, batches.at(index).entries),
    measuringBatches: async () => {
      const groups = groupByShape(measured.map((item, index) => ({ item: index, variant: 0, bucket: item.bucket })));
      const result: PictureBatch[] = [];
      for (const group of groups) result.push(await load(measuring, group));
      return result;
    },
  };
}

export interface ExampleSourceSettings extends SourceSettings {
  readonly model: Model;
  readonly autoencoder: Autoencoder;
  readonly text: TextEncoders;
  /** With trained text encoders prompts are given as ids; their outputs are not cached. */
  readonly trainsText: boolean;
  readonly cacheFolder: string;
  /** Identify the weights (and number format) that cached values were made with. */
  readonly autoencoderId: string;
  readonly textId: string;
  readonly onProgress: (name: string, done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Encodes what is not in the cache yet. Each encoder gives its memory back when its work is done, and there is never more
 * than one kind of them; a text that comes up later (of shuffled captions) compiles the text encoders again.
 */
export async function createExampleSource(settings: ExampleSourceSettings): Promise<ExampleSource> {
  const { dataset, batch, seed } = settings;
  const measured = measuredItems(dataset);
  const latents = await encodePictures(settings, measured);
  await settings.autoencoder.dispose();
  const prompts = await promptSource(settings, measured);
  await settings.text.dispose();
  const batches: Batches = createBatches(dataset.items, { batchSize: batch, seed });

  const exampleOf = async (item: DatasetItem, variant: number, text: string): Promise<Example> => {
    const { mean, logvar } = await latents.moments(item, variant);
    const [, height, width] = mean.shape as [number, number, number];
    const moments = new Float32Array(mean.data.length * 2);
    moments.set(mean.data);
    moments.set(logvar.data, mean.data.length);
    const { originalSize, cropTopLeft, targetSize } = cropConditioning(item.size, item.variants[variant]!);
    const timeIds = [originalSize.height, originalSize.width, cropTopLeft.top, cropTopLeft.left, targetSize.height, targetSize.width];
    return { moments, height, width, prompt: await prompts(text), timeIds, isRegularization: item.regularization };
  };
  const textOf = ({ item, occurrence }: Draw): string =>
    captionFor(dataset.items[item]!.caption, dataset.caption, { seed, item, occurrence });
  return {
    batchAt: (index) => Promise.all(batches.at(index).entries.map((draw) => exampleOf(dataset.items[draw.item]!, draw.variant, textOf(draw)))),
    measuringBatches: () => Promise.all(groupByShape(measured).map((group) =>
      Promise.all(group.map((item) => exampleOf(item, 0, plainText(dataset, item)))))),
  };
}

const plainText = ({ caption }: PreparedDataset, item: DatasetItem): string => withPrefix(caption.prefix, item.caption ?? '', caption.separator);

export interface MeasuringGroup {
  readonly size: Size;
  /** Pictures of a batch. */
  readonly rows: number;
  /** Number of such batches. */
  readonly count: number;
}

/** The shapes of the batches that are measured. */
export function measuringGroups(dataset: Pick<PreparedDataset, 'items' | 'heldOut' | 'buckets'>): MeasuringGroup[] {
  const groups = new Map<string, MeasuringGroup>();
  for (const group of groupByShape(measuredItems(dataset))) {
    const { bucket } = group[0]!;
    const key = `${group.length}x${bucket}`;
    groups.set(key, { size: dataset.buckets[bucket]!, rows: group.length, count: (groups.get(key)?.count ?? 0) + 1 });
  }
  return [...groups.values()];
}

/** Held-out pictures, or without them the first ones that are trained on. */
function measuredItems({ items, heldOut }: Pick<PreparedDataset, 'items' | 'heldOut'>): readonly DatasetItem[] {
  const candidates = heldOut.length > 0 ? heldOut : items.filter(({ regularization }) => !regularization);
  return candidates.slice(0, MEASURED_AT_MOST);
}

function groupByShape<T extends { readonly bucket: number }>(items: readonly T[]): T[][] {
  const groups: T[][] = [];
  for (const bucket of new Set(items.map((item) => item.bucket))) {
    const own = items.filter((item) => item.bucket === bucket);
    for (let at = 0; at < own.length; at += MEASURED_AT_ONCE) groups.push(own.slice(at, at + MEASURED_AT_ONCE));
  }
  return groups;
}

async function encodePictures(settings: ExampleSourceSettings, measured: readonly DatasetItem[]): Promise<LatentStore> {
  const { dataset, autoencoder, model, cacheFolder, autoencoderId, onProgress, signal } = settings;
  const all = [...new Set([...dataset.items, ...measured])];
  return encodeLatents(all, dataset.background, {
    cacheDir: cacheFolder,
    encoderId: autoencoderId,
    encodePixels: async (pixels, shape) => {
      const moments = await autoencoder.encode(pixels, shape);
      return splitRows(moments, shape, model);
    },
    onProgress: (done, total) => onProgress('encode pictures', done, total),
    ...(signal ? { signal } : {}),
  });
}

/** moments [n,2C,h,w] as mean and log variance, each [n,C,h,w]. */
function splitRows(moments: Float32Array, [count, , height, width]: readonly [number, number, number, number], { latent }: Model) {
  const shape = [count, latent.channels, height / latent.factor, width / latent.factor];
  const size = moments.length / count / 2;
  const part = (offset: number): Float32Array => {
    const data = new Float32Array(count * size);
    for (let i = 0; i < count; i++) data.set(moments.subarray((2 * i + offset) * size, (2 * i + offset + 1) * size), i * size);
    return data;
  };
  return { mean: { shape, data: part(0) }, logvar: { shape, data: part(1) } };
}

/** Prompts with tokens, and with what the text encoders make of them unless those are trained. */
async function promptSource(settings: ExampleSourceSettings, measured: readonly DatasetItem[]): Promise<(text: string) => Promise<Prompt>> {
  const { dataset, text, trainsText, model } = settings;
  if (trainsText) return async (prompt) => ({ text: prompt, tokens: text.tokens(prompt), encoded: null });
  const captions = [...dataset.items, ...measured].map(({ caption }) => caption);
  const texts = possibleTexts(captions, dataset.caption) ?? ['', ...measured.map((item) => plainText(dataset, item))];
  const store = await encodeTextsOf(settings, texts, model);
  return async (prompt) => {
    const { context, pooled } = await store.get(prompt);
    const encoded: Encoded = { context: context.data, contextShape: context.shape as unknown as readonly [number, number], pooled: pooled?.data ?? null };
    return { text: prompt, tokens: new Map(), encoded };
  };
}

function encodeTextsOf({ text, cacheFolder, textId, onProgress, signal }: ExampleSourceSettings, texts: readonly string[], model: Model): Promise<TextStore> {
  const hasPooled = model.condition(1).pooled !== undefined;
  return encodeTexts(texts, {
    cacheDir: cacheFolder,
    encoderId: textId,
    hasPooled,
    encodeText: async (batch) => {
      const encoded = await text.encode(batch);
      const stack = (rows: readonly Float32Array[], shape: readonly number[]) => {
        const data = new Float32Array(rows.length * rows[0]!.length);
        rows.forEach((row, i) => data.set(row, i * row.length));
        return { shape: [rows.length, ...shape], data };
      };
      const context = stack(encoded.map((one) => one.context), encoded[0]!.contextShape);
      return hasPooled ? { context, pooled: stack(encoded.map((one) => one.pooled!), [encoded[0]!.pooled!.length]) } : { context };
    },
    onProgress: (done, total) => onProgress('encode captions', done, total),
    ...(signal ? { signal } : {}),
  });
}

// The data set of a job, from folders to a plan: which pictures, in which shapes, cut how, what is held out.
// Stages: scan -> measure -> split -> fit; then batches say the order and encode fills the cache.
import { createHash } from 'node:crypto';
import { UserError } from '../base/errors.ts';
import { planBuckets, show } from './buckets.ts';
import { parseColour, type Colour } from './composite.ts';
import { fitItems, fitWarnings } from './fit.ts';
import { splitByFolder, splitByFraction, type Split } from './holdout.ts';
import { measureItems } from './measure.ts';
import { countOf } from './names.ts';
import { scanFolders } from './scan.ts';
import { applySelection, readSelection } from './selection.ts';
import type {
  Bucket, CaptionSettings, DataSettings, DatasetItem, DatasetWarning, MeasuredItem, Size,
} from './types.ts';

export interface PrepareOptions {
  /** The size that the model was made for; what `resolution: 'auto'` means. */
  readonly modelSize: Size;
  /** Sides of pictures must be multiples of this: the autoencoder's factor times that of the denoiser. */
  readonly pixelStep: number;
  readonly seed: number;
  /** Random crops that are kept of each picture; 4 if left out. */
  readonly crops?: number;
  readonly signal?: AbortSignal;
}

export interface PreparedDataset {
  /** Everything that is trained on, regularization pictures too. Batches name pictures by their index here. */
  readonly items: readonly DatasetItem[];
  /** Never trained on; cut from the middle, not mirrored. */
  readonly heldOut: readonly DatasetItem[];
  /** The shapes in use, from narrow to wide. */
  readonly buckets: readonly Bucket[];
  readonly background: Colour;
  readonly caption: CaptionSettings;
  readonly warnings: readonly DatasetWarning[];
  /** One line for people: how many pictures in which shapes. */
  readonly summary: string;
  /** Changes with everything that decides what is trained; a resumed run compares it. */
  readonly fingerprint: string;
}

/**
 * Reads folders, captions, headers and hashes; decodes no picture. Errors: those of the stages, all UserError
 * `dataset.*`, `dataset.nothing-to-train`, and `dataset.no-holdout-folder` for a folder of held-out pictures that is not one.
 */
export async function prepareDataset(data: DataSettings, options: PrepareOptions): Promise<PreparedDataset> {
  const { modelSize, pixelStep, seed, crops = 4, signal } = options;
  const plan = planBuckets(data, modelSize, pixelStep);
  const selection = data.selection === undefined ? null : await readSelection(data.selection);
  const leftOut = new Set([...selection ?? []].flatMap(([path, { included }]) => (included === false ? [path] : [])));
  const scan = await scanFolders(data.folders, { leftOut });
  const chosen = selection === null ? scan.items : applySelection(scan.items, selection);
  const measured = await measureItems(chosen, signal);
  if (!measured.some(({ regularization }) => !regularization)) {
    throw new UserError('dataset.nothing-to-train', 'All folders of the data set are regularization folders: add one ' +
      'with the pictures to learn from.');
  }
  const split = await splitOff(measured, data.holdout, signal);
  const training = fitItems(split.training, plan.sizes, { crop: data.crop, flip: data.flip, crops, seed });
  const heldOut = fitItems(split.heldOut, plan.sizes, { crop: 'center', flip: false, crops: 1, seed });
  const { buckets, items, held } = dropUnused(plan.sizes, training, heldOut);
  return {
    items, heldOut: held, buckets,
    background: parseColour(data.background),
    caption: data.caption,
    warnings: [...scan.warnings, ...plan.warnings, ...split.warnings, ...fitWarnings([...items, ...held])],
    summary: summaryOf(items, held, buckets),
    fingerprint: fingerprintOf(data, items, held),
  };
}

const FOLDER_ERRORS: ReadonlySet<string> = new Set(['dataset.no-folder', 'dataset.not-a-folder', 'dataset.empty-folder']);

/** It is not the folder that is trained on, which the plain sentence would be taken for. */
function holdoutError({ code }: UserError, path: string): UserError {
  const what = code === 'dataset.no-folder' ? 'does not exist' : code === 'dataset.not-a-folder' ? 'is a file' : 'holds no pictures (PNG, JPEG, WebP or AVIF)';
  return new UserError('dataset.no-holdout-folder', `The folder of held-out pictures ${JSON.stringify(path)} (data.holdout) ${what}: name another one, or a share of the pictures ` +
    'such as 0.1; 0 measures on none.', { path });
}

async function splitOff(
  items: readonly MeasuredItem[], holdout: string | number, signal: AbortSignal | undefined,
): Promise<Split> {
  if (typeof holdout === 'number') return splitByFraction(items, holdout);
  const scan = await scanFolders([{ path: holdout, regularization: false }]).catch((error: unknown) => {
    throw error instanceof UserError && FOLDER_ERRORS.has(error.code) ? holdoutError(error, holdout) : error;
  });
  const split = splitByFolder(items, await measureItems(scan.items, signal));
  return { ...split, warnings: [...scan.warnings, ...split.warnings] };
}

/** Keeps the sizes that some picture has, and numbers the pictures' buckets anew. */
function dropUnused(sizes: readonly Size[], training: readonly DatasetItem[], heldOut: readonly DatasetItem[]) {
  const used = sizes.flatMap((_, index) =>
    ([...training, ...heldOut].some(({ bucket }) => bucket === index) ? [index] : []));
  const buckets = used.map((index): Bucket => {
    const own = training.filter(({ bucket }) => bucket === index);
    return { ...sizes[index]!, pictures: own.length, draws: own.reduce((sum, { repeats }) => sum + repeats, 0) };
  });
  const renumber = (items: readonly DatasetItem[]): DatasetItem[] =>
    items.map((item) => ({ ...item, bucket: used.indexOf(item.bucket) }));
  return { buckets, items: renumber(training), held: renumber(heldOut) };
}

function summaryOf(items: readonly DatasetItem[], heldOut: readonly DatasetItem[], buckets: readonly Bucket[]): string {
  const prior = items.filter(({ regularization }) => regularization).length;
  const extra = (prior > 0 ? `, ${prior} for prior preservation` : '')
    + (heldOut.length > 0 ? `, ${heldOut.length} held out` : '');
  const shapes = buckets.filter(({ pictures }) => pictures > 0).map((bucket) => `${show(bucket)} (${bucket.pictures})`);
  return `${countOf(items.length - prior, 'picture')} to train on${extra}; sizes ${shapes.join(', ')}.`;
}

function fingerprintOf(data: DataSettings, items: readonly DatasetItem[], heldOut: readonly DatasetItem[]): string {
  const facts = [...items, ...heldOut].map(({ contentHash, caption, repeats, regularization, variants }) =>
    [contentHash, caption, repeats, regularization, variants]);
  const text = JSON.stringify([items.length, facts, data.caption, data.background]);
  return createHash('sha256').update(text).digest('hex');
}

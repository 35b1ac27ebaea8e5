// What an adapter file tells about its pictures: how many, in which shapes, which words their captions have.
import type { DataFacts } from '../catalog/define/format.ts';
import type { Model } from '../catalog/define/family.ts';
import { UserError } from '../base/errors.ts';
import type { Job } from '../contract/job.ts';
import { prepareDataset, type PreparedDataset } from '../dataset/index.ts';

/** Last part of a path. */
export const lastOf = (path: string): string => path.split(/[\\/]/).findLast((part) => part !== '') ?? '';

/** A data folder as files may name it: one like `10_style`, which says how often it counts, or a number. */
export const folderName = (path: string, index: number): string => (/^\d+_/.test(lastOf(path)) ? lastOf(path) : `folder-${index + 1}`);

/** Null when the pictures are not there any more, or cannot be read. */
export async function readDataset(job: Job, { nativeSide, pixelStep }: Pick<Model, 'nativeSide' | 'pixelStep'>): Promise<PreparedDataset | null> {
  try {
    return await prepareDataset(job.data, { modelSize: { width: nativeSide, height: nativeSide }, pixelStep, seed: job.train.seed });
  } catch (error) {
    if (error instanceof UserError) return null;
    throw error;
  }
}

export function dataFacts(dataset: PreparedDataset, job: Job, { nativeSide: side }: Pick<Model, 'nativeSide'>): DataFacts {
  const items = dataset.items.filter(({ regularization }) => !regularization);
  const paths = [...new Set(items.map(({ folder }) => folder))];
  const folders = paths.map((path, index) => {
    const own = items.filter(({ folder }) => folder === path);
    return { name: folderName(path, index), repeats: own[0]!.repeats, pictures: own.length, tags: tagsOf(own, job.data.caption) };
  });
  const { resolution } = job.data;
  const [width, height] = resolution === 'auto' ? [side, side] : typeof resolution === 'number' ? [resolution, resolution] : resolution;
  return {
    folders, width, height,
    buckets: dataset.buckets.filter(({ draws }) => draws > 0).map((bucket) => ({ width: bucket.width, height: bucket.height, count: bucket.draws })),
    draws: items.reduce((sum, { repeats }) => sum + repeats, 0),
    regularization: dataset.items.length - items.length,
  };
}

/** How many captions have each of their parts; the trigger words count for every picture. */
function tagsOf(items: PreparedDataset['items'], { prefix, separator }: Job['data']['caption']): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { caption } of items) {
    const parts = [...prefix.split(separator), ...(caption ?? '').split(separator)].map((part) => part.trim()).filter((part) => part !== '');
    for (const part of new Set(parts)) counts.set(part, (counts.get(part) ?? 0) + 1);
  }
  return counts;
}

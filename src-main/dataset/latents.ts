// Latents of all pictures: encoded once, kept on disk, at hand for the loop.
import { assert, UserError } from '../base/errors.ts';
import { cacheKey, rowOf, TensorCache, type Tensor } from './cache.ts';
import type { Colour } from './composite.ts';
import { toBatch } from './crop.ts';
import { encodeMissing, type Ready, type Wanted } from './encode.ts';
import { MemoryStore } from './memory.ts';
import { shortName } from './names.ts';
import type { DatasetItem } from './types.ts';

/** What an autoencoder says of pictures: mean and log variance of a normal distribution per latent value. */
export interface Moments {
  readonly mean: Tensor;
  readonly logvar: Tensor;
}

export interface EncodeLatentsOptions {
  readonly cacheDir: string;
  /** Changes with the weights of the autoencoder and with how it computes (number format). */
  readonly encoderId: string;
  /** `pixels` is [count, 3, height, width] in [-1, 1]; gives two tensors [count, channels, ...]. */
  readonly encodePixels: (pixels: Float32Array, shape: readonly [number, number, number, number]) =>
    Promise<Moments> | Moments;
  /** Pictures that are encoded at once; 1 if left out, so that a result never depends on its neighbours. */
  readonly batchSize?: number;
  readonly memoryBytes?: number;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

export interface LatentStore {
  /** Moments [channels, height, width] of a picture in one of its variants. Error: `dataset.cache-lost`. */
  moments(item: DatasetItem, variant: number): Promise<Moments>;
}

/** Names the latents of a variant by all they depend on; equal pictures share them. */
export const latentKey = (
  { contentHash, variants }: DatasetItem, variant: number, background: Colour, encoderId: string,
): string => cacheKey({ kind: 'latent', contentHash, ...variants[variant]!, background, encoderId });

/**
 * Fills the cache with all variants of `items` and gives access to it. What is there already is not computed again.
 * Errors: `dataset.bad-files` with all pictures that cannot be decoded (the good ones before the first bad one stay
 * in the cache), `files.*` when the cache cannot be written, and the reason of `signal` when it is aborted.
 */
export async function encodeLatents(
  items: readonly DatasetItem[], background: Colour, options: EncodeLatentsOptions,
): Promise<LatentStore> {
  const { cacheDir, encoderId, batchSize = 1, memoryBytes = 512 * 2 ** 20, onProgress, signal } = options;
  const cache = new TensorCache(cacheDir);
  const kept = new MemoryStore<Moments>(memoryBytes, ({ mean, logvar }) =>
    mean.data.byteLength + logvar.data.byteLength);
  const keyOf = (item: DatasetItem, variant: number): string => latentKey(item, variant, background, encoderId);

  const all = new Map<string, Wanted>();
  for (const item of items) {
    item.variants.forEach((_, variant) => {
      const key = keyOf(item, variant);
      if (!all.has(key)) all.set(key, { item, variant, key });
    });
  }
  let done = 0;
  const missing: Wanted[] = [];
  for (const wanted of all.values()) {
    signal?.throwIfAborted();
    const found = await cache.read(wanted.key, ['mean', 'logvar']);
    if (found === null) missing.push(wanted);
    else {
      kept.set(wanted.key, found);
      onProgress?.(++done, all.size);
    }
  }

  const encode = async (batch: readonly Ready[]): Promise<void> => {
    signal?.throwIfAborted();
    const { width, height } = batch[0]!.crop;
    const pixels = toBatch(batch.map(({ crop }) => crop));
    const moments = await options.encodePixels(pixels, [batch.length, 3, height, width]);
    assert(moments.mean.shape[0] === batch.length, 'the autoencoder gave another number of latents');
    for (const [index, { key }] of batch.entries()) {
      const own = { mean: rowOf(moments.mean, index), logvar: rowOf(moments.logvar, index) };
      await cache.write(key, own);
      kept.set(key, own);
      onProgress?.(++done, all.size);
    }
  };
  await encodeMissing(missing, background, batchSize, encode, signal);

  return {
    async moments(item, variant) {
      const key = keyOf(item, variant);
      const found = kept.get(key) ?? await cache.read(key, ['mean', 'logvar']);
      if (found === null) throw cacheLost(item.path, cache.folder);
      kept.set(key, found);
      return found;
    },
  };
}

const cacheLost = (path: string, folder: string): UserError =>
  new UserError('dataset.cache-lost', `The cached latents of ${shortName(path)} in ${JSON.stringify(folder)} were ` +
    'removed or damaged while training: start the run again, it makes them anew and goes on.', { path, folder });

// Training pixels of a picture: decode -> composite -> crop, with the last few kept in memory.
import { decodeImage } from '../files/images.ts';
import { compositeOn, type Colour } from './composite.ts';
import { cropPixels, type Crop } from './crop.ts';
import { MemoryStore } from './memory.ts';
import type { DatasetItem } from './types.ts';

/** All `variants` (indices) of a picture, which is decoded once. Errors: `images.*` for a damaged file. */
export async function loadCrops(item: DatasetItem, variants: readonly number[], background: Colour): Promise<Crop[]> {
  const pixels = compositeOn(await decodeImage(item.path), background);
  const crops: Crop[] = [];
  for (const variant of variants) crops.push(await cropPixels(pixels, item.variants[variant]!));
  return crops;
}

export interface PixelSource {
  /** The picture `items[item]`, cut in its variant number `variant`. Errors: `images.*`, `files.*`. */
  crop(item: number, variant: number): Promise<Crop>;
}

/**
 * Pixels for training on pictures themselves, as an autoencoder does. Up to `memoryBytes` of cut pictures (8 bit)
 * are kept, so a small data set is decoded once.
 */
export function pixelSource(
  { items, background }: { readonly items: readonly DatasetItem[]; readonly background: Colour },
  memoryBytes = 512 * 2 ** 20,
): PixelSource {
  const kept = new MemoryStore<Crop>(memoryBytes, ({ data }) => data.byteLength);
  return {
    async crop(item, variant) {
      const key = `${item}/${variant}`;
      const known = kept.get(key);
      if (known !== undefined) return known;
      const [crop] = await loadCrops(items[item]!, [variant], background);
      kept.set(key, crop!);
      return crop!;
    },
  };
}

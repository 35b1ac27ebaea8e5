// Decoding what has to be encoded: ahead of the encoder, a picture once for all its variants.
import { mapAhead } from '../base/async.ts';
import { refuseBadFiles, tryFile, type BadFile } from './bad-files.ts';
import type { Colour } from './composite.ts';
import type { Crop } from './crop.ts';
import { loadCrops } from './pixels.ts';
import type { DatasetItem } from './types.ts';

/** One variant of a picture that is not in the cache. */
export interface Wanted {
  readonly item: DatasetItem;
  readonly variant: number;
  readonly key: string;
}

export interface Ready {
  readonly key: string;
  readonly crop: Crop;
}

/**
 * Calls `encode` with batches of `batchSize` crops of one size (fewer at the end). After a bad picture the others are
 * only checked; then UserError `dataset.bad-files` names all bad ones.
 */
export async function encodeMissing(
  missing: readonly Wanted[], background: Colour, batchSize: number,
  encode: (batch: readonly Ready[]) => Promise<void>, signal: AbortSignal | undefined,
): Promise<void> {
  const byPicture = groupByPicture(missing);
  const load = (group: readonly Wanted[]): Promise<Ready[] | BadFile> => tryFile(group[0]!.item.path, async () => {
    signal?.throwIfAborted();
    const crops = await loadCrops(group[0]!.item, group.map(({ variant }) => variant), background);
    return group.map(({ key }, index) => ({ key, crop: crops[index]! }));
  });
  const waiting = new Map<number, Ready[]>();
  const bad: BadFile[] = [];
  let at = 0;
  for await (const result of mapAhead(byPicture, 2, load)) {
    const { bucket } = byPicture[at++]![0]!.item;
    if (!Array.isArray(result)) bad.push(result);
    else if (bad.length === 0) {
      const queue = [...waiting.get(bucket) ?? [], ...result];
      while (queue.length >= batchSize) await encode(queue.splice(0, batchSize));
      waiting.set(bucket, queue);
    }
  }
  refuseBadFiles(bad);
  for (const queue of waiting.values()) if (queue.length > 0) await encode(queue);
}

function groupByPicture(wanted: readonly Wanted[]): Wanted[][] {
  const groups = new Map<DatasetItem, Wanted[]>();
  for (const one of wanted) {
    const group = groups.get(one.item);
    if (group === undefined) groups.set(one.item, [one]);
    else group.push(one);
  }
  return [...groups.values()];
}

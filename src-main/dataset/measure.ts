// Second stage: size and content hash of every picture, before anything is decoded or trained.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { mapLimit } from '../base/async.ts';
import { readError } from '../files/file-errors.ts';
import { imageSize } from '../files/images.ts';
import { refuseBadFiles, sortOut, tryFile } from './bad-files.ts';
import { damagedPictures } from './check-pictures.ts';
import type { MeasuredItem, ScannedItem } from './types.ts';

const AT_ONCE = 4;

/** SHA-256 of a file, lower-case hex: what a picture is known by. */
export async function hashPicture(path: string): Promise<string> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw readError(error, path, 'a picture of the data set');
  });
  return createHash('sha256').update(bytes).digest('hex');
}

/**
 * Reads headers and bytes of all pictures. Error: `dataset.bad-files` that names every file which is empty, too
 * large or no picture of a known kind; damage behind the header is found when pixels are decoded.
 */
export async function measureItems(items: readonly ScannedItem[], signal?: AbortSignal): Promise<MeasuredItem[]> {
  const results = await mapLimit(items, AT_ONCE, (item) => tryFile(item.path, async (): Promise<MeasuredItem> => {
    signal?.throwIfAborted();
    const size = await imageSize(item.path);
    return { ...item, size, contentHash: await hashPicture(item.path) };
  }));
  const { good, bad } = sortOut(results);
  // One bad file ends the work anyway: then all are decoded, so that those with damage further in are named as well.
  if (bad.length > 0) refuseBadFiles([...bad, ...await damagedPictures(good, signal ? { signal } : {})]);
  return good;
}

// Decoding pictures only to see whether they can be: damage behind the header shows in no other way.
import { mapLimit } from '../base/async.ts';
import { decodeImage } from '../files/images.ts';
import { refuseBadFiles, tryFile, type BadFile } from './bad-files.ts';

export interface CheckOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

const AT_ONCE = 4;

/** The files that cannot be decoded. */
export async function damagedPictures(items: readonly { readonly path: string }[], { signal, onProgress }: CheckOptions = {}): Promise<BadFile[]> {
  let done = 0;
  const results = await mapLimit(new Set(items.map(({ path }) => path)), AT_ONCE, async (path) => {
    const result = await tryFile(path, async () => {
      signal?.throwIfAborted();
      await decodeImage(path);
      return null;
    });
    onProgress?.(++done, items.length);
    return result;
  });
  return results.filter((result) => result !== null);
}

/** Error: `dataset.bad-files` that names all. */
export async function checkPictures(items: readonly { readonly path: string }[], options: CheckOptions = {}): Promise<void> {
  refuseBadFiles(await damagedPictures(items, options));
}

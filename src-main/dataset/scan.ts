// First stage: from folders to a list of pictures with captions. Only names and caption files are read here.
import { join, resolve } from 'node:path';
import { UserError } from '../base/errors.ts';
import { mapLimit } from '../base/async.ts';
import { refuseBadFiles, sortOut, tryFile, type BadFile } from './bad-files.ts';
import { damagedPictures } from './check-pictures.ts';
import { kohyaName, listFolder, type Listing } from './folder.ts';
import { byCodePoint, countOf, listNames, shortName } from './names.ts';
import { CAPTION_ENDINGS, firstCaption } from './sidecar.ts';
import type { DataFolder, DatasetWarning, ScannedItem } from './types.ts';

export interface Scan {
  readonly items: readonly ScannedItem[];
  readonly warnings: readonly DatasetWarning[];
  /** Pictures whose caption cannot be read; empty unless asked for. */
  readonly bad: readonly BadFile[];
}

export interface ScanOptions {
  /** Absolute paths of pictures that are not used: what is wrong with them does not matter. */
  readonly leftOut?: ReadonlySet<string>;
  /** Pictures whose caption cannot be read are given as `bad` and refused no more. */
  readonly keepsBad?: boolean;
}

/** One folder whose pictures share repeats and the caption for those that have none. */
interface Leaf {
  readonly listing: Listing;
  readonly repeats: number;
  readonly classText: string | null;
}

/**
 * The pictures of all folders, folder by folder in the given order, inside one by name. Names of the form
 * `10_style`, of a folder itself or of folders in it, say repeats and the caption of pictures without one; a folder's
 * `repeats` setting wins over them. Other sub-folders are not entered.
 *
 * Errors: `dataset.no-folder`, `dataset.not-a-folder`, `dataset.empty-folder`, `dataset.bad-files` (captions).
 * Warnings: `dataset.no-caption`, `dataset.skipped-files`, `dataset.skipped-folders`, `dataset.repeats-replaced`.
 */
export async function scanFolders(folders: readonly DataFolder[], { leftOut, keepsBad = false }: ScanOptions = {}): Promise<Scan> {
  const warnings: DatasetWarning[] = [];
  const items: ScannedItem[] = [];
  const bad: BadFile[] = [];
  for (const folder of folders) {
    const leaves = await leavesOf(folder, warnings);
    const results = (await Promise.all(leaves.map((leaf) => itemsOf(leaf, folder.regularization, leftOut)))).flat();
    const { good: found, bad: refused } = sortOut(results);
    bad.push(...refused);
    const skipped = leaves.flatMap(({ listing }) => listing.otherPictures.map((name) => join(listing.path, name)));
    if (leaves.every(({ listing }) => listing.pictures.length === 0)) {
      const others = skipped.length === 0 ? '' : `, only ${countOf(skipped.length, 'file')} of other kinds (${listNames(skipped.map(shortName))})`;
      throw new UserError('dataset.empty-folder', `The data set folder ${JSON.stringify(folder.path)} holds no ` +
        `pictures (PNG, JPEG, WebP or AVIF)${others}: put pictures into it or choose another folder.`,
      { path: folder.path, skipped });
    }
    if (skipped.length > 0) {
      warnings.push({
        code: 'dataset.skipped-files', data: { files: skipped },
        text: `${countOf(skipped.length, 'file')} of other kinds than PNG, JPEG, WebP and AVIF not used: ` +
          `${listNames(skipped.map(shortName))}.`,
      });
    }
    items.push(...found);
  }
  // What is wrong with the pictures themselves would only come up once these are repaired.
  if (bad.length > 0 && !keepsBad) refuseBadFiles([...bad, ...await damagedPictures(items)]);
  const silent = items.filter(({ caption }) => caption === null).map(({ path }) => path);
  if (silent.length > 0) {
    warnings.push({
      code: 'dataset.no-caption', data: { files: silent },
      text: `${countOf(silent.length, 'picture')} without caption, trained with an empty one: ` +
        `${listNames(silent.map(shortName))}; write a .txt file of the same name beside a picture.`,
    });
  }
  return { items, warnings, bad };
}

async function leavesOf(folder: DataFolder, warnings: DatasetWarning[]): Promise<Leaf[]> {
  const root = await listFolder(folder.path);
  const own = kohyaName(root.path);
  const replaced: string[] = [];
  const leafOf = (listing: Listing, name: ReturnType<typeof kohyaName>): Leaf => {
    if (name !== null && folder.repeats !== undefined && folder.repeats !== name.repeats) replaced.push(listing.path);
    return { listing, repeats: folder.repeats ?? name?.repeats ?? 1, classText: name?.text ?? null };
  };
  const leaves = [leafOf(root, own)];
  const skipped: string[] = [];
  for (const name of root.folders) {
    const listing = await listFolder(join(folder.path, name));
    const meaning = kohyaName(name);
    if (meaning !== null) leaves.push(leafOf(listing, meaning));
    else if (listing.pictures.length > 0) skipped.push(listing.path);
  }
  if (skipped.length > 0) {
    warnings.push({
      code: 'dataset.skipped-folders', data: { folders: skipped },
      text: `Pictures in ${countOf(skipped.length, 'sub-folder')} not used: ${listNames(skipped.map(shortName))}; ` +
        'add them as folders of their own, or name them like 10_style.',
    });
  }
  if (replaced.length > 0) {
    warnings.push({
      code: 'dataset.repeats-replaced', data: { folders: replaced, repeats: folder.repeats },
      text: `The setting repeats = ${folder.repeats} replaces the number in the name of ` +
        `${listNames(replaced.map(shortName))}.`,
    });
  }
  return leaves;
}

async function itemsOf({ listing, repeats, classText }: Leaf, regularization: boolean, leftOut?: ReadonlySet<string>): Promise<(ScannedItem | BadFile)[]> {
  const folder = listing.path;
  const names = listing.pictures.toSorted(byCodePoint).filter((name) => leftOut?.has(resolve(folder, name)) !== true);
  return mapLimit(names, 8, (name) => {
    const stem = name.slice(0, name.lastIndexOf('.'));
    const sidecars = CAPTION_ENDINGS.flatMap((ending) => listing.texts.get(stem + ending) ?? []);
    return tryFile(join(folder, name), async (): Promise<ScannedItem> => {
      const caption = await firstCaption(sidecars.map((text) => join(folder, text))) ?? classText;
      return { path: join(folder, name), folder, caption, repeats, regularization };
    });
  });
}

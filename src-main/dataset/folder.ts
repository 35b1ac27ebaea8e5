// What a folder holds, sorted into pictures, texts and folders.
import { readdir, stat } from 'node:fs/promises';
import type { Dirent } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { UserError } from '../base/errors.ts';
import { readError } from '../files/file-errors.ts';
import { byCodePoint } from './names.ts';
import { CAPTION_ENDINGS } from './sidecar.ts';

export interface Listing {
  readonly path: string;
  /** Names of files that end like a picture we read. */
  readonly pictures: readonly string[];
  /** Names of files that end like a picture we do not read. */
  readonly otherPictures: readonly string[];
  /** Caption files: name with the ending in lower case -> names as they are on the disk. */
  readonly texts: ReadonlyMap<string, readonly string[]>;
  readonly folders: readonly string[];
}

const PICTURE = /\.(?:png|jpe?g|jfif|webp|avif)$/i;
const OTHER_PICTURE = /\.(?:gif|tiff?|bmp|svg|heic|heif|jxl|jp2|psd|tga|exr|ico)$/i;
// At most three digits: 2024_holiday is a year and not a number of repeats.
const KOHYA = /^0*([1-9]\d{0,2})_(.*)$/s;

/** Repeats and class text of a folder name such as `10_style`; null for other names. */
export function kohyaName(path: string): { repeats: number; text: string | null } | null {
  const match = KOHYA.exec(basename(resolve(path)));
  return match === null ? null : { repeats: Number(match[1]), text: match[2]!.trim() || null };
}

/**
 * Lists a folder in code point order. Names that begin with a dot are left out (macOS writes `._name` beside every
 * file on foreign disks). Errors: `dataset.no-folder`, `dataset.not-a-folder`, `files.no-access`.
 */
export async function listFolder(path: string): Promise<Listing> {
  const pictures: string[] = [];
  const otherPictures: string[] = [];
  const texts = new Map<string, string[]>();
  const folders: string[] = [];
  for (const entry of await entriesOf(path)) {
    const { name } = entry;
    if (name.startsWith('.')) continue;
    const kind = await kindOf(entry, path);
    if (kind === 'folder') folders.push(name);
    if (kind !== 'file') continue;
    const ending = name.slice(Math.max(0, name.lastIndexOf('.'))).toLowerCase();
    if (PICTURE.test(name)) pictures.push(name);
    else if (OTHER_PICTURE.test(name)) otherPictures.push(name);
    else if ((CAPTION_ENDINGS as readonly string[]).includes(ending)) {
      const key = name.slice(0, -ending.length) + ending;
      texts.set(key, [...texts.get(key) ?? [], name]);
    }
  }
  return { path, pictures, otherPictures, texts, folders };
}

async function entriesOf(path: string): Promise<Dirent[]> {
  try {
    return (await readdir(path, { withFileTypes: true })).sort((a, b) => byCodePoint(a.name, b.name));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT') {
      throw new UserError('dataset.no-folder', `The data set folder ${JSON.stringify(path)} does not exist: check ` +
        'the path, or whether its disk is connected.', { path });
    }
    if (code === 'ENOTDIR') {
      throw new UserError('dataset.not-a-folder', `The data set folder ${JSON.stringify(path)} is a file: name the ` +
        'folder that holds the pictures.', { path });
    }
    throw readError(error, path, 'a data set folder');
  }
}

/** Links count as what they point at; a broken one as nothing. */
async function kindOf(entry: Dirent, folder: string): Promise<'file' | 'folder' | null> {
  const is = entry.isSymbolicLink() ? await stat(join(folder, entry.name)).catch(() => null) : entry;
  if (is === null) return null;
  return is.isFile() ? 'file' : is.isDirectory() ? 'folder' : null;
}

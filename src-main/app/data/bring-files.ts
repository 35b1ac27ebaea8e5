// Files and folders that were dropped on the desktop's window: folders stay where they are, single pictures are copied into the
// project's own folder with their captions, as uploads of the browser are.

import { constants, existsSync, statSync } from 'node:fs';
import { copyFile, rm } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';

import { UserError } from '../../base/errors.ts';
import { CAPTION_ENDINGS } from '../../dataset/sidecar.ts';
import { readError, writeError } from '../../files/file-errors.ts';

const PICTURE = /\.(png|jpe?g|jfif|webp|avif)$/i;

export interface Brought {
  readonly folders: readonly string[];
  /** Pictures; their captions lie beside them. */
  readonly pictures: readonly string[];
}

/** Error: `data.bring-none` when there is neither a folder nor a picture among them. */
export function sortBrought(paths: readonly string[]): Brought {
  const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  const folders = paths.filter(isFolder);
  const pictures = paths.filter((path) => !isFolder(path) && PICTURE.test(path));
  if (folders.length + pictures.length === 0) {
    throw new UserError('data.bring-none', 'There is no picture and no folder among these files: pictures are PNG, JPEG, WebP or AVIF.', {});
  }
  return { folders, pictures };
}

/** Copies a picture and its caption; a name that is taken gets a number. Errors: `files.*`. */
export async function copyPicture(picture: string, folder: string): Promise<void> {
  const [ending, stem] = [extname(picture), picture.slice(0, -extname(picture).length)];
  const captions = CAPTION_ENDINGS.filter((one) => existsSync(stem + one));
  const isTaken = (name: string): boolean => [ending, ...CAPTION_ENDINGS].some((one) => existsSync(join(folder, name + one)));
  let name = basename(stem);
  for (let number = 2; isTaken(name); number++) name = `${basename(stem)}-${number}`;
  // The caption first: a picture that is there is a picture with its caption.
  for (const one of [...captions, ending]) await copy(stem + one, join(folder, name + one));
}

async function copy(from: string, to: string): Promise<void> {
  try {
    await copyFile(from, to, constants.COPYFILE_EXCL);
  } catch (error) {
    // Half a file may be there when the disk is full.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') await rm(to, { force: true });
    const told = readError(error, from, 'a dropped file');
    throw told instanceof UserError ? told : writeError(error, to);
  }
}

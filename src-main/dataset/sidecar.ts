// Caption files: plain text beside a picture, of the same name.
import { readFile } from 'node:fs/promises';
import { UserError } from '../base/errors.ts';
import { readError } from '../files/file-errors.ts';
import { shortName } from './names.ts';

/** In the order in which they are looked for. */
export const CAPTION_ENDINGS = ['.txt', '.caption'] as const;

/**
 * Text of a caption file: UTF-8 with or without byte order mark, or UTF-16 with one, as Windows editors write it.
 * Line breaks become spaces, so that a wrapped caption stays whole. Error: `dataset.caption-encoding`.
 */
export function decodeCaption(bytes: Uint8Array, path: string): string {
  const encoding = bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le'
    : bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : 'utf-8';
  try {
    // The decoder removes the byte order mark.
    return new TextDecoder(encoding, { fatal: true }).decode(bytes).replace(/\s*[\r\n]+\s*/g, ' ').trim();
  } catch {
    throw new UserError('dataset.caption-encoding', `The caption file ${shortName(path)} is not UTF-8 text: open it ` +
      'in a text editor and save it as UTF-8.', { path });
  }
}

/** The first caption among `paths` that is not empty; null without one. Errors: also `files.*`. */
export async function firstCaption(paths: readonly string[]): Promise<string | null> {
  for (const path of paths) {
    const bytes = await readFile(path).catch((error: unknown) => {
      throw readError(error, path, 'a caption file');
    });
    const text = decodeCaption(bytes, path);
    if (text !== '') return text;
  }
  return null;
}

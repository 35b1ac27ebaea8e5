// Files that were dropped on the page, streamed into the project's own folder.

import { existsSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { basename, extname, join } from 'node:path';

import { UserError } from '../../base/errors.ts';
import { writeFileAtomic } from '../../files/atomic-write.ts';

export const MOST_UPLOAD_BYTES = 200 * 2 ** 20;
const ACCEPTED = /\.(png|jpe?g|jfif|webp|avif|txt|caption)$/i;

/**
 * Writes a request's body to `folder`; a name that is taken gets a number, but caption files replace nothing either.
 * Gives the name. Errors: `upload.name`, `upload.too-large`, `files.*`.
 */
export async function receiveUpload(request: IncomingMessage, folder: string, givenName: string): Promise<string> {
  const name = uploadName(givenName);
  if (Number(request.headers['content-length'] ?? 0) > MOST_UPLOAD_BYTES) throw tooLarge(name);
  const extension = extname(name);
  const stem = name.slice(0, -extension.length);
  let free = name;
  for (let number = 2; existsSync(join(folder, free)); number++) free = `${stem}-${number}${extension}`;
  await writeFileAtomic(join(folder, free), async (file) => {
    let bytes = 0;
    for await (const chunk of chunksOf(request, name)) {
      bytes += chunk.length;
      if (bytes > MOST_UPLOAD_BYTES) throw tooLarge(name);
      await file.write(chunk);
    }
    if (bytes === 0) throw new UserError('upload.empty', `"${name}" is an empty file.`, { name });
  });
  return free;
}

/** Error: `upload.stopped` when the page goes away or stops; the file is not kept. */
async function* chunksOf(request: IncomingMessage, name: string): AsyncGenerator<Buffer> {
  try {
    yield* request as AsyncIterable<Buffer>;
  } catch (error) {
    if (request.destroyed) throw new UserError('upload.stopped', `"${name}" did not come to its end: drop it again.`, { name });
    throw error;
  }
}

/** A bare file name that every system takes. Error: `upload.name`. */
export function uploadName(given: string): string {
  const name = basename(given.replaceAll('\\', '/')).normalize('NFC').replaceAll(/[<>:"|?*\p{Cc}]/gu, '_').replace(/^\.+/, '').trim().slice(-120);
  if (!ACCEPTED.test(name) || name.replace(ACCEPTED, '') === '') {
    throw new UserError('upload.name', `"${given.slice(0, 120)}" cannot be taken: drop pictures (PNG, JPEG, WebP, AVIF) and caption files (.txt).`, { name: given.slice(0, 120) });
  }
  return name;
}

const tooLarge = (name: string): UserError =>
  new UserError('upload.too-large', `"${name}" is larger than ${MOST_UPLOAD_BYTES / 2 ** 20} MB: put it into a folder and add that.`, { name });

// Opaque ids for paths. A window names files only by ids that the app gave out; there is no way from a text to a path.

import { createHmac, randomBytes } from 'node:crypto';
import { basename, resolve } from 'node:path';

import { UserError } from '../base/errors.ts';
import type { FileRef } from '../contract/api.ts';

/** Longer names would not help: 132 bits cannot be guessed. */
const LENGTH = 22;

export interface Ids {
  /** The same path has the same id as long as the secret is the same. */
  of(path: string): string;
  /** Error: `id.unknown`. */
  path(id: string): string;
  ref(path: string): FileRef;
  /** Images are a list of their own: an id of a file is none of an image. `version` changes with the content. */
  image(path: string, version?: string): string;
  imagePath(id: string): string | null;
}

/** @param secret makes ids unguessable; kept, so that ids outlive a restart */
export function createIds(secret: Uint8Array = randomBytes(32)): Ids {
  const paths = new Map<string, string>();
  const images = new Map<string, string>();
  const hash = (kind: string, text: string): string =>
    createHmac('sha256', secret).update(`${kind}\0${text}`).digest('base64url').slice(0, LENGTH);
  const of = (path: string): string => {
    const full = resolve(path);
    const id = hash('file', full);
    paths.set(id, full);
    return id;
  };
  return {
    of,
    path: (id) => {
      const path = paths.get(id);
      if (path === undefined) throw new UserError('id.unknown', 'This file or folder is not known any more: choose it again.', { id });
      return path;
    },
    ref: (path) => ({ id: of(path), name: basename(resolve(path)) || path, path: resolve(path) }),
    image: (path, version = '') => {
      const id = hash('image', `${resolve(path)}\0${version}`);
      images.set(id, resolve(path));
      return `/img/${id}`;
    },
    imagePath: (id) => images.get(id) ?? null,
  };
}

// Pictures that a window may load, by the ending of their files.

import { extname } from 'node:path';

const TYPES: Readonly<Record<string, string>> = {
  '.png': 'image/png', '.jpg': 'image/jpeg', '.jpeg': 'image/jpeg', '.jfif': 'image/jpeg', '.webp': 'image/webp', '.avif': 'image/avif',
};

/** Null for other files. */
export const imageType = (path: string): string | null => TYPES[extname(path).toLowerCase()] ?? null;

/** The id in the path of an image's URL, or null. */
export const imageId = (pathname: string): string | null => /^\/img\/([A-Za-z0-9_-]{1,64})$/.exec(pathname)?.[1] ?? null;

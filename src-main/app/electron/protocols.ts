// What the window loads: app:// is the built page and, by id, pictures. Both are looked up in lists, never made into paths.

import { readFile } from 'node:fs/promises';

import { protocol } from 'electron';

import type { Ids } from '../ids.ts';
import { SECURITY_HEADERS } from '../server/headers.ts';
import { imageId, imageType } from '../server/image-types.ts';
import { staticFiles } from '../server/static-files.ts';

/** The page's origin; calls from any other are refused. */
export const APP_ORIGIN = 'app://adora';

/** Before the app is ready. */
export function registerScheme(): void {
  protocol.registerSchemesAsPrivileged([{ scheme: 'app', privileges: { standard: true, secure: true, supportFetchAPI: true } }]);
}

/** @param renderer folder of the built page */
export function handleScheme(renderer: string, ids: Ids): void {
  const files = staticFiles(renderer);
  const missing = (): Response => new Response('There is nothing here.', { status: 404, headers: SECURITY_HEADERS });
  protocol.handle('app', async ({ url, method }) => {
    const { protocol: scheme, host, pathname } = new URL(url);
    if (`${scheme}//${host}` !== APP_ORIGIN || method !== 'GET') return missing();
    const image = imageId(pathname);
    const imagePath = image === null ? null : ids.imagePath(image);
    const file = imagePath === null ? files.get(pathname) : { path: imagePath, type: imageType(imagePath) };
    if (!file || file.type === null) return missing();
    try {
      return new Response(new Uint8Array(await readFile(file.path)), { headers: { ...SECURITY_HEADERS, 'content-type': file.type } });
    } catch {
      return missing();
    }
  });
}

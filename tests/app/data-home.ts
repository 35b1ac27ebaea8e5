// A studio with a project of thirteen pictures, each with something of its own, for tests of the data handlers.
import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import sharp from 'sharp';

import type { Given, Item, Output } from '../../src-main/contract/api.ts';
import { openHome, standInHost, type Home } from './studio-home.ts';

/** Answers what a model is, as the starter model would. */
const modelHost = standInHost(({ command }) => (command === 'model'
  ? [{ kind: 'done', result: { family: 'x', label: 'x', nativeSide: 64, pixelStep: 16, bytes: 1, targets: [] } }]
  : [{ kind: 'failed', problem: { code: 'test.none', message: 'none' } }]));

export const noise = (seed: number, width: number, height: number): Buffer => {
  let state = seed * 2654435761 + 1;
  return Buffer.from(Uint8Array.from({ length: width * height * 3 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  }));
};
export const raw = (data: Buffer, width: number, height: number) => sharp(data, { raw: { width, height, channels: 3 } });
/** Soft blobs: their difference hash survives scaling. */
const blobs = async (seed: number, side: number): Promise<Buffer> => raw(noise(seed, 8, 8), 8, 8).resize(side, side, { kernel: 'cubic' }).png().toBuffer();

/** Gives the folder; remove it at the end. */
export async function writePictures(): Promise<string> {
  const pictures = mkdtempSync(join(tmpdir(), 'adora-pictures-'));
  for (const name of ['000000', '000001', '000002']) {
    copyFileSync(`assets/demo/neon/${name}.png`, join(pictures, `${name}.png`));
    copyFileSync(`assets/demo/neon/${name}.txt`, join(pictures, `${name}.txt`));
  }
  copyFileSync('assets/demo/neon/000000.png', join(pictures, 'copy.png'));
  writeFileSync(join(pictures, 'blob.png'), await blobs(5, 200));
  writeFileSync(join(pictures, 'blob-small.png'), await sharp(await blobs(5, 200)).resize(150, 150).jpeg({ quality: 85 }).toBuffer());
  writeFileSync(join(pictures, 'blurred.png'), await raw(noise(9, 4, 4), 4, 4).resize(300, 300, { kernel: 'cubic' }).blur(20).png().toBuffer());
  writeFileSync(join(pictures, 'small.png'), await raw(noise(3, 40, 40), 40, 40).png().toBuffer());
  writeFileSync(join(pictures, 'wide.png'), await raw(noise(4, 400, 100), 400, 100).png().toBuffer());
  writeFileSync(join(pictures, 'white.png'), await sharp(noise(6, 100, 100), { raw: { width: 100, height: 100, channels: 3 } }).extend({ right: 200, background: '#fff' }).png().toBuffer());
  writeFileSync(join(pictures, 'bars.png'), await sharp(noise(7, 200, 150), { raw: { width: 200, height: 150, channels: 3 } }).extend({ top: 25, bottom: 25, background: '#000' }).png().toBuffer());
  writeFileSync(join(pictures, 'alpha.png'), await sharp({ create: { width: 100, height: 100, channels: 4, background: { r: 1, g: 200, b: 3, alpha: 0.5 } } }).png().toBuffer());
  writeFileSync(join(pictures, 'broken.png'), readFileSync('assets/demo/neon/000003.png').subarray(0, 3000));
  return pictures;
}

export interface DataHome {
  readonly home: Home;
  readonly projectId: string;
  list(more?: Partial<Given<'data.items'>>): Promise<Output<'data.items'>>;
  named(name: string): Promise<Item>;
  ids(...names: string[]): Promise<{ ids: string[] }>;
}

/** A project with these pictures, measured, whose model is known. */
export async function openData(pictures: string): Promise<DataHome> {
  const home = openHome(modelHost);
  const { handlers, context } = home.studio;
  const { id: projectId, dataFolders } = await handlers['projects.create']({ name: 'Set', demo: true });
  const list: DataHome['list'] = async (more = {}) => handlers['data.items']({ projectId, offset: 0, limit: 500, filter: {}, sort: 'name', descending: false, ...more });
  const named: DataHome['named'] = async (name) => (await list()).items.find((item) => item.name === name)!;
  await handlers['projects.update']({ id: projectId, addFolders: [context.ids.of(pictures)], removeFolders: dataFolders.map(({ id }) => id) });
  await home.finished((await handlers['data.scan']({ projectId })).taskId);
  // Crops need the model's sizes, which the trainer is asked for when pictures are first looked at.
  const known = home.next('data.changed');
  await list();
  await known;
  return { home, projectId, list, named, ids: async (...names) => ({ ids: await Promise.all(names.map(async (name) => (await named(name)).id)) }) };
}

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { jobSchema } from '../../src-main/contract/job.ts';
import type { DataSettings } from '../../src-main/dataset/types.ts';

type Colour = readonly number[];

/** Pixels from a function of the position, written as PNG (or what the name says) with 3 or 4 channels. */
export async function writePicture(
  path: string, width: number, height: number, colourAt: (x: number, y: number) => Colour,
): Promise<string> {
  const channels = colourAt(0, 0).length as 3 | 4;
  const data = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) data.set(colourAt(x, y), (y * width + x) * channels);
  }
  mkdirSync(dirname(path), { recursive: true });
  const picture = sharp(data, { raw: { width, height, channels } });
  await (path.endsWith('.webp') ? picture.webp({ lossless: true }) : path.endsWith('.avif') ? picture.avif()
    : path.endsWith('.jpg') ? picture.jpeg() : picture.png()).toFile(path);
  return path;
}

/** A plain picture; different colours give different contents. */
export const plain = (path: string, width = 8, height = 8, colour: Colour = [200, 100, 50]): Promise<string> =>
  writePicture(path, width, height, () => colour);

export function writeText(path: string, text: string | Uint8Array): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

/** `count` small different pictures with captions in a new folder. */
export async function writeSet(folder: string, count: number, shift = 0): Promise<string> {
  for (let index = 0; index < count; index++) {
    await plain(join(folder, `${String(index).padStart(3, '0')}.png`), 8, 8, [index, shift, 7]);
    writeText(join(folder, `${String(index).padStart(3, '0')}.txt`), `picture ${index}`);
  }
  return folder;
}

/** The data section of a job with defaults filled in. */
export const dataSettings = (data: Parameters<typeof jobSchema.parse>[0]): DataSettings =>
  jobSchema.parse({ version: 1, base: { model: 'model' }, data }).data;

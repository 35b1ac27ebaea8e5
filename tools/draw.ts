/**
 * Draws captioned pictures: numbered PNG files, each with its caption beside it, or one contact sheet.
 *
 *   npm run tool draw -- --style plain --count 6000 --seed 1 --size 64 --out DIR [--captions natural|full|none] [--start 0]
 *   npm run tool draw -- --style plain --seed 1 --grid 48 [--zoom 3] sheet.png
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { drawFolder, each } from './scenes/draw-folder.ts';
import { pngOf, renderPixels } from './scenes/render.ts';
import { sampleScene } from './scenes/scene.ts';
import { styleNames } from './scenes/styles/index.ts';

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    style: { type: 'string', default: 'plain' },
    count: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
    size: { type: 'string', default: '64' },
    start: { type: 'string', default: '0' },
    captions: { type: 'string', default: 'natural' },
    out: { type: 'string' },
    grid: { type: 'string' },
    zoom: { type: 'string', default: '1' },
  },
});

function integer(name: 'count' | 'seed' | 'size' | 'start' | 'grid' | 'zoom', least: number): number {
  const value = Number(values[name]);
  if (!Number.isInteger(value) || value < least) fail(`--${name} must be a whole number of at least ${least}.`);
  return value;
}

function choice<T extends string>(name: 'style' | 'captions', choices: readonly T[]): T {
  return choices.find((known) => known === values[name]) ?? fail(`--${name} must be one of: ${choices.join(', ')}.`);
}

const style = choice('style', styleNames);
const captions = choice('captions', ['natural', 'full', 'none']);
const [seed, size, start] = [integer('seed', 0), integer('size', 8), integer('start', 0)];

async function drawSheet(count: number, zoom: number, file: string): Promise<void> {
  const columns = Math.ceil(Math.sqrt(count * 1.5));
  const rows = Math.ceil(count / columns);
  const pitch = size + 2;
  const [width, height] = [columns * pitch, rows * pitch];
  const sheet = new Uint8Array(width * height * 3).fill(255);
  await each(count, async (i) => {
    const pixels = await renderPixels(sampleScene(seed, start + i), { size, style });
    const [left, top] = [(i % columns) * pitch + 1, Math.floor(i / columns) * pitch + 1];
    for (let y = 0; y < size; y += 1) {
      sheet.set(pixels.subarray(y * size * 3, (y + 1) * size * 3), ((top + y) * width + left) * 3);
    }
  });
  const png = sharp(await pngOf(sheet, width, height));
  await writeFile(file, await png.resize(width * zoom, null, { kernel: 'nearest' }).png().toBuffer());
}

if (values.grid !== undefined) {
  const file = positionals[0] ?? fail('--grid needs the name of the picture file to write.');
  await drawSheet(integer('grid', 1), integer('zoom', 1), file);
} else {
  await drawFolder({ style, count: integer('count', 1), seed, size, start, captions, out: values.out ?? fail('--out DIR says where the pictures go.') });
}

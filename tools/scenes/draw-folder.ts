// Pictures with captions as an ordinary data set: numbered PNG files, each with its caption beside it.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { captionOf } from './caption.ts';
import { render } from './render.ts';
import { sampleScene } from './scene.ts';
import type { StyleName } from './styles/index.ts';

export interface FolderSettings {
  readonly style: StyleName;
  readonly count: number;
  readonly seed: number;
  /** Side in pixels. */
  readonly size: number;
  readonly out: string;
  /** Number of the first picture; 0 if left out. */
  readonly start?: number;
  readonly captions?: 'natural' | 'full' | 'none';
  /** Start of every file name. */
  readonly prefix?: string;
}

/** The same settings give the same bytes. */
export async function drawFolder({ style, count, seed, size, out, start = 0, captions = 'natural', prefix = '' }: FolderSettings): Promise<void> {
  await mkdir(out, { recursive: true });
  await each(count, async (i) => {
    const scene = sampleScene(seed, start + i);
    const name = join(out, `${prefix}${String(start + i).padStart(6, '0')}`);
    await writeFile(`${name}.png`, await render(scene, { size, style }));
    if (captions !== 'none') await writeFile(`${name}.txt`, `${captionOf(scene, captions)}\n`);
  });
}

/** Runs `work` for 0 .. count - 1, a few at a time, so that both the drawing and the encoding threads stay busy. */
export async function each(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: 4 }, worker));
}

// Taggers of the WD14 family on a model that was made for the test: its answers are values of single pixels, so that every
// convention shows: rows first, BGR, 0-255, white beside the picture, the side from the model's input.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { chosenTags, readTags, tagPictures } from '../../src-main/train/tagger.ts';
import { pickingTagger, SIDE, tagList } from './tiny-tagger.ts';

let folder: string;
const at = (name: string): string => join(folder, name);
/** 8 x 4 pixels: red 200, green 100, blue 50, and one black pixel in the first row and column. */
async function picture(name: string, { channels = 3 as 3 | 4, alpha = 255 } = {}): Promise<string> {
  const data = Buffer.alloc(8 * 4 * channels);
  for (let pixel = 0; pixel < 32; pixel++) {
    const colour = pixel === 0 ? [0, 0, 0, 255] : [200, 100, 50, alpha];
    for (let c = 0; c < channels; c++) data[pixel * channels + c] = colour[c]!;
  }
  await sharp(data, { raw: { width: 8, height: 4, channels } }).png().toFile(at(name));
  return at(name);
}

/** Scores as they were, found with thresholds from the top down. */
async function scoresOf(model: Uint8Array, count: number, path: string): Promise<number[]> {
  writeFileSync(at('m.onnx'), model);
  writeFileSync(at('m.csv'), tagList(Array.from({ length: count }, (_, i) => [`tag${i}`, 0])));
  const scores = Array.from({ length: count }, () => -1);
  for (const level of [0, 50, 100, 200, 255]) {
    const [tags] = await tagPictures({ ...plain, model: at('m.onnx'), csv: at('m.csv'), pictures: [path], threshold: level / 255 - 1e-4 }, quiet);
    for (const tag of tags!) scores[Number(tag.slice(3))] = level;
  }
  return scores;
}

const quiet = { onProgress: () => {}, shouldStop: () => false };
const plain = { threshold: 0.35, characterThreshold: 0.85, underscores: false } as const;

beforeAll(() => { folder = mkdtempSync(join(tmpdir(), 'adora-tagger-')); });
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('what the model is given', () => {
  test('blue, green, red from 0 to 255, in a white square, in the middle', async () => {
    const path = await picture('a.png');
    // Two rows of white above; the black pixel; beside it blue, green, red; the last row of the picture; white below.
    expect(await scoresOf(pickingTagger([[1, 3, 0], [2, 0, 0], [2, 1, 0], [2, 1, 1], [2, 1, 2], [5, 7, 2], [6, 0, 1]]), 7, path)).toEqual([255, 0, 50, 100, 200, 200, 255]);
  });

  test('transparency becomes white', async () => {
    const path = await picture('clear.png', { channels: 4, alpha: 0 });
    expect(await scoresOf(pickingTagger([[2, 1, 0], [2, 1, 2], [2, 0, 2]]), 3, path)).toEqual([255, 255, 0]);
  });

  test('larger pictures are scaled to the side that the model takes', async () => {
    await sharp({ create: { width: 400, height: 400, channels: 3, background: { r: 200, g: 100, b: 50 } } }).png().toFile(at('large.png'));
    expect(await scoresOf(pickingTagger([[0, 0, 0], [4, 4, 1], [7, 7, 2]]), 3, at('large.png'))).toEqual([50, 100, 200]);
  });
});

describe('which tags are written', () => {
  const tags = [['general_tag', 0], ['rating:safe', 9], ['a_girl', 4], ['low_one', 0], ['best one', 0]].map(([name, category]) => ({ name: String(name), category: Number(category) }));

  test('characters first with a threshold of their own, then by probability; ratings never', () => {
    const scores = Float32Array.from([0.5, 0.99, 0.9, 0.34, 0.8]);
    expect(chosenTags(tags, scores, plain)).toEqual(['a girl', 'best one', 'general tag']);
    expect(chosenTags(tags, scores, { ...plain, characterThreshold: 0.91 })).toEqual(['best one', 'general tag']);
    expect(chosenTags(tags, scores, { ...plain, threshold: 0.3, underscores: true })).toEqual(['a_girl', 'best one', 'general_tag', 'low_one']);
  });

  test.each(['0_0', '(o)_(o)', '+_+', '+_-', '._.', '<o>_<o>', '<|>_<|>', '=_=', '>_<', '3_3', '6_9', '>_o', '@_@', '^_^', 'o_o', 'u_u', 'x_x', '|_|', '||_||'])('the face %s stays a face', (name) => {
    expect(chosenTags([{ name, category: 0 }], Float32Array.of(1), plain)).toEqual([name]);
  });

  test.each([['long_hair', 'long hair'], ['1girl', '1girl'], ['fate_(series)', 'fate (series)'], ['v-shaped_eyebrows', 'v-shaped eyebrows'], ['t_shirt', 't shirt']])('%s is written %s', (name, written) => {
    expect(chosenTags([{ name, category: 0 }], Float32Array.of(1), plain)).toEqual([written]);
  });

  test('the list of tags: any order of columns, quoted commas, a mark at the start, Windows lines', () => {
    writeFileSync(at('t.csv'), '\uFEFFcategory,name,count\r\n0,"a, ""b""",3\r\n4,c_d,2\r\n');
    expect(readTags(at('t.csv'))).toEqual([{ name: 'a, "b"', category: 0 }, { name: 'c_d', category: 4 }]);
  });
});

describe('many pictures', () => {
  const prepare = (): { model: string; csv: string } => {
    writeFileSync(at('m.onnx'), pickingTagger([[2, 1, 2], [2, 1, 0]]));
    writeFileSync(at('m.csv'), tagList([['warm_colours', 0], ['cold', 0]]));
    return { model: at('m.onnx'), csv: at('m.csv') };
  };

  test('one that cannot be read has no tags, and the others are not held up', async () => {
    writeFileSync(at('broken.png'), 'no picture');
    const seen: number[] = [];
    const found = await tagPictures({ ...plain, ...prepare(), pictures: [await picture('a.png'), at('broken.png'), at('a.png')] }, { ...quiet, onProgress: (done, total) => seen.push(done, total) });
    expect(found).toEqual([['warm colours'], null, ['warm colours']]);
    expect(seen).toEqual([0, 3, 1, 3, 2, 3, 3, 3]);
  });

  test('it can be stopped between two pictures', async () => {
    let calls = 0;
    const work = tagPictures({ ...plain, ...prepare(), pictures: [await picture('a.png'), at('a.png')] }, { ...quiet, shouldStop: () => ++calls > 1 });
    await expect(work).rejects.toMatchObject({ code: 'tagger.stopped' });
  });

  test('wrong files say what is wrong and which file is wanted', async () => {
    const { model, csv: list } = prepare();
    const run = (change: object) => tagPictures({ ...plain, model, csv: list, pictures: [at('a.png')], ...change }, quiet);
    await picture('a.png');
    await expect(run({ model: list })).rejects.toMatchObject({ code: 'tagger.not-onnx' });
    await expect(run({ model: at('missing.onnx') })).rejects.toMatchObject({ code: 'tagger.not-onnx' });
    await expect(run({ csv: at('missing.csv') })).rejects.toMatchObject({ code: expect.stringMatching(/^files\./) as string });
    writeFileSync(at('other.csv'), 'id,label\n1,x\n');
    await expect(run({ csv: at('other.csv') })).rejects.toMatchObject({ code: 'tagger.csv' });
    writeFileSync(at('short.csv'), tagList([['one', 0]]));
    await expect(run({ csv: at('short.csv') })).rejects.toThrow('knows 2 tags');
    writeFileSync(at('first.onnx'), pickingTagger([[0, 0, 0], [0, 0, 1]], { shape: [1, 3, SIDE, SIDE] }));
    await expect(run({ model: at('first.onnx') })).rejects.toMatchObject({ code: 'tagger.inputs' });
    writeFileSync(at('logits.onnx'), pickingTagger([[2, 1, 2], [2, 1, 0]], { scale: 1 }));
    await expect(run({ model: at('logits.onnx') })).rejects.toMatchObject({ code: 'tagger.scores' });
  });
});

// The tokenizer of published models, for files that come without one, against transformers.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createClipTokenizer, publishedClipFiles } from '../../src-main/catalog/tokenizers/clip-bpe.ts';
import { goldenPath } from '../nn/golden.ts';

const START = 49406;
const END = 49407;
const { cases } = JSON.parse(readFileSync(goldenPath('tokenizer', 'clip.json'), 'utf8')) as { cases: { text: string; ids: number[] }[] };

describe('the published vocabulary', () => {
  const files = publishedClipFiles(END);
  const tokenizer = createClipTokenizer(files, 77);

  test('has 49408 tokens, the special ones last', () => {
    const vocab = files.vocab as Record<string, number>;
    expect([Object.keys(vocab).length, vocab['<|startoftext|>'], vocab['<|endoftext|>'], vocab['!'], files.merges!.split('\n').length]).toEqual([49408, START, END, 0, 48894]);
  });

  test.each(cases)('gives the ids of transformers for $text', ({ text, ids }) => {
    const encoded = tokenizer.encode(text);
    expect(encoded.ids.slice(0, ids.length)).toEqual(ids);
    expect(encoded.ids.slice(ids.length).every((id) => id === END)).toBe(true);
    expect(encoded.ids).toHaveLength(77);
  });

  test('is filled up with the token that the model was trained with', () => {
    const open = createClipTokenizer(publishedClipFiles(0), 77).encode('a photo of a cat');
    expect(open.ids).toEqual([START, 320, 1125, 539, 320, 2368, END, ...new Array<number>(70).fill(0)]);
    expect(open.end).toBe(6);
    expect(tokenizer.encode('a photo of a cat').ids).toEqual([START, 320, 1125, 539, 320, 2368, ...new Array<number>(71).fill(END)]);
  });
});

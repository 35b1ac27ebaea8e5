import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byteAlphabet, toByteCharacters } from '../../tools/vocabulary/byte-alphabet.ts';
import { createClipTokenizer } from '../../src-main/catalog/tokenizers/clip-bpe.ts';
import { buildClipVocabulary } from '../../tools/vocabulary/clip-vocabulary.ts';

const WORDS = 'a red house by the blue lake at night cat bat abat cab bathe sunset over green hills café , 2 under bababa'.split(' ');

interface Golden {
  readonly cases: readonly { readonly text: string; readonly ids: readonly number[] }[];
}
const golden = JSON.parse(readFileSync(new URL('tokenizers-golden.json', import.meta.url), 'utf8')) as Golden;

const files = buildClipVocabulary(WORDS);
const tokenizer = createClipTokenizer(files);
const END = files.vocab['<|endoftext|>']!;
const START = files.vocab['<|startoftext|>']!;

describe('CLIP tokenizer', () => {
  it.each(golden.cases)('gives the ids of transformers for $text', ({ text, ids }) => {
    const encoded = tokenizer.encode(text);
    expect(encoded.ids).toHaveLength(77);
    expect(encoded.ids.slice(0, ids.length)).toEqual(ids);
    expect(encoded.ids.slice(ids.length).every((id) => id === END)).toBe(true);
    expect(encoded.end).toBe(ids.indexOf(END));
  });

  it('cuts long texts before the end token', () => {
    const { ids, end, tokens } = tokenizer.encode(new Array(100).fill('cat').join(' '));
    expect([ids.length, end, tokens, ids[0], ids[75], ids[76]]).toEqual([77, 76, 100, START, files.vocab['cat</w>'], END]);
    expect(createClipTokenizer(files, 4).encode('red cat cat').ids).toEqual([START, files.vocab['red</w>'], files.vocab['cat</w>'], END]);
  });

  it('pads with the token of the configuration', () => {
    for (const pad_token of ['!', { content: '!', __type: 'AddedToken' }]) {
      const { ids, end } = createClipTokenizer({ ...files, config: { pad_token } }, 5).encode('cat');
      expect(ids).toEqual([START, files.vocab['cat</w>'], END, 0, 0]);
      expect(end).toBe(2);
    }
  });

  it('refuses what it cannot use', () => {
    const code = (work: () => unknown): unknown => {
      try {
        return work();
      } catch (error) {
        return (error as { code?: string }).code;
      }
    };
    expect(code(() => createClipTokenizer({ vocab: files.vocab }))).toBe('tokenizer.missing');
    expect(code(() => createClipTokenizer({ tokenizer: { model: { type: 'Unigram', vocab: [] } } }))).toBe('tokenizer.invalid');
    expect(code(() => createClipTokenizer({ vocab: { a: 0 }, merges: '' }))).toBe('tokenizer.invalid');
    expect(code(() => createClipTokenizer({ ...files, config: { pad_token: '[PAD]' } }))).toBe('tokenizer.invalid');
  });
});

describe('vocabulary of listed words', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'n', 'é'), minLength: 1, maxLength: 7 });

  it('makes each word one token, whatever the words are', () => {
    fc.assert(
      fc.property(fc.uniqueArray(letters, { minLength: 1, maxLength: 25 }), (words) => {
        const built = buildClipVocabulary(words);
        const { encode } = createClipTokenizer(built, 40);
        for (const word of words) expect([word, encode(word).tokens]).toEqual([word, 1]);
        expect(encode(words.join(' ')).tokens).toBe(words.length);
      }),
      { seed: 7, numRuns: 60 },
    );
  });

  it('has ids without gaps and the special tokens last', () => {
    const ids = Object.values(files.vocab).sort((a, b) => a - b);
    expect(ids).toEqual(ids.map((_, i) => i));
    expect([START, END]).toEqual([ids.length - 2, ids.length - 1]);
  });

  it('spells out everything else', () => {
    const { ids, end } = tokenizer.encode('xyz 漢');
    expect(ids.slice(1, end).every((id) => id < 512)).toBe(true);
    expect(end).toBe(1 + 3 + 3);
  });

  it('refuses words that CLIP splits', () => {
    expect(() => buildClipVocabulary(['sea side'])).toThrow('"sea side" is not one word');
    expect(() => buildClipVocabulary(['12'])).toThrow('"12"');
    expect(() => buildClipVocabulary([''])).toThrow('""');
  });
});

describe('byte alphabet', () => {
  it('has the order of published vocabularies', () => {
    expect(byteAlphabet.slice(0, 3)).toEqual(['!', '"', '#']);
    expect([byteAlphabet[93], byteAlphabet[94], byteAlphabet[187], byteAlphabet[188], byteAlphabet[255]]).toEqual(['~', '¡', 'ÿ', 'Ā', 'Ń']);
    expect(new Set(byteAlphabet).size).toBe(256);
    expect(toByteCharacters(' é')).toEqual(['Ġ', 'Ã', '©']);
  });
});

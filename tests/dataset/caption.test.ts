import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { captionFor, possibleTexts } from '../../src-main/dataset/caption.ts';
import { dataSettings } from './pictures.ts';

const settings = (caption: object) => dataSettings({ folders: [{ path: 'x' }], caption }).caption;
const use = (occurrence: number, item = 0, seed = 1) => ({ seed, item, occurrence });

describe('captions', () => {
  it('get the prefix once, with one space', () => {
    expect(captionFor('a cat', settings({ prefix: 'ohwx style,' }), use(0))).toBe('ohwx style, a cat');
    expect(captionFor(' a cat ', settings({ prefix: 'ohwx, ' }), use(0))).toBe('ohwx, a cat');
    expect(captionFor('', settings({ prefix: 'ohwx style, ' }), use(0))).toBe('ohwx style');
    expect(captionFor(null, settings({}), use(0))).toBe('');
    expect(captionFor('a  cat,dog', settings({}), use(0))).toBe('a  cat,dog');
  });

  it('are shuffled behind the kept parts', () => {
    const shuffle = settings({ shuffle: true, keepTokens: 2, prefix: 'p,' });
    const seen = new Set<string>();
    for (let occurrence = 0; occurrence < 200; occurrence++) {
      const text = captionFor('a, b,c , ,d,e', shuffle, use(occurrence));
      expect(text.startsWith('p, a, b, ')).toBe(true);
      expect(text.split(', ').toSorted()).toEqual(['a', 'b', 'c', 'd', 'e', 'p']);
      seen.add(text);
    }
    expect(seen.size).toBe(6);
  });

  it('keep their own separator', () => {
    const text = captionFor('one. two. three', settings({ shuffle: true, separator: '.' }), use(3));
    expect(text.split('. ').toSorted()).toEqual(['one', 'three', 'two']);
    expect(captionFor('one|two', settings({ shuffle: true, separator: '|', keepTokens: 9 }), use(3))).toBe('one| two');
    expect(captionFor('b b', settings({ shuffle: true, separator: ' ' }), use(3))).toBe('b b');
  });

  it('are dropped whole, in the wished share', () => {
    const dropout = settings({ dropout: 0.3, prefix: 'p' });
    const texts = Array.from({ length: 4000 }, (_, occurrence) => captionFor('a', dropout, use(occurrence)));
    const share = texts.filter((text) => text === '').length / texts.length;
    // Five standard deviations of a share of 4000.
    expect(Math.abs(share - 0.3)).toBeLessThan(5 * Math.sqrt(0.3 * 0.7 / 4000));
    expect(new Set(texts)).toEqual(new Set(['', 'p a']));
    expect(captionFor('a', settings({ dropout: 1 }), use(0))).toBe('');
  });

  it('depend on seed, picture and occurrence only', () => {
    fc.assert(fc.property(fc.nat(), fc.nat(), fc.nat(), (seed, item, occurrence) => {
      const wild = settings({ dropout: 0.5, shuffle: true });
      const text = (): string => captionFor('a,b,c,d,e,f', wild, { seed, item, occurrence });
      const first = text();
      captionFor('x,y', wild, use(4));
      expect(text()).toBe(first);
      // Dropping some does not change how the others are shuffled.
      if (first !== '') {
        expect(captionFor('a,b,c,d,e,f', settings({ shuffle: true }), { seed, item, occurrence })).toBe(first);
      }
    }));
    const orders = [use(0), use(1), use(0, 1), use(0, 0, 2)].map((one) =>
      captionFor('a,b,c,d,e,f,g,h,i', settings({ shuffle: true }), one));
    expect(new Set(orders).size).toBe(4);
  });

  it('can be listed when they are not shuffled', () => {
    expect(possibleTexts(['a', null, 'a', 'b'], settings({ prefix: 'p', dropout: 0.1 })))
      .toEqual(['', 'p a', 'p', 'p b']);
    expect(possibleTexts(['a', null], settings({}))).toEqual(['', 'a']);
    expect(possibleTexts(['a'], settings({ shuffle: true }))).toBe(null);
  });
});

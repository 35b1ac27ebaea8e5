import { describe, expect, it } from 'vitest';
import { philox4x32, rng } from '../../src-main/base/rng.ts';

const hex = (words: Uint32Array): string => [...words].map((word) => word.toString(16).padStart(8, '0')).join(' ');

/** Philox4x32-10 with BigInt arithmetic, as the paper writes it. */
function reference(counter: bigint[], key: bigint[]): bigint[] {
  let [c0, c1, c2, c3] = counter as [bigint, bigint, bigint, bigint];
  let [k0, k1] = key as [bigint, bigint];
  for (let round = 0; round < 10; round++) {
    const p0 = 0xd2511f53n * c0;
    const p1 = 0xcd9e8d57n * c2;
    [c0, c1, c2, c3] = [(p1 >> 32n) ^ c1 ^ k0, p1 & 0xffffffffn, (p0 >> 32n) ^ c3 ^ k1, p0 & 0xffffffffn];
    k0 = (k0 + 0x9e3779b9n) & 0xffffffffn;
    k1 = (k1 + 0xbb67ae85n) & 0xffffffffn;
  }
  return [c0, c1, c2, c3];
}

describe('Philox4x32-10', () => {
  it.each([
    [[0, 0, 0, 0], [0, 0], '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
    [Array(4).fill(0xffffffff), Array(2).fill(0xffffffff), '408f276d 41c83b0e a20bc7c6 6d5451fd'],
    [[0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0],
      'd16cfe09 94fdcceb 5001e420 24126ea1'],
  ])('gives the published answer for counter %j', (counter, key, answer) => {
    expect(hex(philox4x32(counter as [number, number, number, number], key as [number, number]))).toBe(answer);
  });

  it('equals arithmetic with big integers on many counters', () => {
    const words = rng(7, 'counters');
    for (let run = 0; run < 3000; run++) {
      const counter = [words.word(), words.word(), words.word(), words.word()] as const;
      const key = [words.word(), words.word()] as const;
      const expected = reference(counter.map(BigInt), key.map(BigInt));
      expect([...philox4x32([...counter], [...key])].map(BigInt)).toEqual(expected);
    }
  });
});

describe('streams', () => {
  it('are fixed for all time', () => {
    // Recorded once; a change of these numbers breaks the resuming of every run that exists.
    const stream = rng(1234, 'noise', 5);
    expect(Array.from({ length: 5 }, () => stream.word()))
      .toEqual([4029435642, 3587428865, 2609333666, 3925304269, 2161435167]);
    expect([...rng(1234, 'noise', 5).fillNormal(new Float32Array(5))]).toEqual([
      0.18236912786960602, -0.30720797181129456, 0.8558874130249023, -0.5139600038528442, 0.09586869180202484,
    ]);
  });

  it('repeat, whatever else was drawn', () => {
    const a = rng(3, 'noise', 10);
    const other = rng(3, 'noise', 9);
    for (let draw = 0; draw < 5; draw++) other.uniform();
    const b = rng(3, 'noise', 10);
    for (let draw = 0; draw < 20; draw++) expect(a.uniform()).toBe(b.uniform());
  });

  it('differ by seed, name, order and kind of the parts', () => {
    const names: [number | bigint, ...(string | number)[]][] = [
      [1], [2], [-1], [1, ''], [1, 'a'], [1, 'b'], [1, 'a', 'b'], [1, 'b', 'a'], [1, 'ab'], [1, 'a|b'], [1, 'a|s1:b'],
      [1, 1], [1, '1'], [1, 1, 2], [1, 2, 1], [1, 12], [1, 0.5], [1, -1], [2n ** 32n + 1n], [2n ** 63n],
    ];
    const firsts = names.map(([seed, ...path]) => rng(seed, ...path).uniform());
    expect(new Set(firsts).size).toBe(names.length);
    const steps = Array.from({ length: 20000 }, (_, step) => rng(1, 'noise', step).uniform());
    expect(new Set(steps).size).toBe(steps.length);
  });

  it('take number and bigint seeds alike', () => {
    expect(rng(77n, 'a').word()).toBe(rng(77, 'a').word());
    expect(rng(-1, 'a').word()).toBe(rng(2n ** 64n - 1n, 'a').word());
  });

  it('refuse seeds and parts that are no numbers', () => {
    expect(() => rng(0.5)).toThrow(/not an integer/);
    expect(() => rng(2 ** 60)).toThrow(/not an integer/);
    expect(() => rng(1, NaN)).toThrow(/part NaN/);
  });
});

/** Pearson's statistic of counts that should be equal. */
const chiSquare = (counts: ArrayLike<number>): number => {
  const list = Array.from(counts);
  const mean = list.reduce((a, b) => a + b) / list.length;
  return list.reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0);
};

describe('distributions', () => {
  it('uniform is flat, in [0, 1), and uncorrelated from one draw to the next', () => {
    const stream = rng(5, 'uniform');
    const cells = new Uint32Array(256);
    let last = 0;
    for (let draw = 0; draw < 200_000; draw++) {
      const value = stream.uniform();
      if (!(value >= 0 && value < 1)) expect.fail(`uniform() gave ${value}`);
      cells[Math.floor(value * 16) * 16 + Math.floor(last * 16)]!++;
      last = value;
    }
    expect(chiSquare(cells)).toBeLessThan(255 + 5 * Math.sqrt(2 * 255));
  });

  it('int is unbiased and covers its range', () => {
    for (const count of [1, 2, 3, 7, 10]) {
      const stream = rng(6, 'int', count);
      const cells = new Uint32Array(count);
      for (let draw = 0; draw < 30_000; draw++) cells[stream.int(count)]!++;
      expect(cells.reduce((a, b) => a + b)).toBe(30_000);
      expect(chiSquare(cells)).toBeLessThan(count + 6 * Math.sqrt(2 * count));
    }
    // With the remainder alone, results below 2^30 would come up twice as often as those above.
    const stream = rng(6, 'bias');
    let low = 0;
    for (let draw = 0; draw < 9000; draw++) if (stream.int(3 * 2 ** 30) < 2 ** 30) low++;
    expect(Math.abs(low / 9000 - 1 / 3)).toBeLessThan(0.02);
    expect(rng(6).int(2 ** 32)).toBeLessThan(2 ** 32);
    expect(() => rng(6).int(0)).toThrow(/outside/);
    expect(() => rng(6).int(2.5)).toThrow(/outside/);
  });

  it('normal has the moments of the standard normal and independent neighbours', () => {
    const values = rng(8, 'normal').fillNormal(new Float32Array(1_000_000));
    const moment = (power: number): number => values.reduce((sum, value) => sum + value ** power, 0) / values.length;
    expect(moment(1)).toBeCloseTo(0, 2);
    expect(moment(2)).toBeCloseTo(1, 2);
    expect(Math.abs(moment(3))).toBeLessThan(0.015);
    expect(Math.abs(moment(4) - 3)).toBeLessThan(0.03);
    for (const lag of [1, 2, 3, 4]) {
      let product = 0;
      for (let index = lag; index < values.length; index++) product += values[index]! * values[index - lag]!;
      expect(Math.abs(product / values.length)).toBeLessThan(0.005);
    }
  });

  it('normal equals Box-Muller with the library functions', () => {
    const words = rng(9, 'box');
    const values = rng(9, 'box').fillNormal(new Float32Array(40_000));
    for (let index = 0; index < values.length; index += 2) {
      const radius = Math.sqrt(-2 * Math.log((words.word() + 0.5) / 2 ** 32));
      const angle = 2 * Math.PI * words.word() / 2 ** 32;
      expect(Math.abs(values[index]! - radius * Math.cos(angle))).toBeLessThan(4e-7);
      expect(Math.abs(values[index + 1]! - radius * Math.sin(angle))).toBeLessThan(4e-7);
    }
  });

  it('normal, drawn one by one, is what fillNormal gives', () => {
    const values = rng(10, 'one').fillNormal(new Float32Array(37));
    const stream = rng(10, 'one');
    for (const value of values) expect(Math.fround(stream.normal())).toBe(value);
  });

  it('a shorter fill is a prefix of a longer one, and mean and deviation apply', () => {
    const long = rng(11).fillNormal(new Float32Array(23));
    for (let length = 0; length <= 23; length++) {
      expect(rng(11).fillNormal(new Float32Array(length))).toEqual(long.slice(0, length));
    }
    const moved = rng(11).fillNormal(new Float32Array(23), 10, 0.5);
    moved.forEach((value, index) => expect(value).toBeCloseTo(10 + 0.5 * long[index]!, 5));
    const stream = rng(11);
    stream.fillNormal(new Float32Array(4));
    expect(stream.fillNormal(new Float32Array(4))).toEqual(long.slice(4, 8));
  });

  it('shuffle gives each permutation as often as the others', () => {
    const counts = new Map<string, number>();
    for (let run = 0; run < 12_000; run++) {
      const order = rng(12, run).shuffle(4).join('');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    expect(chiSquare([...counts.values()])).toBeLessThan(23 + 5 * Math.sqrt(46));
    expect(rng(12).shuffle(1000).sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, index) => index));
    expect(rng(12).shuffle(0)).toEqual([]);
  });

  it('pick takes items of the list', () => {
    const seen = new Set(Array.from({ length: 100 }, (_, run) => rng(13, run).pick(['a', 'b', 'c'])));
    expect(seen).toEqual(new Set(['a', 'b', 'c']));
    expect(() => rng(13).pick([])).toThrow(/empty/);
  });
});

// Learning-rate schedules against transformers' and, for REX, its formula; and their boundary values.
import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { rateFactor, schedules } from '../../src-main/catalog/schedules/index.ts';
import { readGolden, relativeError } from '../nn/golden.ts';

const kinds = Object.keys(schedules);

test('the list of schedules and the folder agree', () => {
  const files = readdirSync('src-main/catalog/schedules').filter((name) => name !== 'index.ts').map((name) => name.slice(0, -3));
  expect(kinds.sort()).toEqual(files.sort());
});

describe('recorded', () => {
  const golden = readGolden('lr', 'lr.safetensors');
  // `constant` alone has no warm-up there.
  const named: Readonly<Record<string, string>> = { constant: 'constant_with_warmup', 'cosine-restarts': 'cosine_restarts_3' };
  const cases = kinds.flatMap((kind) => [[0, 20], [5, 20], [3, 31]].map(([warmup, total]) => [kind, warmup!, total!] as const));
  test.each(cases)('%s, warm-up %i of %i', (kind, warmup, total) => {
    const expected = golden.data(`${named[kind] ?? kind}.w${warmup}.t${total}`);
    const actual = Array.from({ length: total + 1 }, (_, step) => rateFactor(kind, step, total, warmup));
    expect(relativeError(actual, expected)).toBeLessThan(1e-6);
  });
});

describe.each(kinds)('%s', (kind) => {
  test('starts at 1, stays in [0, 1], also past the end', () => {
    expect(rateFactor(kind, 0, 50, 0)).toBe(1);
    for (let step = 0; step < 60; step++) {
      const factor = rateFactor(kind, step, 50, 0);
      expect(factor).toBeGreaterThanOrEqual(0);
      expect(factor).toBeLessThanOrEqual(1);
    }
    expect(rateFactor(kind, 60, 50, 0)).toBe(rateFactor(kind, 50, 50, 0));
  });

  test('warm-up rises from 0 in equal steps and meets the schedule at 1', () => {
    const factors = Array.from({ length: 5 }, (_, step) => rateFactor(kind, step, 50, 4));
    expect(factors).toEqual([0, 0.25, 0.5, 0.75, 1]);
  });

  test('a run of one step, and one of warm-up only, have numbers', () => {
    expect(rateFactor(kind, 0, 1, 0)).toBe(1);
    expect(rateFactor(kind, 9, 10, 10)).toBeCloseTo(0.9, 12);
    expect(Number.isFinite(rateFactor(kind, 10, 10, 10))).toBe(true);
  });
});

test('restarts take as many cycles as are asked for', () => {
  const starts = (cycles: number): number => Array.from({ length: 60 }, (_, step) => rateFactor('cosine-restarts', step, 60, 0, { cycles })).filter((factor) => factor === 1).length;
  expect([1, 2, 5].map(starts)).toEqual([1, 2, 5]);
});

test('an unknown schedule is refused by name', () => {
  expect(() => rateFactor('toString', 0, 1, 0)).toThrow(/no schedule "toString"/);
});

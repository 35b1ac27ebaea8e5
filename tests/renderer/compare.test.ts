// From what a person chose to the pictures that are asked for.
import { describe, expect, test } from 'vitest';

import { gridItems, itemOf, keyOf, parseValues, spread, startValues, strengths } from '../../src-renderer/state/compare.ts';

const settings = { prompt: 'a fox', negative: 'text', seed: 5, guidance: 4, steps: 8, sampler: 'ddim' };
const item = itemOf('run', 200, 1, settings);

describe('items', () => {
  test('carry everything; a sampler that is not chosen is left to the app', () => {
    expect(item).toEqual({ runId: 'run', step: 200, strength: 1, prompt: 'a fox', negative: 'text', seed: 5, guidance: 4, steps: 8, sampler: 'ddim' });
    expect('sampler' in itemOf('run', 0, 1, { ...settings, sampler: '' })).toBe(false);
  });

  test('of the base model are one, whatever the strength', () => {
    const base = keyOf(itemOf('run', 0, 1, settings));
    expect([keyOf(itemOf('run', 0, 2, settings)), keyOf(itemOf('run', 300, 0, settings))]).toEqual([base, base]);
    expect(new Set([base, keyOf(item), keyOf({ ...item, strength: 0.5 }), keyOf({ ...item, seed: 6 }), keyOf({ ...item, prompt: 'b' }), keyOf({ ...item, guidance: 1 }), keyOf({ ...item, runId: 'other' })]).size).toBe(7);
  });

  test('strengths begin with none and contain the trained one', () => {
    expect(strengths[0]).toBe(0);
    expect(strengths).toContain(1);
  });
});

describe('grids', () => {
  test('have rows of columns, each with its two values', () => {
    const grid = gridItems(item, { axis: 'checkpoint', values: [0, 100] }, { axis: 'prompt', values: ['x', 'y', 'z'] });
    expect(grid.map((line) => line.map(({ step, prompt }) => [step, prompt]))).toEqual([[[0, 'x'], [100, 'x']], [[0, 'y'], [100, 'y']], [[0, 'z'], [100, 'z']]]);
    expect(grid.flat().every(({ seed, strength }) => seed === 5 && strength === 1)).toBe(true);
    expect(gridItems(item, { axis: 'guidance', values: [1, 7] }, null).map((line) => line.map(({ guidance }) => guidance))).toEqual([[1, 7]]);
  });

  test.each([
    ['checkpoint', '0, 100,200', [0, 100, 200]], ['checkpoint', '0, 150', null], ['strength', '0.5, 1, 1', [0.5, 1]], ['strength', '5', null], ['strength', 'a', null],
    ['guidance', '1,7.5', [1, 7.5]], ['guidance', '-1', null], ['seed', '1, 2', [1, 2]], ['seed', '1.5', null], ['seed', '5000000000', null],
    ['prompt', ' a fox, running \n\n two hills', ['a fox, running', 'two hills']], ['prompt', ' \n ', null], ['sampler', 'ddim', null], ['strength', '', null],
  ] as const)('%s: %j', (axis, text, expected) => {
    expect(parseValues(axis, text, [100, 200])).toEqual(expected);
  });

  test('samplers are chosen among those that there are', () => {
    expect(parseValues('sampler', 'a, b', ['a', 'b', 'c'])).toEqual(['a', 'b']);
  });

  test('every axis begins with values that can be read', () => {
    for (const axis of ['checkpoint', 'strength', 'prompt', 'guidance', 'seed'] as const) {
      expect(parseValues(axis, startValues(axis, settings, [100, 200]), [100, 200])).not.toBeNull();
    }
  });

  test('many checkpoints are spread evenly, with the first and the last', () => {
    const all = Array.from({ length: 41 }, (_, at) => at * 10);
    expect(spread(all, 5)).toEqual([0, 100, 200, 300, 400]);
    expect(spread([1, 2], 5)).toEqual([1, 2]);
  });
});

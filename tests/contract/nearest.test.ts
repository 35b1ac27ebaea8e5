import { expect, test } from 'vitest';

import { editDistance, nearestName, suggestion } from '../../src-main/contract/nearest.ts';

test.each([
  ['', 'abc', 3], ['kitten', 'sitting', 3], ['steps', 'setps', 1], ['ca', 'abc', 3], ['Rank', 'rank', 0], ['a', 'a', 0],
])('%s to %s is %d', (a, b, distance) => {
  expect(editDistance(a, b)).toBe(distance);
  expect(editDistance(b, a)).toBe(distance);
});

test('only a plausible misspelling is offered', () => {
  expect(nearestName('learnigRate', ['learningRate', 'lr'])).toBe('learningRate');
  expect(nearestName('weightDecay', ['rank', 'alpha'])).toBeNull();
  expect(nearestName('x', [])).toBeNull();
  expect(suggestion('zzzz', ['rank', 'alpha'])).toBe(' Known here: rank, alpha.');
});

test('what people call a GPU is no misspelling of cpu', () => {
  const known = ['auto', 'cpu', 'cuda', 'dml', 'webgpu'];
  expect(suggestion('gpu', known)).toBe(" Did you mean 'auto' or 'cuda' or 'webgpu'?");
  expect(suggestion('GPU', known)).toContain("'auto'");
  expect(suggestion('cuba', known)).toBe(" Did you mean 'cuda'?");
  expect(suggestion('gpu', ['rank'])).toBe(' Known here: rank.');
});

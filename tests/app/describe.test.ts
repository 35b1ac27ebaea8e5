// The form of settings comes from the schema of jobs and the catalog: with search words, units, ranges, help and why.
import { expect, test } from 'vitest';

import { describeCatalog } from '../../src-main/app/catalog/describe.ts';
import { api } from '../../src-main/contract/api.ts';

const described = describeCatalog();
const { settings } = described;

test('it is what the contract says', () => {
  expect(api['catalog.describe'].output.parse(described)).toEqual(described);
});

test('every setting says what it is; numbers have ranges, counts of steps their unit', () => {
  expect(settings.length).toBeGreaterThan(60);
  const silent = settings.filter(({ field, path }) => field.help === '' && !/\.(betaStart|betaEnd|timesteps)$/.test(path)).map(({ path }) => path);
  expect(silent).toEqual([]);
  for (const { field, path } of settings) if (field.kind === 'number') expect([path, field.min < field.max]).toEqual([path, true]);
  expect(settings.filter(({ path, field }) => /(^train\.steps|Every|warmup)$/.test(path) && !(field.kind === 'number' && field.unit === 'steps')).map(({ path }) => path)).toEqual([]);
});

test('the settings that most people see say why one would change them', () => {
  const plain = settings.filter(({ advanced }) => !advanced);
  expect(plain.length).toBeGreaterThan(15);
  const choices = new Set(['adapter.kind', 'optimizer.kind', 'schedule.kind', 'train.device']);
  expect(plain.filter(({ field, path }) => (field.why ?? '') === '' && !choices.has(path)).map(({ path }) => path)).toEqual([]);
});

test('settings of one kind exist for that kind alone', () => {
  expect(settings.filter(({ when }) => when !== null).length).toBeGreaterThan(10);
  for (const { when, path } of settings) if (when !== null) expect([path, settings.some((one) => one.path === when.path && one.field.kind === 'choice' && one.field.options.some(({ value }) => value === when.is))]).toEqual([path, true]);
});

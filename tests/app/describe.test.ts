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
  expect(settings.filter(({ field }) => field.help === '').map(({ path }) => path)).toEqual([]);
  for (const { field, path } of settings) if (field.kind === 'number') expect([path, field.min < field.max]).toEqual([path, true]);
  expect(settings.filter(({ path, field }) => /(^train\.steps|Every|warmup)$/.test(path) && !(field.kind === 'number' && field.unit === 'steps')).map(({ path }) => path)).toEqual([]);
});

test('every setting says why one would change it', () => {
  expect(settings.filter(({ field }) => (field.why ?? '').length < 10).map(({ path, when }) => `${path} ${when?.is ?? ''}`)).toEqual([]);
});

test('settings and their choices are called what people call them', () => {
  const field = (path: string) => settings.find((setting) => setting.path === path)!.field;
  expect(['preview.every', 'train.checkpointing', 'train.steps', 'data.caption.prefix'].map((path) => field(path).label)).toEqual(['Preview every', 'Gradient checkpointing', 'Steps', 'Caption: prefix']);
  const format = field('output.dtype');
  expect(format.kind === 'choice' && format.options.map(({ label }) => label)).toEqual(['f16', 'bf16', 'f32']);
  const device = field('train.device');
  expect(device.kind === 'choice' && device.options.map(({ value, label }) => `${value}: ${label}`)).toEqual(['auto: The best one found', 'cpu: Processor', 'cuda: NVIDIA GPU (CUDA)', 'dml: GPU (DirectML)', 'webgpu: GPU (WebGPU)']);
});

test('settings of one kind exist for that kind alone', () => {
  expect(settings.filter(({ when }) => when !== null).length).toBeGreaterThan(10);
  for (const { when, path } of settings) if (when !== null) expect([path, settings.some((one) => one.path === when.path && one.field.kind === 'choice' && one.field.options.some(({ value }) => value === when.is))]).toEqual([path, true]);
});

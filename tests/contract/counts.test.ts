// Beside what a setting counts stands in its own definition, and says the truth.
import { expect, test } from 'vitest';

import { adapters } from '../../src-main/catalog/adapters/index.ts';
import type { Adapter } from '../../src-main/catalog/define/adapter.ts';
import type { Optimizer } from '../../src-main/catalog/define/optimizer.ts';
import { catalogFields } from '../../src-main/catalog/index.ts';
import { optimizers } from '../../src-main/catalog/optimizers/index.ts';
import { whyIgnored, type Counts } from '../../src-main/contract/counts.ts';
import { defaultSettings } from '../../src-main/contract/fields.ts';
import { jobJsonSchema, parseJob } from '../../src-main/contract/parse-job.ts';
import { ignoredSettings } from '../../src-main/train/ignored-settings.ts';

interface Schema { readonly counts?: Counts; readonly enum?: readonly unknown[]; readonly type?: string; readonly items?: Schema; readonly properties?: Readonly<Record<string, Schema>> }
const schema = jobJsonSchema(catalogFields()) as Schema;
const catalog = catalogFields();
const fields = (['adapter', 'optimizer', 'schedule'] as const).flatMap((section) => Object.entries(catalog[section]).flatMap(([kind, own]) => Object.entries(own).map(([key, field]) => ({ path: `${section}.${key}`, kind, field }))));

test('why a setting does not count is said with what the job has', () => {
  const job = { task: 'autoencoder', folders: [{ rare: false }, { rare: false }], a: { on: false } };
  expect(whyIgnored({ task: 'autoencoder' }, job)).toBeNull();
  expect(whyIgnored({ task: ['adapter', 'pretrain'] }, job)).toBe('task is "autoencoder"');
  expect(whyIgnored({ task: 'autoencoder', 'a.on': true }, job)).toBe('a.on is false');
  expect(whyIgnored([{ task: 'adapter' }, { 'a.on': true }], job)).toBe('task is "autoencoder" and a.on is false');
  expect(whyIgnored([{ task: 'adapter' }, { 'a.on': false }], job)).toBeNull();
  expect(whyIgnored({ 'a.off': true }, job)).toBe('a.off is not set');
  expect(whyIgnored({ 'a.off': [true, null] }, job)).toBeNull();
  expect(whyIgnored({ 'folders.rare': true }, job)).toBe('no folders.rare is true');
  expect(whyIgnored({ 'folders.rare': true }, { folders: [{ rare: false }, { rare: true }] })).toBeNull();
});

test('every condition names a setting and a value that it can have', () => {
  const conditions = (node: Schema): Counts[] => [...(node.counts === undefined ? [] : [node.counts]), ...Object.values(node.properties ?? {}).flatMap(conditions)];
  const found = [...conditions(schema), ...fields.flatMap(({ field }) => (field.counts === undefined ? [] : [field.counts]))];
  expect(found.length).toBeGreaterThan(15);
  const wrong = found.flatMap((counts) => [counts].flat()).flatMap((beside) => Object.entries(beside as object).flatMap(([path, wanted]) => [wanted as unknown].flat().map((value) => [path, value] as const))).filter(([path, value]) => {
    const own = fields.filter((one) => one.path === path).map(({ field }) => field);
    const node = path.split('.').reduce<Schema | undefined>((at, key) => (at?.items ?? at)?.properties?.[key], schema);
    if (value === null) return own.length === 0;
    return !(own.some(({ kind }) => kind === 'flag' && typeof value === 'boolean') || node?.enum?.includes(value) === true || (node?.type === 'boolean' && typeof value === 'boolean'));
  });
  expect(wrong).toEqual([]);
});

test('random starts count where weights are trained', () => {
  const kinds = Object.entries(adapters as unknown as Readonly<Record<string, Adapter>>);
  for (const [kind, { trainsWeights }] of kinds) expect([kind, whyIgnored(schema.properties!['init']!.counts!, { task: 'adapter', adapter: { kind } }) === null]).toEqual([kind, trainsWeights === true]);
});

test('a learning rate counts for exactly those optimizers that compute with it', () => {
  for (const [kind, optimizer] of Object.entries(optimizers as unknown as Readonly<Record<string, Optimizer>>)) {
    const flags = Object.entries(optimizer.fields).filter(([, field]) => field.kind === 'flag').map(([key]) => key);
    // All ways to set its switches.
    for (let way = 0; way < 2 ** flags.length; way++) {
      const settings = { ...defaultSettings(optimizer.fields), ...Object.fromEntries(flags.map((key, bit) => [key, (way >> bit) % 2 === 1])) };
      const [low, high] = [1e-4, 1].map((rate) => JSON.stringify(optimizer.scalars(5, rate, settings as never)));
      const job = parseJob({ version: 1, base: { model: 'm' }, data: { folders: [{ path: 'p' }] }, optimizer: { kind, ...settings, learningRate: 0.123 }, schedule: { kind: 'cosine', warmup: 3 } }, catalog);
      if (!job.ok) throw new Error(JSON.stringify(job.issues));
      const told = ignoredSettings(job.job).map(({ data }) => data.setting);
      expect([kind, settings, told.includes('optimizer.learningRate'), told.includes('schedule.warmup')]).toEqual([kind, settings, low === high, low === high]);
    }
  }
});

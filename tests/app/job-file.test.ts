import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { readJobFile } from '../../src-main/app/job-file.ts';
import { folderOfFile } from '../files/temporary.ts';
import { catalog } from './cli-harness.ts';

const folder = folderOfFile();
const toml = `version = 1
[base]
model = "../model" # beside
[data]
holdout = "held"
[[data.folders]]
path = "images"
[[data.folders]]
path = "/elsewhere"
[adapter]
rank = 4
`;

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe('readJobFile', () => {
  test('TOML: paths are meant from the file', async () => {
    const { job } = await readJobFile(file('a.toml', toml), catalog);
    expect(job.base.model).toBe(join(folder, '..', 'model'));
    expect(job.data.folders.map((entry) => entry.path)).toEqual([join(folder, 'images'), '/elsewhere']);
    expect(job.data.holdout).toBe(join(folder, 'held'));
    expect(job.adapter['rank']).toBe(4);
  });

  test('files of parts of the model are meant from the file too', async () => {
    const text = toml.replace('model = "../model" # beside', 'model = "m.safetensors"\nvae = "vae.safetensors"\ntextEncoders = ["l.safetensors", "/g.safetensors"]\nclipSkip = 2');
    const { job } = await readJobFile(file('parts.toml', text), catalog);
    expect(job.base).toMatchObject({
      model: join(folder, 'm.safetensors'), vae: join(folder, 'vae.safetensors'), textEncoders: [join(folder, 'l.safetensors'), '/g.safetensors'], clipSkip: 2,
    });
    for (const wrong of ['clipSkip = 0', 'textEncoders = []', 'vae = ""']) {
      await expect(readJobFile(file('wrong.toml', toml.replace('model =', `${wrong}\nmodel =`)), catalog)).rejects.toMatchObject({ code: 'job.invalid' });
    }
  });

  test('a job that is written as JSON reads as the same job', async () => {
    const { job } = await readJobFile(file('a.toml', toml), catalog);
    const again = await readJobFile(file('b.json', `\uFEFF${JSON.stringify(job)}`), catalog);
    expect(again.job).toEqual(job);
  });

  test('settings can be overridden one by one', async () => {
    const overrides = ['train.steps=20', 'adapter.rank=8', 'name=ink', 'data.holdout=0.25'];
    const { job } = await readJobFile(file('a.toml', toml), catalog, overrides);
    expect([job.train.steps, job.adapter['rank'], job.name, job.data.holdout]).toEqual([20, 8, 'ink', 0.25]);
  });

  test.each([
    ['train.steps', 'is no setting'], ['=3', 'is no setting'], ['a..b=3', 'is no setting'], ['version.x=1', "'version' holds no keys"],
    ['__proto__.x=1', 'is no setting'], ['train.stpes=3', "Did you mean 'steps'?"],
  ])('the override %s is refused', async (override, text) => {
    await expect(readJobFile(file('a.toml', toml), catalog, [override])).rejects.toThrow(text);
  });

  test.each([
    ['a.yaml', '', 'job.type', 'must end in .toml or .json'],
    ['a.json', '{', 'job.syntax', 'is not valid JSON'],
    ['bad.toml', 'a = = 2', 'job.syntax', 'is not valid TOML'],
    ['c.json', '{"version":1}', 'job.invalid', 'base: missing.'],
    ['d.json', '{"version":1,"base":{"modle":"m"},"data":{"folders":[{"path":"p"}]}}', 'job.invalid', "Did you mean 'model'?"],
  ])('%s holding %j is refused', async (name, text, code, message) => {
    await expect(readJobFile(file(name, text), catalog)).rejects.toMatchObject({
      code, message: expect.stringContaining(message),
    });
  });

  test('the job in the README is one', async () => {
    const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');
    const example = /```toml\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
    const { job } = await readJobFile(file('readme.toml', example), catalog);
    expect(job.name).toBe('ink');
  });

  test('a missing file is named', async () => {
    await expect(readJobFile(join(folder, 'none.toml'), catalog)).rejects.toThrow(/none\.toml cannot be read: there is no such/);
    await expect(readJobFile(folder, catalog)).rejects.toThrow('it is a folder');
  });
});

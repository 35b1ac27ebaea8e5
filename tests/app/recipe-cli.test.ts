// `adora train` with a recipe: places from the command line, what differs as warnings, choices of pictures beside the run.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { RunJob } from '../../src-main/cli/commands/train.ts';
import { writePicture } from '../dataset/pictures.ts';
import { temporaryFolder } from '../files/temporary.ts';
import { adora } from './cli-harness.ts';

type Request = Parameters<RunJob>[0];

async function place(choices = false) {
  const root = temporaryFolder();
  const [base, data] = [join(root, 'my-model'), join(root, 'my-pictures')];
  mkdirSync(base);
  mkdirSync(data);
  const picture = join(data, 'a.png');
  await writePicture(picture, 8, 8, () => [1, 2, 3]);
  const sha256 = createHash('sha256').update(readFileSync(picture)).digest('hex');
  const recipe = join(root, 'ink.recipe.json');
  writeFileSync(recipe, JSON.stringify({
    recipe: 1, versions: {}, job: { version: 1, base: { model: 'gone' }, data: { folders: [{ path: 'gone-too' }] } }, base: null, results: null,
    data: { fingerprint: 'x', folders: [{ name: 'gone-too', pictures: [] }], holdout: null, choices: choices ? [{ sha256, repeats: 3 }] : [] },
  }));
  const requests: Request[] = [];
  const runJob: RunJob = async (request) => {
    requests.push(request);
    return 'finished';
  };
  const checkRecipe = async () => [{ kind: 'warning', code: 'recipe.other-base', text: 'The base is another.' } as const];
  return { root, base, data, picture, recipe, requests, engine: { runJob, checkRecipe } };
}

describe('adora train x.recipe.json', () => {
  test('takes base and pictures from where the user says, and tells what differs', async () => {
    const { root, base, data, recipe, requests, engine } = await place();
    const { code, out } = await adora(['train', recipe, '--base', base, '--data', data, '--out', join(root, 'run')], engine);
    expect([code, out]).toEqual([0, expect.stringContaining('The base is another.')]);
    expect(requests[0]!.job).toMatchObject({ base: { model: base }, data: { folders: [{ path: data }] } });
    expect(existsSync(join(root, 'run.selection.json'))).toBe(false);
  });

  test('puts choices of single pictures beside the run', async () => {
    const { root, base, data, picture, recipe, requests, engine } = await place(true);
    await adora(['train', recipe, '--base', base, '--data', data, '--out', join(root, 'run')], engine);
    expect(requests[0]!.job.data.selection).toBe(join(root, 'run.selection.json'));
    expect(JSON.parse(readFileSync(join(root, 'run.selection.json'), 'utf8'))).toEqual({ version: 1, pictures: { [picture]: { repeats: 3 } } });
  });

  test('says what is missing', async () => {
    const { recipe, base, engine, requests } = await place();
    expect((await adora(['train', recipe], engine)).error).toContain('--base');
    expect((await adora(['train', recipe, '--base', base], engine)).error).toContain('--data');
    expect(requests).toEqual([]);
  });

  test('jobs and resumed runs have their places already', async () => {
    const { root, base, engine } = await place();
    const job = join(root, 'job.json');
    writeFileSync(job, JSON.stringify({ version: 1, base: { model: 'm' }, data: { folders: [{ path: 'p' }] } }));
    expect((await adora(['train', job, '--base', base], engine)).error).toContain('is a job and no recipe');
    expect((await adora(['train', '--resume', root, '--base', base], engine)).code).toBe(2);
  });
});

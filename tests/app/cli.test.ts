import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { UserError } from '../../src-main/base/errors.ts';
import type { Forecast, RunJob } from '../../src-main/cli/commands/train.ts';
import { trainEventSchema } from '../../src-main/contract/events.ts';
import { folderOfFile } from '../files/temporary.ts';
import { adora } from './cli-harness.ts';

const folder = folderOfFile();
const job = join(folder, 'job.toml');
writeFileSync(job, 'version = 1\n[base]\nmodel = "model"\n[[data.folders]]\npath = "images"\n');

const jsonLines = (text: string) =>
  text.trimEnd().split('\n').map((line) => trainEventSchema.parse(JSON.parse(line)));

describe('train', () => {
  test('hands the job to the engine and shows its events as JSON lines', async () => {
    let seen: Parameters<RunJob>[0] | undefined;
    const runJob: RunJob = async (request) => {
      seen = request;
      request.onEvent({ kind: 'probe', seq: 0, time: 1, step: 0, loss: 0.5 });
      return 'finished';
    };
    const run = join(folder, 'run');
    const { code, out, error } = await adora(['train', job, '--out', run, '--json', '--set', 'train.steps=7'], { runJob });
    expect({ code, error }).toEqual({ code: 0, error: '' });
    expect(jsonLines(out)).toEqual([{ kind: 'probe', seq: 0, time: 1, step: 0, loss: 0.5 }]);
    expect(seen).toMatchObject({ runFolder: run, resume: false });
    expect(seen?.job.train.steps).toBe(7);
    expect(seen?.job.base.model).toBe(join(folder, 'model'));
  });

  test.each([['fits', 0], ['too-large', 1]] as const)('--forecast trains nothing and shows what is needed: %s', async (verdict, expected) => {
    const amount = { bytes: 1, free: 2, total: 3 };
    const runJob: RunJob = async () => expect.unreachable();
    const forecast: Forecast = async ({ job: asked, times }) => {
      expect([asked.train.steps, times]).toEqual([7, true]);
      return { kind: 'forecast', verdict, text: 'The run needs 1 byte.', memory: { host: amount, device: null, parts: [] }, disk: { bytes: 1, free: 2, parts: [] }, seconds: null, changes: [] };
    };
    const { code, out } = await adora(['train', job, '--forecast', '--set', 'train.steps=7'], { runJob, forecast });
    expect(code).toBe(expected);
    expect(out).toContain('The run needs 1 byte.\n');
  });

  test('an interrupted run ends with 130, and the signal reaches the engine', async () => {
    const before = process.listenerCount('SIGTERM');
    const runJob: RunJob = async ({ control }) => {
      expect(control.shouldStop()).toBe(false);
      process.emit('SIGTERM');
      expect(control.shouldStop()).toBe(true);
      return 'interrupted';
    };
    const { code, error } = await adora(['train', job], { runJob });
    expect(code).toBe(130);
    expect(error).toContain('Stopping');
    expect(process.listenerCount('SIGTERM')).toBe(before);
  });

  test('a user error is one sentence on stderr, or a failed event', async () => {
    const runJob: RunJob = async ({ onEvent }) => {
      onEvent({ kind: 'probe', seq: 41, time: 1, step: 0, loss: null });
      throw new UserError('dataset.empty', 'The folder x holds no images; put some in.', { folder: 'x' });
    };
    expect(await adora(['train', job], { runJob })).toMatchObject({
      code: 1, error: 'adora: The folder x holds no images; put some in.\n',
    });
    const json = await adora(['train', job, '--json'], { runJob });
    expect(json).toMatchObject({ code: 1, error: '' });
    expect(jsonLines(json.out).at(-1)).toEqual({
      kind: 'failed', seq: 42, time: 5, code: 'dataset.empty', text: 'The folder x holds no images; put some in.',
      data: { folder: 'x' },
    });
  });

  test.each([
    ['job.invalid', 2], ['job.rank', 2], ['run.not-empty', 2], ['bench.unknown', 2], ['demo.stopped', 130], ['sample.stopped', 130], ['dataset.no-folder', 1], ['checkpoint.all-broken', 1],
  ])('%s exits with %i', async (code, expected) => {
    const runJob: RunJob = () => Promise.reject(new UserError(code, 'No.'));
    expect((await adora(['train', job], { runJob })).code).toBe(expected);
  });

  test.each([['a missing job', 'none.toml'], ['broken TOML', 'broken.toml'], ['an unknown key', 'unknown.json']])('%s exits with 2', async (_, name) => {
    const path = join(folder, name);
    if (name === 'broken.toml') writeFileSync(path, 'a = = 1');
    if (name === 'unknown.json') writeFileSync(path, JSON.stringify({ version: 1, base: { model: 'm' }, data: { folders: [{ path: 'd' }] }, trian: {} }));
    expect((await adora(['train', path], { runJob: async () => 'finished' })).code).toBe(2);
  });

  test('a failure that the run has already reported is not repeated', async () => {
    const runJob: RunJob = async ({ onEvent }) => {
      onEvent({ kind: 'failed', seq: 0, time: 1, code: 'a.b', text: 'No.' });
      throw new UserError('a.b', 'No.');
    };
    expect(jsonLines((await adora(['train', job, '--json'], { runJob })).out)).toHaveLength(1);
  });

  test('full disks and faults of our own are told apart', async () => {
    const full: RunJob = () => Promise.reject(Object.assign(new Error('x'), { code: 'ENOSPC', path: 'run/a' }));
    expect((await adora(['train', job], { runJob: full })).error).toMatch(/^adora: The disk is full\. .*\(run\/a\)\n$/);
    const bug: RunJob = () => Promise.reject(new Error('odd'));
    expect((await adora(['train', job], { runJob: bug })).error).toMatch(/^adora: Internal error: odd\nError: odd\n +at /);
  });

  test('a run can be resumed by its folder', async () => {
    const run = mkdtempSync(join(folder, 'resumed-'));
    writeFileSync(join(run, 'job.json'), JSON.stringify({
      version: 1, base: { model: '/m' }, data: { folders: [{ path: '/d' }] },
    }));
    let resumed: unknown;
    const runJob: RunJob = async ({ resume, runFolder }) => {
      resumed = { resume, runFolder };
      return 'finished';
    };
    expect((await adora(['train', '--resume', run], { runJob })).code).toBe(0);
    expect(resumed).toEqual({ resume: true, runFolder: run });
    expect(await adora(['train', '--resume', folder], { runJob })).toMatchObject({
      code: 2, error: expect.stringContaining('holds no run'),
    });
  });

  test.each([
    [['train'], 'either a job file or --resume'],
    [['train', 'a.toml', '--resume', 'b'], 'either a job file or --resume'],
    [['train', '--resume', 'b', '--out', 'c'], 'belong to a new run'],
    [['train', 'a.toml', '--otu', 'c'], "unknown option '--otu'"],
    [['tarin'], "unknown command 'tarin'"],
    [['schema', 'jib'], 'Allowed choices are job'],
  ])('%j is a usage error', async (args, text) => {
    const runJob: RunJob = () => Promise.reject(new Error('must not run'));
    const { code, error } = await adora(args, { runJob });
    expect(code).toBe(2);
    expect(error).toContain(text);
  });
});

describe('other commands', () => {
  test('hand over what was asked and print what came back', async () => {
    let request: unknown;
    const probe = async (asked: unknown) => {
      request = asked;
      return { text: 'loss 0.5', data: { loss: 0.5 } };
    };
    const args = ['probe', '--base', 'unet', '--input', 'i.safetensors', '--output', 'o.safetensors'];
    expect(await adora(args, { probe })).toEqual({ code: 0, out: 'loss 0.5\n', error: '' });
    expect(request).toEqual({
      base: 'unet', input: 'i.safetensors', output: 'o.safetensors', device: 'auto', dtype: 'auto',
    });
    const json = await adora([...args, '--json'], { probe });
    expect(jsonLines(json.out)).toEqual([{ kind: 'result', seq: 0, time: 5, command: 'probe', ok: true, data: { loss: 0.5 } }]);
    expect((await adora(['probe', '--base', 'x'], { probe })).code).toBe(2);
  });

  test('a bad verdict ends with 1', async () => {
    const doctor = async () => ({ text: 'cuda differs', data: {}, ok: false });
    expect(await adora(['doctor'], { doctor })).toMatchObject({ code: 1, out: 'cuda differs\n' });
  });

  test('repeated options collect, numbers are checked', async () => {
    let request: unknown;
    const sample = async (asked: unknown) => {
      request = asked;
      return { text: '', data: {} };
    };
    const args = ['sample', '--base', 'm', '--prompt', 'a', '--prompt', 'b', '--seed', '3'];
    expect((await adora(args, { sample })).code).toBe(0);
    expect(request).toMatchObject({ prompt: ['a', 'b'], adapter: [], seed: 3, count: 1 });
    const again = await adora(['sample', '--base', 'm', '--prompt', 'c'], { sample });
    expect(again.code).toBe(0);
    expect(request).toMatchObject({ prompt: ['c'] });
    expect(await adora([...args, '--steps', '0'], { sample })).toMatchObject({
      code: 2, error: expect.stringContaining('from 1 to 1000'),
    });
    expect((await adora(['sample', '--prompt', 'a'], { sample })).code).toBe(2);
    expect((await adora([...args, '--prediction', 'v', '--zero-terminal-snr', '--clip-skip', '2', '--vae', 'x', '--text-encoder', 'l', '--text-encoder', 'g'], { sample })).code).toBe(0);
    expect(request).toMatchObject({ prediction: 'v', zeroTerminalSnr: true, clipSkip: 2, vae: 'x', textEncoder: ['l', 'g'] });
    const told = ['--base', 'm', '--prediction', 'v', '--zero-terminal-snr', '--clip-skip', '2', '--vae', 'x', '--text-encoder', 'l', '--text-encoder', 'g'];
    expect((await adora(['export', 'ink.safetensors', ...told], { export: async (asked) => { request = asked; return { text: '', data: {}, ok: true }; } })).code).toBe(0);
    expect(request).toMatchObject({ run: 'ink.safetensors', base: 'm', prediction: 'v', zeroTerminalSnr: true, clipSkip: 2, vae: 'x', textEncoder: ['l', 'g'] });
    for (const option of [['--prediction', 'v'], ['--zero-terminal-snr'], ['--text-encoder', 'l']]) {
      expect(await adora(['sample', '--run', 'r', '--prompt', 'a', ...option], { sample })).toMatchObject({ code: 2, error: expect.stringContaining(`${option[0]} goes with --base`) });
    }
  });

  test('what was typed wrongly ends with 2: unknown choices, options that are missing or do not go together', async () => {
    const never = async (): Promise<never> => { throw new Error('it must not get so far'); };
    const tools = { convert: never, resize: never, extract: never, merge: never };
    const wrong = async (args: readonly string[], engine: Parameters<typeof adora>[1]) => {
      const { code, error } = await adora(args, engine);
      expect([code, error], args.join(' ')).toEqual([2, expect.not.stringContaining('must not')]);
      return error;
    };
    expect(await wrong(['convert', 'a', '--to', 'x', '--out', 'b'], { adapterTools: tools })).toContain('kohya, peft');
    expect(await wrong(['extract', '--base', 'a', '--tuned', 'b', '--rank', '2', '--layout', 'x', '--out', 'c'], { adapterTools: tools })).toContain('kohya, peft');
    expect(await wrong(['sample', '--base', 'm', '--prompt', 'a', '--sampler', 'x'], { sample: never })).toContain('euler-ancestral');
    expect((await adora(['sample', '--help'], { sample: never })).out).toMatch(/"ddim"[^]*"euler-ancestral"/);
    for (const code of ['export.rank', 'export.base', 'export.own-base', 'resize.size', 'merge.needs-base', 'picture.sampler', 'files.is-there']) {
      const refuses = async () => { throw new UserError(code, 'Say more.'); };
      expect((await adora(['export', 'run'], { export: refuses })).code, code).toBe(2);
    }
  });

  test('what the engine cannot do is not offered', async () => {
    expect((await adora(['--help'])).out).not.toContain('analyze');
    expect((await adora(['analyze', 'run'])).code).toBe(2);
  });

  test('schema job prints a JSON Schema', async () => {
    const { code, out } = await adora(['schema', 'job']);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ title: 'Adora job', additionalProperties: false });
  });

  test('help and version end with 0', async () => {
    expect(await adora(['--version'])).toEqual({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/), error: '' });
    expect((await adora(['schema', '--help'])).code).toBe(0);
  });
});

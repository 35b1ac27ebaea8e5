// What else computes on the device while something trains: exports with a picture, forecasts, the doctor. The trainer is a
// stand-in that tells what it was asked.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { WorkerHost } from '../../src-main/app/trainer/worker-host.ts';
import { say } from '../../src-main/contract/text.ts';
import type { ExportOutcome, ForecastFacts, FromTrainer } from '../../src-main/contract/trainer.ts';
import { tinyJob, writeTinyModel } from '../train/tiny-model.ts';
import { openHome, type Home } from './studio-home.ts';

let home: Home;
let project: string;
let projectId: string;
let asked: { readonly command: string; readonly request: Record<string, unknown> }[] = [];
let ends: string[] = [];
/** Null: the process does not answer until it is told to end. */
let answer: (command: string, request: Record<string, unknown>) => FromTrainer | null = () => null;

const host: WorkerHost = {
  start: (command) => {
    const listeners: ((message: FromTrainer) => void)[] = [];
    const exits: ((end: { code: number | null; signal: string | null }) => void)[] = [];
    const exit = (how: string, signal: string | null): void => {
      ends.push(`${command} ${how}`);
      for (const one of exits) one({ code: signal === null ? 0 : null, signal });
    };
    const reply = (message: FromTrainer): void => {
      for (const listener of listeners) listener(message);
      exit('ends', null);
    };
    return {
      send: (message) => void setImmediate(() => {
        if (message.kind === 'control') reply({ kind: 'failed', problem: { code: 'export.stopped', message: 'The export was stopped.' } });
        if (message.kind !== 'start') return;
        asked.push({ command, request: message.request as Record<string, unknown> });
        const said = answer(command, message.request as Record<string, unknown>);
        if (said !== null) reply(said);
      }),
      onMessage: (listener) => void listeners.push(listener),
      onExit: (listener) => void exits.push(listener),
      kill: () => exit('is killed', 'SIGKILL'),
    };
  },
};

const outcome: ExportOutcome = { ok: true, step: 100, files: [], proof: [{ ok: true, ...say('export.read', 'Read again.') }], warnings: [], pictures: null };
const facts = (seconds: boolean): ForecastFacts => ({
  body: {
    kind: 'forecast', verdict: 'fits', text: 'It fits.', seconds: seconds ? { step: 1, total: 60 } : null, changes: [],
    memory: { host: { bytes: 1, free: 2, total: 3 }, device: null, parts: [] }, disk: { bytes: 1, free: 2 },
  } as unknown as ForecastFacts['body'],
  trained: 1, frozen: 1, device: 'cpu', warnings: [],
});

function writeRun(name: string, more: Omit<Parameters<typeof tinyJob>[0], 'base'> = {}, events: readonly object[] = []): string {
  const folder = join(project, 'runs', name);
  mkdirSync(join(folder, 'checkpoints'), { recursive: true });
  writeFileSync(join(folder, 'job.json'), JSON.stringify(tinyJob({ ...more, name, base: { model: join(home.folder, 'base') } })));
  writeFileSync(join(folder, 'events.jsonl'), events.map((event, seq) => `${JSON.stringify({ ...event, seq, time: 1000 + seq })}\n`).join(''));
  writeFileSync(join(folder, 'checkpoints', 'step-000100.safetensors'), 'x');
  return home.studio.context.ids.of(folder);
}

beforeEach(async () => {
  [asked, ends] = [[], []];
  answer = (command) => (command === 'export' ? { kind: 'done', result: outcome } : null);
  home = openHome(host);
  const made = await home.studio.handlers['projects.create']({ name: 'Ink', demo: false });
  [project, projectId] = [made.folder.path, made.id];
});
afterEach(async () => home.close());

const settings = { tool: 'comfyui', kind: 'dora' } as const;
const running = (taskId: string) => home.studio.context.tasks.list().find(({ id }) => id === taskId);

describe('an export', () => {
  test('with a picture waits while a training has the device, says so, and can be cancelled; without one it is written at once', async () => {
    const { handlers, context } = home.studio;
    const runId = writeRun('a');
    await context.turns.take();
    const waits = await handlers['export.start']({ ...settings, runId, picture: true });
    const plain = await handlers['export.start']({ ...settings, runId, picture: false });
    expect((await home.finished(plain.taskId)).state).toBe('done');
    expect(asked.map(({ request }) => 'picture' in request)).toEqual([false]);
    expect(running(waits.taskId)).toMatchObject({ state: 'running', label: 'Waits until the training pauses or ends' });
    await handlers['tasks.cancel']({ taskId: waits.taskId });
    expect((await home.finished(waits.taskId)).state).toBe('cancelled');
    context.turns.leave();
    await turn();
    expect(asked).toHaveLength(1);
    expect((await handlers['export.list']({ runId })).exports).toHaveLength(1);
  });

  test('whose picture a training interrupts is written without it', async () => {
    const { handlers, context } = home.studio;
    const runId = writeRun('a');
    answer = (_, request) => ('picture' in request ? null : { kind: 'done', result: outcome });
    const { taskId } = await handlers['export.start']({ ...settings, runId, picture: true });
    await expect.poll(() => asked.length).toBe(1);
    await context.turns.take();
    expect(ends).toEqual(['export ends']);
    expect((await home.finished(taskId)).state).toBe('done');
    expect(asked.map(({ request }) => request['picture'])).toEqual(['auto', undefined]);
    expect((await handlers['export.list']({ runId })).exports).toMatchObject([{ warnings: [{ code: 'export.no-picture', text: 'No picture was painted, because a training began meanwhile.' }] }]);
  });

  test('is what was asked for: an adapter, its nearest plain form, or the model, which is all that a full fine-tune has', async () => {
    const { handlers } = home.studio;
    const [runId, full] = [writeRun('a'), writeRun('full', { adapter: { kind: 'full' } })];
    const kindsOf = async (id: string): Promise<string[]> => (await handlers['export.options']({ runId: id })).kinds.map(({ kind }) => kind);
    expect([await kindsOf(runId), await kindsOf(full)]).toEqual([['dora', 'lora', 'merged', 'diff'], ['merged', 'diff']]);
    for (const one of [{ ...settings, runId }, { ...settings, runId, kind: 'lora', rank: 5 }, { ...settings, runId, kind: 'merged' }, { ...settings, runId, kind: 'diff' }, { ...settings, runId: full, tool: 'all' }, { ...settings, runId: full, kind: 'diff' }] as const) {
      await home.finished((await handlers['export.start']({ ...one, picture: true })).taskId);
    }
    expect(asked.map(({ request }) => [request['as'], request['rank'], request['for'], request['picture']])).toEqual([
      [undefined, undefined, 'comfyui', 'auto'], ['lora', 5, 'comfyui', 'auto'], ['merged', undefined, 'comfyui', 'auto'], ['diff', undefined, 'comfyui', 'auto'], ['merged', undefined, 'all', 'auto'], ['diff', undefined, 'comfyui', 'auto'],
    ]);
    expect((await handlers['export.list']({ runId })).exports.map(({ kind }) => kind)).toEqual(['diff', 'merged', 'lora', 'dora']);
  });
});

test('what a training ended with is listed, until its files are written again', async () => {
  const { handlers, context } = home.studio;
  const folder = join(project, 'runs', 'a', 'exports');
  const [file, picture, other] = [join(folder, 'a.safetensors'), join(folder, 'a.png'), join(folder, 'b.safetensors')];
  const verdict = (name: string, text: string, data: object = {}): object => ({ kind: 'verdict', name, ok: true, text, data });
  const runId = writeRun('a', {}, [
    verdict('loss-fell', 'It fell.'), verdict('export', 'Read again.'), verdict('export-picture', 'Painted.', { trained: picture, exported: picture, worst: 51 }),
    { kind: 'finished', step: 100, seconds: 1, loss: 0.1, files: [file] }, verdict('export', 'Of a later export.'),
  ]);
  mkdirSync(folder);
  for (const one of [file, picture, other, join(folder, 'a.workflow.json')]) writeFileSync(one, 'x');
  expect((await handlers['export.list']({ runId })).exports).toMatchObject([{
    id: 'at-end', step: 100, tool: 'all', kind: 'dora', dtype: 'f16', time: 1003, ok: true, warnings: [], hasWorkflow: true,
    files: [{ ...context.ids.ref(file), bytes: 1 }], proof: [{ ok: true, code: 'verdict.export.holds', text: 'Read again.' }, { ok: true, text: 'Painted.' }],
    pictures: { trained: context.ids.image(picture), exported: context.ids.image(picture), worstDifference: 0.2 },
  }]);
  expect((await handlers['export.workflow']({ runId, exportId: 'at-end' })).name).toBe('a.workflow.json');
  const again = async (files: readonly string[]): Promise<void> => {
    answer = () => ({ kind: 'done', result: { ...outcome, files } });
    await home.finished((await handlers['export.start']({ ...settings, runId, picture: false })).taskId);
  };
  await again([other]);
  expect((await handlers['export.list']({ runId })).exports.map(({ id }) => id === 'at-end')).toEqual([false, true]);
  await again([file]);
  expect((await handlers['export.list']({ runId })).exports.map(({ id }) => id === 'at-end')).toEqual([false, false]);
  // What was kept is still there: only the list is shorter.
  expect(existsSync(file)).toBe(true);
  expect(readFileSync(join(folder, 'exports.json'), 'utf8')).toContain('Read again.');
});

describe('a forecast', () => {
  const draft = { adapter: { kind: 'lora', targets: 'attention', rank: 2, alpha: 2 } };
  beforeEach(async () => {
    const { handlers, context } = home.studio;
    const model = await writeTinyModel(home.folder);
    const { id: modelId } = await handlers['models.add']({ fileId: context.ids.of(model) });
    await handlers['projects.update']({ id: projectId, modelId, addFolders: [context.ids.of(resolve('assets/demo/neon'))] });
    answer = (command, { times }) => (command === 'forecast' ? { kind: 'done', result: facts(times === true) } : null);
  });
  const forecasts = (): unknown[] => asked.filter(({ command }) => command === 'forecast').map(({ request }) => request['times']);

  test('times a step where the device is free, and says why it does not while something trains', async () => {
    const { handlers, context } = home.studio;
    expect(await handlers['job.forecast']({ projectId, draft })).toMatchObject({ secondsPerStep: 1, basis: { code: 'forecast.fits.timed' } });
    await context.turns.take();
    expect(await handlers['job.forecast']({ projectId, draft })).toMatchObject({ secondsPerStep: null, basis: { code: 'forecast.fits.busy', text: expect.stringContaining('something else computes on the device') as string } });
    expect(forecasts()).toEqual([true, false]);
  });

  test('that is being timed gives the device to a training, and way to a newer one', async () => {
    const { handlers, context } = home.studio;
    answer = (command, { times }) => (command !== 'forecast' || times === true ? null : { kind: 'done', result: facts(false) });
    const first = handlers['job.forecast']({ projectId, draft });
    await expect.poll(() => forecasts().length).toBe(1);
    await context.turns.take();
    expect(ends).toContain('forecast is killed');
    expect(await first).toMatchObject({ basis: { code: 'forecast.fits.busy' } });
    context.turns.leave();
    const second = (async () => handlers['job.forecast']({ projectId, draft }))();
    second.catch(() => {});
    await expect.poll(() => forecasts().length).toBe(3);
    answer = (_, { times }) => ({ kind: 'done', result: facts(times === true) });
    expect(await handlers['job.forecast']({ projectId, draft })).toMatchObject({ basis: { code: 'forecast.fits.timed' } });
    await expect(second).rejects.toMatchObject({ code: 'forecast.superseded' });
  });
});

test('the doctor waits for the end of a training, and stops for one that begins', async () => {
  const { handlers, context } = home.studio;
  await context.turns.take();
  const { taskId } = await handlers['doctor.run']({ again: true });
  await turn();
  expect([running(taskId!), asked]).toMatchObject([{ label: 'Waits until the training pauses or ends' }, []]);
  context.turns.leave();
  await expect.poll(() => asked.map(({ command }) => command)).toEqual(['devices']);
  await context.turns.take();
  expect([ends, running(taskId!)!.state]).toEqual([['devices is killed'], 'running']);
  await handlers['tasks.cancel']({ taskId: taskId! });
  expect((await home.finished(taskId!)).state).toBe('cancelled');
});

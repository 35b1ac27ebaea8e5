// What trains next: what waits outlives the program, and a pause gives the device to the person and not to the next run.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import type { FromTrainer, ToTrainer } from '../../src-main/contract/trainer.ts';
import type { WorkerHost } from '../../src-main/app/trainer/worker-host.ts';
import { openHome, type Home } from './studio-home.ts';

/** Trains until it is told to stop; `started` are the requests it got. */
function patientHost(): WorkerHost & { readonly started: (ToTrainer & { kind: 'start' })[] } {
  const started: (ToTrainer & { kind: 'start' })[] = [];
  return {
    started,
    start: () => {
      let hear: (message: FromTrainer) => void = () => {};
      let end: (how: { code: number | null; signal: string | null }) => void = () => {};
      return {
        send: (message) => {
          if (message.kind === 'start') started.push(message);
          if (message.kind === 'start' && message.command !== 'train') setImmediate(() => { hear({ kind: 'failed', problem: { code: 'test.none', message: 'Only training here.' } }); end({ code: 0, signal: null }); });
          if (message.kind === 'control' && message.action === 'stop') setImmediate(() => { hear({ kind: 'done', result: 'interrupted' }); end({ code: 0, signal: null }); });
        },
        onMessage: (listener) => { hear = listener; },
        onExit: (listener) => { end = listener; },
        kill: () => {},
      };
    },
  };
}

let folder: string;
let home: Home;
let host: ReturnType<typeof patientHost>;
let projectId: string;
const file = (): string => join(folder, 'data', 'queue.json');

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'adora-queue-'));
  host = patientHost();
  home = openHome(host, folder);
  const { handlers, context } = home.studio;
  ({ id: projectId } = await handlers['projects.create']({ name: 'Tiny', demo: false }));
  const { id: modelId } = await handlers['models.add']({ fileId: context.ids.of(resolve('assets/starter')) });
  await handlers['projects.update']({ id: projectId, modelId, addFolders: [context.ids.of(resolve('assets/demo/neon'))] });
});
afterEach(async () => {
  await home.studio.dispose();
  rmSync(folder, { recursive: true, force: true });
});

const start = (name: string) => home.studio.handlers['runs.start']({ projectId, draft: { train: { steps: 50 } }, name });
const reopen = (): void => {
  host = patientHost();
  home = openHome(host, folder);
};
const queue = async () => {
  const { active, waiting, held } = await home.studio.handlers['runs.queue']({});
  return { active: active?.name ?? null, waiting: waiting.map(({ name }) => name), held: held.length };
};

test('a queue that was closed is offered again in its order, and goes on when it is told to', async () => {
  await start('first');
  await start('second');
  const third = await start('third');
  home.studio.handlers['runs.move']({ runId: third.id, position: 1 });
  await home.studio.dispose();
  expect(existsSync(file())).toBe(true);

  reopen();
  expect(await queue()).toEqual({ active: null, waiting: ['first', 'third', 'second'], held: 3 });
  expect(host.started).toEqual([]);
  const ids = (await home.studio.handlers['runs.queue']({})).waiting.map(({ id }) => id);
  expect(ids[1]).toBe(third.id);

  // A new training need not wait for those of last time.
  await start('now');
  expect(await queue()).toEqual({ active: 'now', waiting: ['first', 'third', 'second'], held: 3 });
  home.studio.handlers['runs.remove']({ runId: ids[2]! });
  home.studio.handlers['runs.goOn']({});
  expect(await queue()).toEqual({ active: 'now', waiting: ['first', 'third'], held: 0 });
  const told = home.next('queue.changed', ({ active }) => active?.name === 'first');
  await home.studio.handlers['runs.stop']({ runId: (await home.studio.handlers['runs.queue']({})).active!.id });
  await told;
  expect(await queue()).toEqual({ active: 'first', waiting: ['third'], held: 0 });
});

test('an app that was killed offers the run at work too, with what it had saved', async () => {
  const run = await start('first');
  await start('second');
  await home.next('run.changed', ({ id }) => id === run.id);
  // As the disk is when the process is killed: no dispose, the run's folder begun.
  await expect.poll(() => existsSync(file()) && readFileSync(file(), 'utf8').includes('second')).toBe(true);
  const runFolder = home.studio.context.ids.path(run.id);
  mkdirSync(runFolder, { recursive: true });
  writeFileSync(join(runFolder, 'job.json'), JSON.stringify({ name: 'first', train: { steps: 50 } }));
  writeFileSync(join(runFolder, 'events.jsonl'), `${JSON.stringify({ kind: 'checkpoint', step: 20, path: 'x', seq: 0, time: 1 })}\n`);
  const kept = readFileSync(file());
  await home.studio.dispose();
  writeFileSync(file(), kept);

  reopen();
  const { waiting, held } = await home.studio.handlers['runs.queue']({});
  expect(waiting.map(({ name, checkpoint, state }) => ({ name, checkpoint, state }))).toEqual([{ name: 'first', checkpoint: 20, state: 'queued' }, { name: 'second', checkpoint: null, state: 'queued' }]);
  expect(held).toHaveLength(2);
  expect((await home.studio.handlers['projects.recover']({})).runs).toEqual([]);
  home.studio.handlers['runs.goOn']({});
  await expect.poll(() => host.started.length).toBe(1);
  expect(host.started[0]).toMatchObject({ command: 'train', request: { resume: true, job: { name: 'first' } } });
});

const state = async () => {
  const { active, paused, waiting, held } = await home.studio.handlers['runs.queue']({});
  const names = (runs: readonly { readonly name: string }[]): string[] => runs.map(({ name }) => name);
  return { active: active?.name ?? null, paused: names(paused), waiting: names(waiting), held: names(waiting.filter(({ id }) => held.includes(id))) };
};
/** Pauses a run and waits until it is set aside. */
const pause = async (runId: string): Promise<void> => {
  const told = home.next('queue.changed', ({ paused }) => paused.some(({ id }) => id === runId));
  await home.studio.handlers['runs.pause']({ runId });
  await told;
};

test('a pause frees the device: those behind wait for it, until it goes on before them or is stopped', async () => {
  const { handlers } = home.studio;
  const [first, second] = [await start('first'), await start('second')];
  await pause(first.id);
  expect(await state()).toEqual({ active: null, paused: ['first'], waiting: ['second'], held: ['second'] });
  expect([home.studio.isTraining(), home.studio.context.turns.isTaken()]).toEqual([false, false]);
  expect((await handlers['runs.list']({ projectId })).runs.map(({ name, state: is, canResume }) => [name, is, canResume])).toEqual([['second', 'queued', false], ['first', 'paused', true]]);

  expect((await handlers['runs.resume']({ runId: first.id })).state).toBe('preparing');
  expect(await state()).toEqual({ active: 'first', paused: [], waiting: ['second'], held: [] });
  await pause(first.id);
  const told = home.next('queue.changed', ({ active }) => active?.id === second.id);
  expect((await handlers['runs.stop']({ runId: first.id })).state).toBe('interrupted');
  await told;
  expect(await state()).toEqual({ active: 'second', paused: [], waiting: [], held: [] });
});

test('a paused run blocks nobody: a new training begins at once, and those behind go on when they are told to', async () => {
  const { handlers } = home.studio;
  const first = await start('first');
  await start('second');
  await pause(first.id);
  const now = await start('now');
  expect(await state()).toEqual({ active: 'now', paused: ['first'], waiting: ['second'], held: ['second'] });
  handlers['runs.goOn']({});
  expect(await state()).toEqual({ active: 'now', paused: ['first'], waiting: ['second'], held: [] });

  // Back in its place: the next one, and not in the middle of another.
  expect((await handlers['runs.resume']({ runId: first.id }))).toMatchObject({ state: 'queued', queue: 1 });
  expect(await state()).toEqual({ active: 'now', paused: [], waiting: ['first', 'second'], held: [] });
  const told = home.next('queue.changed', ({ active }) => active?.id === first.id);
  await handlers['runs.stop']({ runId: now.id });
  await told;

  // Several can be paused; each holds what comes after it alone.
  await pause(first.id);
  handlers['runs.goOn']({});
  const { active } = await handlers['runs.queue']({});
  await pause(active!.id);
  expect(await state()).toEqual({ active: null, paused: ['first', 'second'], waiting: [], held: [] });
});

test('paused runs are offered at the next start, before those that waited', async () => {
  const first = await start('first');
  await start('second');
  await pause(first.id);
  await home.studio.dispose();
  reopen();
  expect(await state()).toEqual({ active: null, paused: [], waiting: ['first', 'second'], held: ['first', 'second'] });
});

test('what was stopped, finished or forgotten does not come back; a damaged file is an empty queue', async () => {
  const run = await start('first');
  await start('second');
  await home.studio.handlers['runs.stop']({ runId: run.id });
  await home.next('queue.changed', ({ active }) => active?.name === 'second');
  await home.studio.dispose();
  reopen();
  expect((await queue()).waiting).toEqual(['second']);
  home.studio.handlers['runs.forget']({});
  await home.studio.dispose();
  reopen();
  expect(await queue()).toEqual({ active: null, waiting: [], held: 0 });
  await home.studio.dispose();
  writeFileSync(file(), '{ "runs": [ {"folder": 3}, 7, {"folder": "/x", "project": "/y", "job": {"version": 99}} ');
  reopen();
  expect(await queue()).toEqual({ active: null, waiting: [], held: 0 });
});

// What waits for training outlives the program: an app that was closed, or killed, offers at the next start to go on.
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

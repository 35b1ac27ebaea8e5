// Trainings in processes of their own: the queue, pauses, crashes, and what is left of them.
import { fork } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { createThrottle, thinned } from '../../src-main/app/training/relay.ts';
import { forkHost } from '../../src-main/app/trainer/fork-host.ts';
import type { WorkerHost, WorkerProcess } from '../../src-main/app/trainer/worker-host.ts';
import type { Run } from '../../src-main/contract/api.ts';
import type { TrainEvent } from '../../src-main/contract/events.ts';
import type { FromTrainer } from '../../src-main/contract/trainer.ts';
import { tinyJob, writeTinyModel } from '../train/tiny-model.ts';
import { buildTrainer, openHome, standInHost, type Home } from './studio-home.ts';

let trainer: Awaited<ReturnType<typeof buildTrainer>>;
let models: string;
let model: string;
let home: Home;
let projectId: string;
const started: WorkerProcess[] = [];

beforeAll(async () => {
  models = mkdtempSync(join(tmpdir(), 'adora-models-'));
  [trainer, model] = await Promise.all([buildTrainer(), writeTinyModel(models)]);
});
afterAll(() => {
  rmSync(trainer.folder, { recursive: true });
  rmSync(models, { recursive: true });
});

beforeEach(async () => {
  started.length = 0;
  const real = forkHost(trainer.entry);
  const host: WorkerHost = {
    start: (command) => {
      const worker = real.start(command);
      started.push(worker);
      return worker;
    },
  };
  home = openHome(host);
  projectId = await projectIn(home);
});
afterEach(async () => home.close());

async function projectIn({ studio: { handlers, context } }: Home): Promise<string> {
  const { id } = await handlers['projects.create']({ name: 'Tiny', demo: false });
  const { id: modelId } = await handlers['models.add']({ fileId: context.ids.of(model) });
  await handlers['projects.update']({ id, modelId, addFolders: [context.ids.of(resolve('assets/demo/neon'))] });
  return id;
}

const draft = (steps: number, more: object = {}) => ({
  adapter: { kind: 'dora', targets: 'attention', rank: 2, alpha: 2 }, optimizer: { kind: 'adamw', learningRate: 1e-3 },
  train: { steps, batch: 2, device: 'cpu', checkpointing: false, seed: 3, saveEvery: 5, probeEvery: 0, keep: 100 }, output: { for: 'comfyui', dtype: 'f32' }, ...more,
});
const ended = (id: string) => home.next('run.changed', (run: Run) => run.id === id && ['finished', 'failed', 'crashed', 'interrupted'].includes(run.state));
const reached = (id: string, step: number) => home.next('run.event', ({ runId, event }) => runId === id && event.kind === 'step' && event.step >= step);
const start = (steps: number, more: object = {}) => home.studio.handlers['runs.start']({ projectId, draft: draft(steps, more) });
const last = (id: string, step: number): Buffer => readFileSync(join(home.studio.context.ids.path(id), 'checkpoints', `step-${String(step).padStart(6, '0')}.safetensors`));

test('from a draft to files: events, snapshot, samples, export with proof', async () => {
  const { handlers } = home.studio;
  const run = await start(12, { preview: { every: 6, prompts: ['a fox'], steps: 2 } });
  expect((await ended(run.id)).state).toBe('finished');
  const { events, lastSeq, run: now, draft: used } = await handlers['runs.snapshot']({ runId: run.id, maxSteps: 100 });
  const steps = events.filter((event) => event.kind === 'step');
  expect(steps).toHaveLength(12);
  expect(steps.filter(({ updateNorm }) => (updateNorm ?? 0) > 0).map(({ step }) => step)).toEqual([5, 10, 12]);
  expect(lastSeq).toBe(events.at(-1)!.seq);
  expect(now).toMatchObject({ state: 'finished', step: 12, total: 12, checkpoint: 12, canResume: false });
  expect(now.lastSample).toMatch(/^\/img\//);
  expect(used).toMatchObject({ train: { steps: 12 } });
  expect(JSON.stringify([used, events.filter(({ kind }) => kind === 'sample')])).not.toContain(home.folder);
  const { samples } = await handlers['runs.samples']({ runId: run.id });
  expect(samples.map(({ step }) => step)).toEqual([0, 6, 12]);
  expect(existsSync(home.studio.context.ids.imagePath(samples[0]!.url.slice('/img/'.length))!)).toBe(true);
  expect((await handlers['runs.events']({ runId: run.id, fromSeq: lastSeq })).events).toHaveLength(1);

  const { tools } = await handlers['export.options']({ runId: run.id });
  expect(tools.find(({ id }) => id === 'comfyui')).toMatchObject({ exact: true });
  expect(tools.find(({ id }) => id === 'diffusers')).toMatchObject({ exact: false, alternatives: [{ kind: 'merged' }, { kind: 'other-tool' }, { kind: 'train-again' }] });
  const { taskId } = await handlers['export.start']({ runId: run.id, tool: 'comfyui', kind: 'dora', picture: true });
  expect((await home.finished(taskId)).problem).toBeNull();
  const [entry] = (await handlers['export.list']({ runId: run.id })).exports;
  expect(entry).toMatchObject({ ok: true, step: 12, tool: 'comfyui' });
  expect(entry!.files[0]!.bytes).toBeGreaterThan(1000);
  expect(entry!.pictures!.worstDifference).toBeLessThan(0.1);
  const refused = await handlers['export.start']({ runId: run.id, tool: 'diffusers', kind: 'dora', picture: false });
  expect((await home.finished(refused.taskId)).problem?.code).toBe('export.not-exact');
});

test('a killed trainer is a crash with a way on, and the resumed run ends in the same bytes', async () => {
  const { handlers } = home.studio;
  const whole = await start(60);
  await ended(whole.id);
  const run = await start(60);
  await reached(run.id, 12);
  const crash = ended(run.id);
  started.at(-1)!.kill();
  const crashed = await crash;
  expect(crashed).toMatchObject({ state: 'crashed', canResume: true, problem: { code: 'trainer.crashed' } });
  expect(crashed.checkpoint! % 5).toBe(0);
  expect(crashed.checkpoint).toBeLessThan(60);
  expect((await handlers['projects.recover']({})).runs.map(({ id }) => id)).toEqual([run.id]);

  // As if the app had been started again, a moment later.
  await expect.poll(() => readFileSync(join(home.folder, 'data', 'queue.json'), 'utf8')).toContain('"runs": []');
  const again = openHome(forkHost(trainer.entry), home.folder);
  expect((await again.studio.handlers['projects.recover']({})).runs).toMatchObject([{ id: run.id, state: 'crashed', checkpoint: crashed.checkpoint }]);
  await again.studio.dispose();

  await handlers['runs.resume']({ runId: run.id });
  expect((await ended(run.id)).state).toBe('finished');
  expect(last(run.id, 60).equals(last(whole.id, 60))).toBe(true);
  expect((await handlers['projects.recover']({})).runs).toEqual([]);
});

test('pause saves, ends the process and goes on where it was on resume; stop saves and can be resumed', async () => {
  const { handlers } = home.studio;
  const run = await start(400);
  await reached(run.id, 3);
  const before = started.length;
  let isGone = false;
  started.at(-1)!.onExit(() => { isGone = true; });
  const paused = home.next('run.changed', ({ state }) => state === 'paused');
  const { turns } = home.studio.context;
  expect(turns.isTaken()).toBe(true);
  expect((await handlers['runs.pause']({ runId: run.id })).state).toBe('pausing');
  expect((await paused).checkpoint).toBeGreaterThanOrEqual(3);
  expect([turns.isTaken(), isGone, started.length]).toEqual([false, true, before]);
  const { step } = (await handlers['runs.queue']({})).paused[0]!;
  await handlers['runs.resume']({ runId: run.id });
  await reached(run.id, step + 2);
  expect(started.length).toBe(before + 1);
  const { events } = await handlers['runs.snapshot']({ runId: run.id, maxSteps: 1000 });
  expect(events.flatMap((event) => (event.kind === 'started' ? [event.fromStep] : []))).toEqual([0, step]);
  const sample = home.next('run.event', ({ event }) => event.kind === 'sample');
  await handlers['runs.sampleNow']({ runId: run.id });
  await sample;
  const end = ended(run.id);
  await handlers['runs.stop']({ runId: run.id });
  const stopped = await end;
  expect(stopped).toMatchObject({ state: 'interrupted', canResume: true });
  expect(stopped.checkpoint).toBe(stopped.step);
});

test('a run that is paused in its preparations keeps its place, and stops from there', async () => {
  const { handlers } = home.studio;
  const run = await start(6);
  const paused = home.next('run.changed', ({ state }) => state === 'paused');
  await handlers['runs.pause']({ runId: run.id });
  expect(await paused).toMatchObject({ id: run.id, step: 0 });
  expect(home.studio.context.turns.isTaken()).toBe(false);
  await handlers['runs.resume']({ runId: run.id });
  const waiting = await start(6);
  expect(waiting.state).toBe('queued');
  await reached(run.id, 1);
  const again = home.next('run.changed', ({ id, state }) => id === run.id && state === 'paused');
  await handlers['runs.pause']({ runId: run.id });
  await again;
  const [end, next] = [ended(run.id), ended(waiting.id)];
  await handlers['runs.stop']({ runId: run.id });
  expect((await end).state).toBe('interrupted');
  expect((await next).state).toBe('finished');
});

test('runs wait for each other; those that wait can be moved and taken off', async () => {
  const { handlers } = home.studio;
  const [first, second, third] = [await start(400), await start(6), await start(6)];
  expect([second!.state, second!.queue, third!.queue]).toEqual(['queued', 1, 2]);
  expect([first, second, third].map((run) => run!.name)).toEqual(['Tiny', 'Tiny 2', 'Tiny 3']);
  handlers['runs.move']({ runId: third!.id, position: 1 });
  expect((await handlers['runs.queue']({})).waiting.map(({ id }) => id)).toEqual([third!.id, second!.id]);
  handlers['runs.remove']({ runId: second!.id });
  expect(() => handlers['runs.remove']({ runId: first!.id })).toThrow('does not wait');
  await reached(first!.id, 1);
  const next = ended(third!.id);
  await handlers['runs.stop']({ runId: first!.id });
  expect((await next).state).toBe('finished');
  expect((await handlers['runs.list']({ projectId })).runs.map(({ id }) => id).sort()).toEqual([first!.id, third!.id].sort());
});

test('closing the app saves what trains', async () => {
  const run = await start(400);
  await reached(run.id, 7);
  await home.studio.dispose();
  const events = readFileSync(join(home.studio.context.ids.path(run.id), 'events.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as TrainEvent);
  expect(events.at(-1)!.kind).toBe('interrupted');
  const step = events.findLast((event) => event.kind === 'step')!;
  expect(events.findLast((event) => event.kind === 'checkpoint')).toMatchObject({ step: step.kind === 'step' ? step.step : -1 });
});

test('a trainer whose app is gone saves and ends', async () => {
  const child = fork(trainer.entry, [], { serialization: 'advanced', stdio: 'ignore' });
  const runFolder = join(home.folder, 'orphan');
  const job = tinyJob({ base: { model }, adapter: { kind: 'dora', rank: 2, alpha: 2 }, train: { steps: 400, saveEvery: 0 } });
  child.send({ kind: 'start', command: 'train', request: { job, runFolder, resume: false, cacheFolder: join(home.folder, 'encoded') } });
  await new Promise<void>((done, failed) => {
    child.on('message', (message: FromTrainer) => {
      if (message.kind === 'failed') failed(new Error(message.problem.message));
      if (message.kind === 'event' && message.event.kind === 'step' && message.event.step >= 4) done();
    });
  });
  const exit = new Promise((done) => { child.once('exit', done); });
  child.disconnect();
  expect(await exit).toBe(0);
  expect(readdirSync(join(runFolder, 'checkpoints'))).toHaveLength(1);
});

test('what a job lacks is said before anything starts; a faulty job leaves no folder', async () => {
  const { handlers } = home.studio;
  await expect(start(10, { adapter: { kind: 'dorra' } })).rejects.toMatchObject({ code: 'job.invalid', data: { issues: [{ path: 'adapter.kind' }] } });
  const run = await start(10, { adapter: { kind: 'dora', rank: 1000 } });
  const failed = await ended(run.id);
  expect(failed).toMatchObject({ state: 'failed', canResume: false, problem: { code: 'job.rank' } });
  expect((await handlers['runs.list']({ projectId })).runs).toMatchObject([{ id: run.id, state: 'failed' }]);
  const validated = await handlers['job.validate']({ projectId, draft: { train: { steps: -1 } } });
  expect(validated.issues).toMatchObject([{ path: 'train.steps' }]);
});

test('of several forecasts of a project only the newest goes on, and it can be stopped', async () => {
  const { handlers } = home.studio;
  const ask = async (steps: number) => handlers['job.forecast']({ projectId, draft: draft(steps) });
  const gone = (at: number) => new Promise<void>((resolve) => { started[at]!.onExit(() => resolve()); });
  const refused = (code: string) => (error: unknown) => expect(error).toMatchObject({ code });
  const first = ask(10).then(() => expect.unreachable(), refused('forecast.superseded'));
  await expect.poll(() => started.length).toBe(1);
  const end = gone(0);
  const second = ask(11).then(() => expect.unreachable(), refused('forecast.stopped'));
  await Promise.all([first, end]);
  await expect.poll(() => started.length).toBe(2);
  const stopped = gone(1);
  await handlers['job.stopForecast']({ projectId });
  await Promise.all([second, stopped]);
  // While a training has the device no step is timed on it.
  await home.studio.context.turns.take();
  expect(await ask(12)).toMatchObject({ verdict: 'fits', secondsPerStep: null });
  home.studio.context.turns.leave();
});

test('forecast, pictures for comparing and analysis come from the trainer', async () => {
  const { handlers } = home.studio;
  const forecast = await handlers['job.forecast']({ projectId, draft: draft(10) });
  expect(forecast).toMatchObject({ device: 'cpu', pictures: 24, verdict: 'fits', isRefused: false, changes: [] });
  expect(forecast.secondsPerStep).toBeGreaterThan(0);
  const run = await start(10);
  await ended(run.id);
  const items = [0, 5, 10].map((step) => ({ runId: run.id, step, strength: 1, prompt: 'a fox', negative: '', seed: 1, guidance: 3, steps: 2 }));
  const first = await handlers['runs.compareRender']({ items, onlyMade: false });
  expect(first.images).toEqual([null, null, null]);
  expect((await home.finished(first.taskId!)).problem).toBeNull();
  const { images, taskId } = await handlers['runs.compareRender']({ items, onlyMade: false });
  expect(taskId).toBeNull();
  expect(new Set(images).size).toBe(3);
  expect(() => handlers['runs.compareRender']({ items: [{ ...items[0]!, step: 7 }], onlyMade: false })).toThrow('was not saved');
  const { taskId: measuring } = await handlers['runs.magnitude']({ runId: run.id });
  expect((await home.finished(measuring!)).problem).toBeNull();
  const { analysis } = await handlers['runs.magnitude']({ runId: run.id });
  expect(analysis!.steps).toEqual([5, 10]);
  expect(analysis!.points.every(({ direction }) => direction >= 0)).toBe(true);
});

describe('the relay', () => {
  const step = (at: number, seq = at): TrainEvent => ({ kind: 'step', step: at, total: 1000, loss: 1, lr: 1, gradNorm: 1, secondsPerStep: 1, eta: 1, seq, time: 0 });

  test('thins steps evenly and keeps the last and everything else', () => {
    const events: TrainEvent[] = [...Array.from({ length: 1000 }, (_, i) => step(i + 1)), { kind: 'paused', step: 1000, seq: 1001, time: 0 }];
    const kept = thinned(events, 50);
    expect(kept.filter(({ kind }) => kind === 'step').length).toBeLessThanOrEqual(51);
    expect(kept.at(-1)!.kind).toBe('paused');
    expect(kept.at(-2)).toMatchObject({ step: 1000 });
  });

  test('lets ten steps a second through, and all that is not progress', () => {
    let now = 0;
    const isDue = createThrottle(() => now);
    let count = 0;
    for (; now < 1000; now += 10) count += Number(isDue(step(now)));
    expect(count).toBeLessThanOrEqual(12);
    expect(isDue({ kind: 'paused', step: 1, seq: 1, time: 0 })).toBe(true);
    expect(isDue({ kind: 'phase', name: 'x', done: 3, total: 3, unit: '', seq: 1, time: 0 })).toBe(true);
  });
});

test('a trainer that cannot start is a crash and not a hanging run', async () => {
  const other = openHome(standInHost(() => []));
  const id = await projectIn(other);
  const crashed = other.next('run.changed', ({ state }) => state === 'crashed');
  await other.studio.handlers['runs.start']({ projectId: id, draft: draft(10) });
  expect(await crashed).toMatchObject({ canResume: false, problem: { code: 'trainer.crashed' } });
  await other.close();
});

// Proof of learning.
import { describe, expect, test } from 'vitest';
import type { JobInput } from '../../src-main/contract/job.ts';
import { f32 } from '../../src-main/runtime/runtime.ts';
import { judgeLoss, judgeMovement, movements, type Reach } from '../../src-main/train/proof.ts';
import { reachWithin } from '../../src-main/train/rates.ts';
import { refusalOf } from '../files/temporary.ts';
import { runToy, toyJob, toyTask } from './toy.ts';

const values = (now: Record<string, number[]>) => new Map(Object.entries(now).map(([name, data]) => [name, f32(Float32Array.from(data), [data.length])]));
const starts = (start: Record<string, number[]>) => new Map(Object.entries(start).map(([name, data]) => [name, Float32Array.from(data)]));

/** What a rate of 0.01 would do in 20 steps. */
const reach = (rate = 0.01, keep = 1): Reach => ({ least: rate, most: 20 * rate, keep });
const moved = (start: Record<string, number[]>, now: Record<string, number[]>, rate?: number, keep?: number) => movements(starts(start), values(now), () => reach(rate, keep));

describe('movement', () => {
  test('is measured per value, without what weight decay does', () => {
    const found = moved({ a: [3, 4], zero: [0, 0], decayed: [2, 4] }, { a: [3.3, 4.4], zero: [0, 1e-3], decayed: [1.98, 3.96] }, 0.01, 0.99);
    const [a, zero, decayed] = found.map(({ element }) => element) as [number, number, number];
    expect(a).toBeCloseTo(Math.hypot(3.3 - 2.97, 4.4 - 3.96) / Math.SQRT2, 6);
    expect(zero).toBeCloseTo(1e-3 / Math.SQRT2, 8);
    expect(decayed).toBeLessThan(1e-6);
    expect(judgeMovement(20, found).event).toMatchObject({ data: { still: ['decayed'] } });
  });

  test.each([
    ['did not move', { a: [0.51], b: [1], c: [2.1] }, /1 of 3 trained tensors did not move in 20 steps, first "b"/],
    ['moved a hundredth of a step', { a: [0.51], b: [1.0001], c: [2.1] }, /first "b" \(by 1\.0e-4 per value, where a step moves 1\.0e-2\)/],
    ['moved further than all steps together can', { a: [0.51], b: [2.1], c: [2.1] }, /1 of 3 trained tensors changed out of all bounds .* first "b"/],
    ['became no number', { a: [0.51], b: [Number.NaN], c: [2.1] }, /first "b"/],
  ])('names the tensor that %s', (_, now, text) => {
    const verdict = judgeMovement(20, moved({ a: [0.5], b: [1], c: [2] }, now));
    expect(verdict.ok).toBe(false);
    expect(verdict.event).toMatchObject({ kind: 'verdict', name: 'movement', ok: false, text: expect.stringMatching(text) as string });
  });

  test('of every tensor is good', () => {
    expect(judgeMovement(20, moved({ a: [1], b: [2], zero: [0] }, { a: [1.01], b: [2.1], zero: [0.05] }))).toMatchObject({ ok: true, event: { ok: true, data: { tensors: 3 } } });
  });

  test('at an absurd rate is wild, by the start of the tensor', () => {
    expect(judgeMovement(20, moved({ a: [0.05], up: [0] }, { a: [0.4], up: [0.5] }, 1)).event).toMatchObject({ data: { wild: ['a'], still: [] } });
    expect(judgeMovement(20, moved({ up: [0] }, { up: [3] }, 1)).event).toMatchObject({ data: { wild: ['up'] } });
  });

  test('a tiny bias may grow many times', () => {
    expect(judgeMovement(20, moved({ bias: [1e-5, -1e-5] }, { bias: [1e-2, 2e-2] })).ok).toBe(true);
  });

  test('a bias without gradient is excused where its weight moves', () => {
    const start = { 'k.weight': [1], 'k.bias': [0] };
    expect(judgeMovement(20, moved(start, { 'k.weight': [1.1], 'k.bias': [0] })).ok).toBe(true);
    expect(judgeMovement(20, moved(start, { 'k.weight': [1], 'k.bias': [0] })).event).toMatchObject({ data: { still: ['k.weight', 'k.bias'] } });
  });
});

describe('how far an optimizer goes', () => {
  const reachOf = (optimizer: Record<string, unknown>, start = 2, more: Record<string, number> = {}) => {
    const job = toyJob({ optimizer: optimizer as never, schedule: { kind: 'constant', warmup: 2 } });
    return reachWithin(job, 4, new Map(Object.entries(more).map(([name, value]) => [name, f32(Float32Array.of(value), [])])))('w', start, start);
  };

  test.each(['adamw', 'lion'])('%s: as far as the rates of the steps', (kind) => {
    const { least, most, keep } = reachOf({ kind, learningRate: 0.01, weightDecay: 0.5 });
    expect(most).toBeCloseTo(0.025, 8);
    expect(least).toBeCloseTo(0.025 / 4, 8);
    expect(keep).toBeCloseTo(0.9975 * 0.995 * 0.995, 8);
  });

  test('adafactor: relative to the values, or as its rate says', () => {
    expect(reachOf({ kind: 'adafactor', learningRate: 0.01 }).most).toBeCloseTo(0.05, 8);
    expect(reachOf({ kind: 'adafactor', learningRate: 0.01 }, 0).most).toBeCloseTo(0.025e-3, 8);
    expect(reachOf({ kind: 'adafactor', learningRate: 0.01, scaleParameter: false }).most).toBeCloseTo(0.025, 8);
  });

  test('prodigy: between its first and its present estimate', () => {
    const { least, most } = reachOf({ kind: 'prodigy', learningRate: 1 }, 2, { 'shared:distance': 0.01 });
    expect(least).toBeCloseTo(2.5e-6 / 4, 12);
    expect(most).toBeCloseTo(0.025, 8);
  });
});

describe('the loss at fixed noise', () => {
  test.each([[1, 0.5, true, -50], [1, 1, false, 0], [1, 2, false, 100]])('%d to %d', (first, last, ok, percent) => {
    expect(judgeLoss(9, first, last)).toMatchObject({ name: 'loss-fell', step: 9, ok, data: { percent } });
  });

  test('that is missing is not good', () => {
    expect(judgeLoss(9, null, 1)).toMatchObject({ ok: false });
    expect(judgeLoss(9, Number.NaN, 1)).toMatchObject({ ok: false });
  });
});

describe('a run', () => {
  test('that learns nothing stops at step 20 and names the first tensor', async () => {
    const seen: number[] = [];
    const job = toyJob({ optimizer: { kind: 'adamw', learningRate: 0 }, train: { steps: 50 } });
    const error = await refusalOf('train.nothing-learnt', () => runToy({ job, onEvent: (event) => { if (event.kind === 'step') seen.push(event.step); } }));
    expect(error.message).toContain('"w"');
    expect(seen.at(-1)).toBe(20);
  });

  test('in which one layer has no gradient stops with its name', async () => {
    // Weight decay moves the layer, which is not learning.
    const job = toyJob({ optimizer: { kind: 'adamw', learningRate: 0.01, weightDecay: 1 } });
    const error = await refusalOf('train.nothing-learnt', () => runToy({ job, task: toyTask({ hasIdleTensor: true }) }));
    expect(error.message).toContain('1 of 3 trained tensors did not move in 8 steps, first "layer.idle"');
  });

  test('that explodes stops with the name of the tensor', async () => {
    const job = toyJob({ optimizer: { kind: 'adamw', learningRate: 10 }, train: { steps: 50 } });
    const error = await refusalOf('train.nothing-learnt', () => runToy({ job }));
    expect(error.message).toMatch(/of 2 trained tensors changed out of all bounds in 20 steps, first "w" .*: lower the learning rate\.$/);
  });

  test.each([
    { kind: 'lion', learningRate: 0.003 }, { kind: 'adafactor', learningRate: 0.01 }, { kind: 'prodigy', learningRate: 1 }, { kind: 'adafactor', learningRate: 0.01, beta1: 0.9 },
  ] as NonNullable<JobInput['optimizer']>[])('with $kind moves as far as it says', async (optimizer) => {
    const { events } = await runToy({ job: toyJob({ optimizer, schedule: { kind: 'cosine', warmup: 2 }, train: { steps: 24 } }) });
    expect(events.find((event) => event.kind === 'verdict')).toMatchObject({ name: 'movement', ok: true });
  });

  test('whose first steps are all left out is judged when the first one counts', async () => {
    const task = toyTask({ spoil: (x, index) => { if (index < 22) x[0] = Number.POSITIVE_INFINITY; } });
    const { events } = await runToy({ job: toyJob({ train: { steps: 30 } }), task, scalesLoss: true });
    expect(events.find((event) => event.kind === 'verdict')).toMatchObject({ name: 'movement', step: 23, ok: true });
  });

  test.each([['stopped while its rate rises', 25], ['stopped after step 20 and before the end of the warm-up', 40]])('%s is judged when it goes on', async (_, at) => {
    const job = toyJob({ optimizer: { kind: 'adamw', learningRate: 0.01, weightDecay: 1 }, schedule: { kind: 'constant', warmup: 30 }, train: { steps: 60, saveEvery: 0 } });
    const task = toyTask({ hasIdleTensor: true });
    let step = 0;
    const first = runToy({ job, task, control: { shouldStop: () => step >= at }, onEvent: (event) => { if (event.kind === 'step') step = event.step; } });
    if (at > 30) return void await refusalOf('train.nothing-learnt', () => first);
    const { folder, end } = await first;
    expect(end).toBe('interrupted');
    const error = await refusalOf('train.nothing-learnt', () => runToy({ job, task, folder }));
    expect(error.message).toContain('did not move in 30 steps, first "layer.idle"');
  });

  test('says at its end whether the loss fell', async () => {
    const job = toyJob({ optimizer: { kind: 'adamw', learningRate: 0.1 }, train: { steps: 3 } });
    const { events, state } = await runToy({ job });
    expect(events.at(-1)).toMatchObject({ kind: 'verdict', name: 'loss-fell', ok: state.lastProbe! < state.firstProbe! });
  });
});

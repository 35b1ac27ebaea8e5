// Proof of learning.
import { describe, expect, test } from 'vitest';
import { f32 } from '../../src-main/runtime/runtime.ts';
import { judgeLoss, judgeMovement, movements } from '../../src-main/train/proof.ts';
import { refusalOf } from '../files/temporary.ts';
import { runToy, toyJob, toyTask } from './toy.ts';

const values = (now: Record<string, number[]>) => new Map(Object.entries(now).map(([name, data]) => [name, f32(Float32Array.from(data), [data.length])]));
const starts = (start: Record<string, number[]>) => new Map(Object.entries(start).map(([name, data]) => [name, Float32Array.from(data)]));

describe('movement', () => {
  test('is relative to the start; what starts at zero has moved or not', () => {
    const found = movements(starts({ a: [3, 4], zero: [0, 0], still: [0, 0] }), values({ a: [3, 4.5], zero: [0, 1e-3], still: [0, 0] }));
    expect(found.map(({ name, relative }) => [name, relative])).toEqual([['a', 0.1], ['zero', 1], ['still', 0]]);
  });

  test.each([
    ['did not move', { a: [1], b: [1], c: [2] }, /2 of 3 trained tensors did not move in 20 steps, first "b"/],
    ['moved far too much', { a: [1], b: [100], c: [3] }, /1 of 3 trained tensors changed more than 10 times .* first "b"/],
    ['became no number', { a: [1], b: [Number.NaN], c: [3] }, /first "b"/],
  ])('names the tensor that %s', (_, now, text) => {
    const verdict = judgeMovement(20, movements(starts({ a: [0.5], b: [1], c: [2] }), values(now)));
    expect(verdict.ok).toBe(false);
    expect(verdict.event).toMatchObject({ kind: 'verdict', name: 'movement', ok: false, text: expect.stringMatching(text) as string });
  });

  test('of every tensor is good', () => {
    expect(judgeMovement(20, movements(starts({ a: [1], b: [2] }), values({ a: [1.01], b: [2.001] })))).toMatchObject({ ok: true, event: { ok: true, data: { tensors: 2 } } });
  });
});

test('a tiny bias may grow many times', () => {
  const grown = movements(starts({ bias: [1e-5, -1e-5] }), values({ bias: [1e-2, 2e-2] }));
  expect(grown[0]!.relative).toBeGreaterThan(1000);
  expect(judgeMovement(20, grown).ok).toBe(true);
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
    const job = toyJob({ optimizer: { kind: 'adamw', learningRate: 0.01, weightDecay: 0 } });
    const error = await refusalOf('train.nothing-learnt', () => runToy({ job, task: toyTask({ hasIdleTensor: true }) }));
    expect(error.message).toContain('1 of 3 trained tensors did not move in 8 steps, first "layer.idle"');
  });

  test('whose first steps are all left out is judged when the first one counts', async () => {
    const task = toyTask({ spoil: (x, index) => { if (index < 22) x[0] = Number.POSITIVE_INFINITY; } });
    const { events } = await runToy({ job: toyJob({ train: { steps: 30 } }), task, scalesLoss: true });
    expect(events.find((event) => event.kind === 'verdict')).toMatchObject({ name: 'movement', step: 23, ok: true });
  });

  test('says at its end whether the loss fell', async () => {
    const job = toyJob({ optimizer: { kind: 'adamw', learningRate: 0.1 }, train: { steps: 3 } });
    const { events, state } = await runToy({ job });
    expect(events.at(-1)).toMatchObject({ kind: 'verdict', name: 'loss-fell', ok: state.lastProbe! < state.firstProbe! });
  });
});

// The fold that the window is made of.
import { describe, expect, test } from 'vitest';

import type { TrainEvent } from '../../src-main/contract/events.ts';
import { courseOf } from '../../src-main/contract/run-course.ts';
import { emptyRun, foldAll, foldRun, proofOfLearning, smoothed } from '../../src-renderer/state/fold-run.ts';

const step = (seq: number, at: number, loss = 1 / at): TrainEvent =>
  ({ kind: 'step', seq, time: 0, step: at, total: 10, loss, lr: 1e-3, gradNorm: 1, secondsPerStep: 0.5, eta: 10 - at });
const started = (seq: number, fromStep: number): TrainEvent => ({
  kind: 'started', seq, time: 0, fromStep, device: 'cpu', dtype: 'f32', parameters: { trained: 1, frozen: 2, tensors: 1 },
  job: { name: 'run', task: 'adapter', model: 'm', family: 'f', adapter: 'dora', optimizer: 'adamw', images: 3, steps: 10, batch: 1, seed: 0 },
});

describe('events of a run', () => {
  test('steps give points, the last one the numbers of the bar', () => {
    const view = foldAll([started(0, 0), step(1, 1), step(2, 2)]);
    expect(view.points.map((point) => point.step)).toEqual([1, 2]);
    expect(view).toMatchObject({ step: 2, total: 10, loss: 0.5, eta: 8, lastSeq: 2 });
  });

  test('an event that comes twice counts once', () => {
    const once = foldAll([started(0, 0), step(1, 1)]);
    expect(foldRun(once, step(1, 1))).toBe(once);
  });

  test('folding in two parts is folding at once', () => {
    const all = [started(0, 0), step(1, 1), step(2, 2), step(3, 3)];
    expect(foldAll(all.slice(2), foldAll(all.slice(0, 2)))).toEqual(foldAll(all));
  });

  test('a resume takes back what is done again', () => {
    const view = foldAll([started(0, 0), step(1, 1), step(2, 2), step(3, 3), started(4, 2)]);
    expect(view.points.map((point) => point.step)).toEqual([1, 2]);
    expect(view.step).toBe(2);
    expect(foldRun(view, started(5, 0)).points).toEqual([]);
  });

  test('what counts of a log is what the rest of the program counts, however often it was resumed', () => {
    const probe = (seq: number, at: number, loss: number): TrainEvent => ({ kind: 'probe', seq, time: 0, step: at, loss });
    const saved = (seq: number, at: number): TrainEvent => ({ kind: 'checkpoint', seq, time: 0, step: at, path: `step-${at}` });
    const logs: TrainEvent[][] = [
      [started(0, 0), step(1, 1), step(2, 2), saved(3, 2), probe(4, 2, 0.9), step(5, 3), step(6, 4), probe(7, 4, 0.8), started(8, 2), step(9, 3, 7), probe(10, 4, 0.1), step(11, 4, 8), saved(12, 4)],
      [started(0, 0), step(1, 1), probe(2, 1, 1), started(3, 0), step(4, 1, 5), step(5, 2, 6)],
      // Without its starts, as a log that was cut.
      [step(0, 1), step(1, 2), step(2, 3), step(3, 2, 9), step(4, 3, 9), probe(5, 3, 2), probe(6, 3, 1)],
    ];
    for (const log of logs) {
      const [whole, course] = [foldAll(log), foldAll(courseOf(log))];
      for (const part of ['points', 'probes', 'checkpoints', 'step', 'loss'] as const) expect([part, whole[part]]).toEqual([part, course[part]]);
    }
    expect(foldAll(logs[2]!).points.map(({ step: at, loss }) => [at, loss])).toEqual([[1, 1], [2, 9], [3, 9]]);
  });

  test('a phase is not logged: it is shown whatever its number, and a step ends it', () => {
    const phase: TrainEvent = { kind: 'phase', seq: 0, time: 0, name: 'encode', done: 1, total: 3, unit: 'pictures' };
    const view = foldRun(foldAll([started(0, 0)]), phase);
    expect(view.phase).toEqual({ name: 'encode', done: 1, total: 3, unit: 'pictures' });
    expect(foldRun(view, step(1, 1)).phase).toBeNull();
  });

  test('a failure stays with its reason', () => {
    expect(foldRun(foldAll([step(0, 1)]), { kind: 'failed', seq: 1, time: 0, code: 'x', text: 'No memory.' })).toMatchObject({ end: 'failed', problem: 'No memory.' });
  });

  test('a verdict that fails casts doubt, whatever holds besides', () => {
    const verdict = (seq: number, name: string, ok: boolean): TrainEvent => ({ kind: 'verdict', seq, time: 0, name, ok, text: name, data: {} });
    expect(proofOfLearning(emptyRun).state).toBe('waiting');
    expect(proofOfLearning(foldAll([verdict(0, 'moved', true)])).state).toBe('proved');
    expect(proofOfLearning(foldAll([verdict(0, 'fell', false), verdict(1, 'moved', true)]))).toEqual({ state: 'doubt', text: 'fell' });
  });
});

test('smoothing keeps a constant, keeps gaps and damps a jump', () => {
  expect(smoothed([2, 2, null, 2], 3)).toEqual([2, 2, null, 2]);
  const [, jump] = smoothed([0, 1], 1);
  expect(jump).toBeCloseTo(2 / 3);
});

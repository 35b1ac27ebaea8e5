// Logs of runs that were killed and resumed.
import { expect, test } from 'vitest';
import type { TrainEventBody } from '../../src-main/contract/events.ts';
import { courseOf, isSuperseded } from '../../src-main/contract/run-course.ts';

const started = (fromStep: number) => ({ kind: 'started', fromStep }) as TrainEventBody;
const step = (at: number, loss: number) => ({ kind: 'step', step: at, loss }) as TrainEventBody;
const probe = (at: number, loss: number) => ({ kind: 'probe', step: at, loss }) as TrainEventBody;
const checkpoint = (at: number) => ({ kind: 'checkpoint', step: at, path: `step-${at}` }) as TrainEventBody;
const short = (events: readonly TrainEventBody[]): string[] => events.map((event) => {
  const { kind, step: at, fromStep, loss } = event as { kind: string; step?: number; fromStep?: number; loss?: number };
  return [kind, at ?? fromStep, loss].filter((part) => part !== undefined).join(' ');
});

test('steps after the checkpoint that a run goes on from count once, as they were done last', () => {
  const log = [
    started(0), probe(0, 9), step(1, 1), step(2, 2), checkpoint(2), step(3, 3), probe(3, 7), step(4, 4), checkpoint(4), { kind: 'sample', step: 4 } as TrainEventBody,
    // The checkpoint of step 4 turned out to be broken.
    started(2), step(3, 30), probe(3, 70), step(4, 40),
    started(2), step(3, 300),
  ];
  expect(short(courseOf(log))).toEqual(['started 0', 'probe 0 9', 'step 1 1', 'step 2 2', 'checkpoint 2', 'started 2', 'started 2', 'step 3 300']);
});

test('a run that begins again at 0 has only its last try', () => {
  expect(short(courseOf([started(0), probe(0, 1), step(1, 1), started(0), probe(0, 2), step(1, 2)]))).toEqual(['started 0', 'started 0', 'probe 0 2', 'step 1 2']);
});

test('a pause loses nothing; what has no step stays', () => {
  const log = [started(0), step(1, 1), { kind: 'paused', step: 1 } as TrainEventBody, started(1), step(2, 2), { kind: 'warning', code: 'a', text: 'b' } as TrainEventBody];
  expect(courseOf(log)).toEqual(log);
});

test('a log without starts shows each step once', () => {
  expect(short(courseOf([step(1, 1), step(2, 2), step(2, 20)]))).toEqual(['step 1 1', 'step 2 20']);
});

test('a fold can drop what it has when a process starts', () => {
  expect([step(3, 0), checkpoint(2), probe(0, 0), { kind: 'paused', step: 9 } as TrainEventBody].map((event) => isSuperseded(event, 2))).toEqual([true, false, false, false]);
  expect(isSuperseded(probe(0, 0), 0)).toBe(true);
});

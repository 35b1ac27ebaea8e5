import { expect, test } from 'vitest';

import { createProgress, durationText } from '../../src-main/cli/progress.ts';
import type { TrainEvent } from '../../src-main/contract/events.ts';

const step = (number: number, time: number): TrainEvent => ({
  kind: 'step', seq: number, time, step: number, total: 100, loss: 0.123456, lr: 1e-4, gradNorm: 1,
  secondsPerStep: 0.5, eta: (100 - number) / 2,
});
const phase = (done: number, time: number): TrainEvent =>
  ({ kind: 'phase', seq: 0, time, name: 'encode images', done, total: 24, unit: 'images' });

function shown(events: readonly TrainEvent[], isTerminal: boolean, columns = 80): string {
  let text = '';
  const progress = createProgress({ isTerminal, hasColour: false, columns: () => columns, write: (part) => { text += part; } });
  for (const event of events) progress.show(event);
  progress.end();
  return text;
}

test('a terminal sees one line, rewritten', () => {
  const text = shown([phase(1, 0), step(1, 1000), step(2, 2000)], true);
  expect(text).not.toContain('\n');
  expect(text.split('\r\u001B[2K').slice(1)).toEqual([
    'encode images  1/24 images',
    'train  step   1/100  loss 0.1235  0.500 s/step  ETA 50 s',
    'train  step   2/100  loss 0.1235  0.500 s/step  ETA 49 s',
    '',
  ]);
});

test('the line never wraps, and messages stay above it', () => {
  const text = shown([step(1, 0), { kind: 'warning', seq: 1, time: 1, code: 'a', text: 'Careful.' }, step(2, 1000)], true, 20);
  const lines = text.split(/\r\u001B\[2K/);
  expect(lines).toEqual(['', 'train  step   1/100', 'Warning: Careful.\n', 'train  step   2/100', '']);
});

test('a file gets a line every ten seconds, each new phase and the end', () => {
  const events = [phase(1, 0), ...Array.from({ length: 100 }, (_, at) => step(at + 1, 1000 + at * 300))];
  const lines = shown(events, false).trimEnd().split('\n');
  expect(lines.map((line) => line.match(/step +(\d+)/)?.[1] ?? line)).toEqual([
    'encode images  1/24 images', '1', '35', '69', '100',
  ]);
});

test('a loss that is no number is said to be none', () => {
  expect(shown([{ kind: 'probe', seq: 0, time: 0, step: 3, loss: null }], false)).toContain('not a number');
});

test.each([[0.4, '0 s'], [59.6, '1 min 00 s'], [125, '2 min 05 s'], [7620, '2 h 07 min'], [-3, '0 s']])(
  '%d seconds are %s', (seconds, text) => {
    expect(durationText(seconds)).toBe(text);
  },
);

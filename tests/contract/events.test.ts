import { expect, test } from 'vitest';

import { eventLine, measuredNumber, parseEventLine, type TrainEvent } from '../../src-main/contract/events.ts';

const step: TrainEvent = {
  kind: 'step', seq: 3, time: 1, step: 1, total: 10, loss: 0.5, lr: 1e-4, gradNorm: measuredNumber(Infinity),
  secondsPerStep: 0.2, eta: 1.8,
};

test('an event survives its line, and the line has no break', () => {
  const line = eventLine({ ...step, kind: 'step' });
  expect(line).not.toContain('\n');
  expect(parseEventLine(line)).toEqual(step);
});

test('numbers that are not finite become null', () => {
  expect(parseEventLine(eventLine(step))).toMatchObject({ gradNorm: null });
  expect(measuredNumber(NaN)).toBeNull();
  expect(measuredNumber(0)).toBe(0);
});

test.each(['', '{"kind":"step","seq":', '{"kind":"nonsense","seq":0,"time":0}', '{"kind":"probe","seq":-1,"time":0}', '7'])(
  'the torn or foreign line %j is no event', (line) => {
    expect(parseEventLine(line)).toBeNull();
  },
);

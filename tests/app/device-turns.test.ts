// Trainings and paintings do not share the device.
import { setImmediate as turn } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import { createDeviceTurns } from '../../src-main/app/training/device-turns.ts';

/** Work that ends when it is told to, or when its signal is aborted. */
function work(): { readonly begun: string[]; readonly do: (signal: AbortSignal) => Promise<void>; finish(): void } {
  const begun: string[] = [];
  let finish: () => void = () => {};
  return {
    begun,
    do: (signal) => new Promise((resolve, reject) => {
      begun.push('begun');
      finish = resolve;
      signal.addEventListener('abort', () => {
        begun.push('stopped');
        reject(signal.reason as Error);
      });
    }),
    finish: () => finish(),
  };
}

describe('pictures', () => {
  test('wait while a training has the device', async () => {
    const [turns, painting] = [createDeviceTurns(), work()];
    await turns.take();
    let waits = 0;
    const all = turns.between(new AbortController().signal, () => waits++, painting.do);
    await turn();
    expect([waits, painting.begun]).toEqual([1, []]);
    turns.leave();
    await turn();
    expect(painting.begun).toEqual(['begun']);
    painting.finish();
    await all;
  });

  test('stop for a training that begins, which waits for that, and go on after it', async () => {
    const [turns, painting] = [createDeviceTurns(), work()];
    const all = turns.between(new AbortController().signal, () => {}, painting.do);
    await turns.take();
    expect([painting.begun, turns.isTaken()]).toEqual([['begun', 'stopped'], true]);
    await turn();
    expect(painting.begun).toEqual(['begun', 'stopped']);
    turns.leave();
    await turn();
    expect(painting.begun).toEqual(['begun', 'stopped', 'begun']);
    painting.finish();
    await all;
  });

  test('that wait can be cancelled, and an error of theirs is their end', async () => {
    const turns = createDeviceTurns();
    const stop = new AbortController();
    await turns.take();
    const waiting = turns.between(stop.signal, () => {}, async () => {});
    stop.abort(new Error('cancelled'));
    await expect(waiting).rejects.toThrow('cancelled');
    turns.leave();
    await expect(turns.between(new AbortController().signal, () => {}, async () => { throw new Error('disk full'); })).rejects.toThrow('disk full');
  });
});

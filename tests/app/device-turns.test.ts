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
    const waits: string[] = [];
    const all = turns.between(new AbortController().signal, painting.do, { as: 'painting', onWait: (by) => waits.push(by) });
    await turn();
    expect([waits, painting.begun, turns.isFree()]).toEqual([['training'], [], false]);
    turns.leave();
    await turn();
    expect(painting.begun).toEqual(['begun']);
    painting.finish();
    await all;
  });

  test('stop for a training that begins, which waits for that, and go on after it', async () => {
    const [turns, painting] = [createDeviceTurns(), work()];
    const all = turns.between(new AbortController().signal, painting.do, { as: 'painting' });
    await turn();
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
    const waiting = turns.between(stop.signal, async () => {}, { as: 'painting' });
    stop.abort(new Error('cancelled'));
    await expect(waiting).rejects.toThrow('cancelled');
    turns.leave();
    await expect(turns.between(new AbortController().signal, async () => { throw new Error('disk full'); }, { as: 'painting' })).rejects.toThrow('disk full');
  });
});

describe('work on the device', () => {
  const never = new AbortController().signal;

  test('takes turns in order, and who waits is told why and may leave', async () => {
    const [turns, first, second] = [createDeviceTurns(), work(), work()];
    const one = turns.between(never, first.do, { as: 'doctor' });
    const [waits, stop]: [string[], AbortController] = [[], new AbortController()];
    const two = turns.between(stop.signal, second.do, { as: 'painting', onWait: (by) => waits.push(by) });
    await turn();
    expect([first.begun, second.begun, waits]).toEqual([['begun'], [], ['doctor']]);
    stop.abort(new Error('cancelled'));
    await expect(two).rejects.toThrow('cancelled');
    first.finish();
    expect(await one).toBe(true);
    expect(second.begun).toEqual([]);
  });

  test('who waits hears of each that has the device before', async () => {
    const [turns, one, two] = [createDeviceTurns(), work(), work()];
    const waits: string[] = [];
    const all = [turns.between(never, one.do, { as: 'doctor' }), turns.between(never, two.do, { as: 'export' }), turns.between(never, async () => {}, { as: 'painting', onWait: (by) => waits.push(by) })];
    await turn();
    expect(waits).toEqual(['doctor']);
    one.finish();
    await turn();
    await turn();
    expect(waits).toEqual(['doctor', 'export']);
    two.finish();
    await Promise.all(all);
    expect(waits).toEqual(['doctor', 'export']);
  });

  test('that is not begun again says that a training stopped it', async () => {
    const [turns, forecast] = [createDeviceTurns(), work()];
    const asked = turns.between(never, forecast.do, { as: 'forecast', again: false });
    await turn();
    await turns.take();
    expect(await asked).toBe(false);
    turns.leave();
    await turn();
    expect(forecast.begun).toEqual(['begun', 'stopped']);
  });

  test('what is kept between turns goes before a training and before work of another kind', async () => {
    const said: string[] = [];
    const turns = createDeviceTurns(async () => { await turn(); said.push('given back'); });
    const told = (name: string) => async (): Promise<void> => void said.push(name);
    await turns.between(never, told('painted'), { as: 'painting', keeps: true });
    await turns.between(never, told('painted'), { as: 'painting', keeps: true });
    expect(said).toEqual(['painted', 'painted']);
    await turns.between(never, told('examined'), { as: 'doctor' });
    await turns.take();
    expect(said).toEqual(['painted', 'painted', 'given back', 'examined', 'given back']);
  });
});

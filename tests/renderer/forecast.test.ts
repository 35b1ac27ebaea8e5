// The forecast beside the settings: asked for when they rest, and never taken for that of other settings.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { CallError } from '../../src-renderer/bridge.ts';
import { Forecast, type ForecastAnswer } from '../../src-renderer/state/forecast.svelte.ts';

beforeEach(() => { vi.useFakeTimers(); });
afterEach(() => { vi.useRealTimers(); });

const answer = (memory: number, isRefused = false): ForecastAnswer => ({
  memory, memoryParts: [], memoryFree: 100, secondsPerStep: 1, seconds: 10, basis: { code: 'x', data: {}, text: '' }, disk: 1, diskFree: 9, trained: 1, frozen: 1, pictures: 1,
  epochs: 1, device: 'cpu', warnings: [], verdict: isRefused ? 'too-large' : 'fits', isRefused, changes: [],
});

function opened() {
  const asked: { steps: unknown; answer: (given: ForecastAnswer) => void; fail: (error: Error) => void }[] = [];
  const stop = vi.fn<(projectId: string) => Promise<void>>(() => Promise.resolve());
  const forecast = new Forecast({ stop, forecast: ({ draft }) => new Promise((resolve, reject) => { asked.push({ steps: draft['steps'], answer: resolve, fail: reject }); }) });
  return { forecast, asked, stop };
}

test('a row of changes asks once, and only the answer for the last settings counts', async () => {
  const { forecast, asked } = opened();
  for (const steps of [1, 2, 3]) forecast.of('p', { steps });
  await vi.advanceTimersByTimeAsync(2000);
  expect(asked.map(({ steps }) => steps)).toEqual([3]);
  forecast.of('p', { steps: 4 });
  asked[0]!.answer(answer(3));
  await vi.advanceTimersByTimeAsync(2000);
  expect([forecast.state, forecast.answer]).toEqual(['working', null]);
  asked[1]!.answer(answer(4, true));
  await vi.advanceTimersByTimeAsync(0);
  expect([forecast.state, forecast.answer?.memory, forecast.isRefused]).toEqual(['known', 4, true]);
  // What was refused is refused no more once the settings are others.
  forecast.of('p', { steps: 5 });
  expect([forecast.state, forecast.isRefused]).toEqual(['working', false]);
});

test('it can be cancelled, which ends the work too, and says why it failed', async () => {
  const { forecast, asked, stop } = opened();
  forecast.of('p', { steps: 1 });
  await vi.advanceTimersByTimeAsync(2000);
  forecast.cancel();
  expect([forecast.state, stop.mock.calls]).toEqual(['stopped', [['p']]]);
  asked[0]!.answer(answer(1));
  await vi.advanceTimersByTimeAsync(0);
  expect([forecast.state, forecast.answer]).toEqual(['stopped', null]);
  forecast.of('p', { steps: 2 });
  await vi.advanceTimersByTimeAsync(2000);
  asked[1]!.fail(new CallError({ code: 'job.rank', message: 'adapter.rank = 9 is too large.' }));
  await vi.advanceTimersByTimeAsync(0);
  expect([forecast.state, forecast.problem]).toEqual(['failed', 'adapter.rank = 9 is too large.']);
  // Another window of the project has asked.
  forecast.of('p', { steps: 3 });
  await vi.advanceTimersByTimeAsync(2000);
  asked[2]!.fail(new CallError({ code: 'forecast.superseded', message: '' }));
  await vi.advanceTimersByTimeAsync(0);
  expect(forecast.state).toBe('stopped');
  forecast.none();
  expect(stop).toHaveBeenCalledTimes(1);
});

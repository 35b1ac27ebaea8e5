// What is made on the device is given back when something fails later.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { describe, expect, test, vi } from 'vitest';
import { keptUnlessFailed, scoped } from '../../src-main/base/dispose.ts';
import { createBuilder } from '../../src-main/graph/builder.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import type { DeviceTensor, Program, Runtime } from '../../src-main/runtime/runtime.ts';
import { weightsOfAdapter } from '../../src-main/train/merge.ts';
import { chooseCheckpoint, openRun, openSavedValues } from '../../src-main/train/open-run.ts';
import { temporaryFolder } from '../files/temporary.ts';
import { eventsOf, jobAt, train, usePlace, writePictures } from './run.ts';

const place = usePlace();
const lora = { kind: 'lora', targets: 'attention', rank: 2, alpha: 2 } as const;

/** A runtime that counts what lives and fails at the call with this number. */
function failingRuntime(failAt: number) {
  const inner = createOnnxRuntime({ device: 'cpu', threads: 1 });
  const living = new Set<object>();
  const calls: string[] = [];
  const call = (name: string): void => {
    calls.push(name);
    if (calls.length - 1 === failAt) throw new Error(`no memory for ${name}`);
  };
  const counted = <T extends { dispose(): void | Promise<void> }>(item: T, more: Partial<T>): T => {
    const wrapped: T = Object.assign(Object.create(item) as T, more, { dispose: () => { living.delete(wrapped); return item.dispose(); } });
    living.add(wrapped);
    return wrapped;
  };
  const tensor = (made: DeviceTensor): DeviceTensor => counted(made, { read: async () => { call('read'); return made.read(); } });
  const runtime: Runtime = {
    device: 'cpu',
    upload: (data) => { call('upload'); return tensor(inner.upload(data)); },
    compile: async (graph, options) => {
      call(`compile ${options.name}`);
      const program = await inner.compile(graph, options);
      const run: Program['run'] = async (feeds) => {
        call(`run ${options.name}`);
        return new Map([...await program.run(feeds)].map(([name, made]) => [name, tensor(made)]));
      };
      return counted(program, { run });
    },
  };
  return { runtime, living, calls };
}

describe('a run that fails', () => {
  const job = jobAt(place, { adapter: lora, preview: { every: 2, steps: 1 }, train: { steps: 2, accumulate: 2, saveEvery: 0 } });
  const attempt = async (failAt: number) => {
    const made = failingRuntime(failAt);
    const failure = await train(place, job, { cacheFolder: temporaryFolder(), chosen: { runtime: made.runtime, compute: 'f32', scalesLoss: false } }).then(() => null, (error: unknown) => error);
    return { ...made, failure };
  };

  test('keeps nothing on the device, whichever call fails', async () => {
    const whole = await attempt(-1);
    expect(whole.failure).toBeNull();
    expect([...whole.living]).toEqual([]);
    // The first of each kind of call, and some in the middle of things.
    const firsts = [...new Set(whole.calls)].map((name) => whole.calls.indexOf(name));
    const others = ['upload', 'read'].flatMap((name) => {
      const all = whole.calls.flatMap((one, at) => (one === name ? [at] : []));
      return [0.3, 0.6, 0.9].map((part) => all[Math.floor(all.length * part)]!);
    });
    let failed = 0;
    for (const failAt of new Set([...firsts, ...others])) {
      const { living, failure, calls } = await attempt(failAt);
      expect(living.size, `after ${calls[failAt]} (call ${failAt})`).toBe(0);
      if (failure !== null) failed++;
    }
    // All but those of previews, which are only warnings.
    expect(failed).toBeGreaterThan(5);
  }, 300_000);
});

test('merging that fails keeps nothing on the device, whichever call fails', async () => {
  const { folder } = await train(place, jobAt(place, { train: { steps: 1, saveEvery: 0 } }));
  const attempt = async (failAt: number): Promise<{ calls: string[]; failed: boolean }> => {
    const { runtime, living, calls } = failingRuntime(failAt);
    const run = openRun(folder, { runtime, compute: 'f32' });
    const { weights, dispose } = weightsOfAdapter(run, openSavedValues(chooseCheckpoint(run).path));
    const failed = await weights[0]!.merge().then(() => false, () => true);
    await dispose();
    expect(living.size, `alive when call ${failAt} fails`).toBe(0);
    return { calls, failed };
  };
  const { calls, failed } = await attempt(-1);
  expect(failed).toBe(false);
  expect(calls).toEqual(expect.arrayContaining(['compile merge', 'upload', 'run merge', 'read']));
  for (const at of calls.keys()) expect((await attempt(at)).failed).toBe(true);
});

test('a program whose second part cannot be compiled releases its first', async () => {
  const g = createBuilder();
  const x = g.input('x', [2]);
  const first = g.region('a', () => g.mul(x, 2));
  const graph = g.graph({ y: g.region('b', () => g.add(first, 1)) });
  const release = vi.fn<() => Promise<void>>(async () => {});
  const create = vi.spyOn(InferenceSession, 'create').mockImplementationOnce((async () => ({ release })) as never).mockImplementationOnce(async () => Promise.reject(new Error('no memory')));
  try {
    await expect(createOnnxRuntime({ device: 'cpu' }).compile(graph, { weights: () => expect.fail(), name: 'two' })).rejects.toMatchObject({ code: 'device.cannot-compile' });
    expect(create).toHaveBeenCalledTimes(2);
    expect(release).toHaveBeenCalledTimes(1);
  } finally {
    create.mockRestore();
  }
});

test('scopes dispose of all, in turn, and tell the first failure', async () => {
  const order: number[] = [];
  const item = (id: number, fails = false) => ({ dispose: () => { order.push(id); if (fails) throw new Error(`dispose ${id}`); } });
  await expect(scoped(async (keep) => { keep(item(1)); keep(item(2, true)); keep(item(3)); return 7; })).rejects.toThrow('dispose 2');
  expect(order.splice(0)).toEqual([3, 2, 1]);
  await expect(scoped(async (keep) => { keep(item(1, true)); throw new Error('work'); })).rejects.toThrow('work');
  expect(order.splice(0)).toEqual([1]);
  expect(await keptUnlessFailed(async (keep) => keep(item(4)))).toBeDefined();
  expect(order).toEqual([]);
});

describe('previews that could not be painted', () => {
  test.each([
    [{ width: 17 }, 'picture.size', /multiples of \d+: choose \d+ x \d+/], [{ steps: 900 }, 'picture.steps', /900 steps/],
  ])('%j are refused before anything is encoded', async (preview, code, text) => {
    const job = jobAt(place, { adapter: lora, preview: { every: 1, steps: 1, ...preview }, noise: { timesteps: 500 } });
    const seen: string[] = [];
    await expect(train(place, job, { onEvent: ({ kind }) => seen.push(kind) })).rejects.toMatchObject({ code, message: expect.stringMatching(text) as string });
    expect(seen).toEqual(['failed']);
  });
});

test('a damaged picture of an autoencoder is found before training, with all others', async () => {
  const pictures = await writePictures(join(temporaryFolder(), 'set'), 4);
  for (const name of ['1.png', '3.png']) writeFileSync(join(pictures, name), readFileSync(join(pictures, name)).subarray(0, -30));
  const seen: string[] = [];
  const failed = train(place, { ...jobAt({ ...place, pictures }), task: 'autoencoder' }, { onEvent: ({ kind }) => seen.push(kind) });
  await expect(failed).rejects.toMatchObject({ code: 'dataset.bad-files', message: expect.stringMatching(/^2 files.*1\.png.*3\.png/) as string });
  expect(seen).not.toContain('started');
});

test('epsilon with zero terminal SNR is warned of', async () => {
  const { events } = await train(place, jobAt(place, { base: { model: place.model, prediction: 'epsilon' }, adapter: lora, noise: { zeroTerminalSnr: true }, train: { steps: 1 } }));
  expect(eventsOf(events, 'warning').map(({ code }) => code)).toContain('job.zero-snr-epsilon');
});

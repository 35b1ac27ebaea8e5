// The loop itself, on a toy.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { UserError } from '../../src-main/base/errors.ts';
import type { TrainEventBody, TrainEventKind } from '../../src-main/contract/events.ts';
import { f32 } from '../../src-main/runtime/runtime.ts';
import { listCheckpoints, loadCheckpoint } from '../../src-main/train/checkpoint.ts';
import { refuseBrokenValues } from '../../src-main/train/not-finite.ts';
import { refusal, refusalOf, temporaryFolder } from '../files/temporary.ts';
import { expectClose } from '../ops/run-graph.ts';
import { filesOf } from './run.ts';
import { runToy, toyJob, toyTask, type ToyRun } from './toy.ts';

const kinds = ({ events }: Pick<ToyRun, 'events'>): string[] => events.map(({ kind }) => kind);
const eventsOf = <K extends TrainEventKind>({ events }: Pick<ToyRun, 'events'>, kind: K) =>
  events.filter((event): event is Extract<TrainEventBody, { kind: K }> => event.kind === kind);
const dataOf = (run: ToyRun, name: string): number[] => [...(run.values.get(name)!.data as Float32Array)];
const infinite = (from: number, to = Infinity) => (x: Float32Array, index: number): void => {
  if (index >= from && index < to) x[0] = Number.POSITIVE_INFINITY;
};

describe('the course of a run', () => {
  test('measures, steps, saves and judges in order', async () => {
    const run = await runToy({ job: toyJob({ train: { steps: 4, saveEvery: 2, probeEvery: 2 } }) });
    expect(kinds(run)).toEqual(['probe', 'step', 'step', 'memory', 'probe', 'memory', 'checkpoint', 'step', 'step', 'verdict', 'probe', 'memory', 'checkpoint', 'verdict']);
    expect(eventsOf(run, 'step').map(({ step }) => step)).toEqual([1, 2, 3, 4]);
    expect(eventsOf(run, 'probe').map(({ step }) => step)).toEqual([0, 2, 4]);
    expect(eventsOf(run, 'verdict').map(({ name, ok }) => [name, ok])).toEqual([['movement', true], ['loss-fell', true]]);
    expect(run.end).toBe('finished');
  });

  test('the learning rate follows the schedule', async () => {
    const run = await runToy({ job: toyJob({ schedule: { kind: 'cosine', warmup: 2 }, train: { steps: 6 } }) });
    const rates = eventsOf(run, 'step').map(({ lr }) => lr / 0.02);
    expectClose(rates, [0, 0.5, 1, ...[1, 2, 3].map((i) => 0.5 * (1 + Math.cos((Math.PI * i) / 4)))], 1e-6);
  });

  test('the learning rate is the one that is used, also where the optimizer has its own', async () => {
    const optimizer = { kind: 'adafactor', learningRate: 0.5, relativeStep: true, relativeWarmup: true };
    const own = await runToy({ job: toyJob({ optimizer, schedule: { kind: 'constant' }, train: { steps: 3 } }) });
    expectClose(eventsOf(own, 'step').map(({ lr }) => lr), [1e-6, 2e-6, 3e-6], 1e-9);
    const given = await runToy({ job: toyJob({ optimizer: { ...optimizer, learningRate: 0.01, relativeStep: false }, schedule: { kind: 'constant' }, train: { steps: 3 } }) });
    expect(eventsOf(given, 'step').map(({ lr }) => lr)).toEqual([0.01, 0.01, 0.01]);
  });

  test('the length of the update is told at some steps: how far the checkpoints lie apart', async () => {
    const run = await runToy({ job: toyJob({ train: { steps: 8, saveEvery: 1, keep: 8 } }) });
    const told = eventsOf(run, 'step').flatMap(({ step, updateNorm }) => (updateNorm === undefined ? [] : [[step, updateNorm!] as const]));
    expect(told.map(([step]) => step)).toEqual([5, 8]);
    const files = new Map(listCheckpoints(run.folder).map(({ step, path }) => [step, loadCheckpoint(path).values]));
    for (const [step, norm] of told) {
      const apart = ['w', 'bias'].flatMap((name) => [...(files.get(step)!.get(name)!.data as Float32Array)].map((value, at) => value - (files.get(step - 1)!.get(name)!.data as Float32Array)[at]!));
      expect(norm / Math.hypot(...apart)).toBeCloseTo(1, 4);
    }
  });

  test('keeps as many checkpoints as the job says', async () => {
    const run = await runToy({ job: toyJob({ train: { keep: 2 } }) });
    expect(readdirSync(run.folder)).toEqual(['step-000007.safetensors', 'step-000008.safetensors']);
  });

  test('without saveEvery and probeEvery there is only the end', async () => {
    const run = await runToy({ job: toyJob({ train: { saveEvery: 0, probeEvery: 0 } }) });
    expect(eventsOf(run, 'checkpoint').map(({ step }) => step)).toEqual([8]);
    expect(eventsOf(run, 'probe').map(({ step }) => step)).toEqual([0, 8]);
  });

  test('equal runs write equal files', async () => {
    const [first, second] = [await runToy(), await runToy()];
    expect(filesOf(second.folder, ['.'])).toEqual(filesOf(first.folder, ['.']));
  });
});

describe('numbers', () => {
  test('accumulated batches are one large batch', async () => {
    const whole = await runToy({ task: toyTask({ rows: 8 }) });
    const parts = await runToy({ task: toyTask({ rows: 2 }), job: toyJob({ train: { accumulate: 4 } }) });
    for (const name of ['w', 'bias', 'mean:w', 'square:w']) expectClose(dataOf(parts, name), dataOf(whole, name), 1e-5);
    expectClose(eventsOf(parts, 'step').map(({ loss }) => loss!), eventsOf(whole, 'step').map(({ loss }) => loss!), 1e-5);
    expectClose(eventsOf(parts, 'step').map(({ gradNorm }) => gradNorm!), eventsOf(whole, 'step').map(({ gradNorm }) => gradNorm!), 1e-5);
  });

  test('the running average follows the trained values', async () => {
    const run = await runToy({ job: toyJob({ train: { ema: 0.75 } }) });
    let average = [0.1, 0.1, 0.1, 0.1, 0.1];
    for (let step = 1; step <= 8; step++) {
      const w = loadCheckpoint(join(run.folder, `step-00000${step}.safetensors`)).values.get('w')!.data as Float32Array;
      average = average.map((value, i) => 0.75 * value + 0.25 * w[i]!);
    }
    expectClose(dataOf(run, 'average:w'), average, 1e-6);
    // The average lags behind, so what is measured is not what it would be without.
    const plain = await runToy();
    expect(dataOf(plain, 'w')).toEqual(dataOf(run, 'w'));
    expect(plain.state.lastProbe).toBeLessThan(run.state.lastProbe!);
  });

  test('clipping bounds the gradient that the optimizer sees, not the one that is shown', async () => {
    const [free, clipped] = [await runToy({ job: toyJob({ train: { clip: 0, steps: 1 } }) }), await runToy({ job: toyJob({ train: { clip: 0.01, steps: 1 } }) })];
    const norm = eventsOf(free, 'step')[0]!.gradNorm!;
    expect(eventsOf(clipped, 'step')[0]!.gradNorm).toBe(norm);
    expectClose(dataOf(clipped, 'mean:w'), dataOf(free, 'mean:w').map((value) => (value * 0.01) / norm), 1e-4);
  });
});

describe('loss scaling', () => {
  test('by powers of two changes nothing in f32', async () => {
    const [plain, scaled] = [await runToy({ job: toyJob({ train: { clip: 0 } }) }), await runToy({ job: toyJob({ train: { clip: 0 } }), scalesLoss: true })];
    expect(dataOf(scaled, 'w')).toEqual(dataOf(plain, 'w'));
    expect(eventsOf(scaled, 'step').map(({ lossScale }) => lossScale)).toEqual(new Array(8).fill(2 ** 14));
  });

  test('a step that overflows is left out, halves the factor, and is counted', async () => {
    const run = await runToy({ task: toyTask({ spoil: infinite(3, 5) }), scalesLoss: true });
    expect(eventsOf(run, 'step').map(({ skipped = false }) => skipped)).toEqual([false, false, false, true, true, false, false, false]);
    expect(eventsOf(run, 'step').at(-1)!.lossScale).toBe(2 ** 12);
    expect(run.state.skipped).toBe(2);
    const valueAt = (step: number) => loadCheckpoint(join(run.folder, `step-00000${step}.safetensors`));
    expect([...valueAt(5).values]).toEqual([...valueAt(3).values]);
    expect(valueAt(5).state).toMatchObject({ lossScale: 2 ** 12, goodSteps: 0, skipped: 2 });
  });
});

describe('numbers that are not finite', () => {
  test('stop the run with one sentence and leave earlier checkpoints', async () => {
    const folder = temporaryFolder();
    const job = toyJob({ train: { steps: 100 } });
    const error = await refusalOf('train.not-finite', () => runToy({ folder, job, task: toyTask({ spoil: infinite(4) }) }));
    expect(error.message).toMatch(/^The loss \(Infinity\) was not finite in 10 steps in a row up to step 14 \(all layers are concerned\): /);
    const good = loadCheckpoint(join(folder, 'step-000004.safetensors'));
    expect(good.values.get('w')!.data.every(Number.isFinite)).toBe(true);
    // Nothing of the bad steps has entered the values.
    expect([...loadCheckpoint(join(folder, 'step-000013.safetensors')).values]).toEqual([...good.values]);
  });

  test('leave what was learnt since the last checkpoint in one more', async () => {
    const job = toyJob({ train: { steps: 100, saveEvery: 0 } });
    const folder = temporaryFolder();
    await refusalOf('train.not-finite', () => runToy({ folder, job, task: toyTask({ spoil: infinite(4) }) }));
    expect(listCheckpoints(folder).map(({ step }) => step)).toEqual([13]);
    const whole = await runToy({ job: toyJob({ train: { steps: 4 } }) });
    expect([...loadCheckpoint(join(folder, 'step-000013.safetensors')).values.get('w')!.data]).toEqual(dataOf(whole, 'w'));
    // The cause is gone: the run goes on.
    expect((await runToy({ folder, job: toyJob({ train: { steps: 20, saveEvery: 0 } }) })).end).toBe('finished');
  });

  test('name the tensors whose gradient is concerned', async () => {
    const overflow = (x: Float32Array, index: number): void => { if (index >= 4) x.fill(1e25); };
    const { message, data } = await refusalOf('train.not-finite', () => runToy({ job: toyJob({ train: { steps: 30 } }), task: toyTask({ spoil: overflow, leavesBias: true }) }));
    expect(message).toContain('(1 of 2 gradients are concerned: "w")');
    expect(data).toMatchObject({ tensors: ['w'] });
  });

  test('before the first step stop the run, with the weight of the model that has them', async () => {
    const task = toyTask();
    const broken = { ...task, tensors: task.tensors.map((tensor) => ({ ...tensor, initial: () => new Float32Array(tensor.name === 'w' ? 5 : 1).fill(Number.NaN) })) };
    const folder = temporaryFolder();
    const error = await refusalOf('train.not-finite', () => runToy({ folder, task: broken, brokenWeight: () => 'unet.conv_in.weight' }));
    expect(error.message).toMatch(/^The loss \(NaN\) is not finite before the first step: "unet\.conv_in\.weight" of the model/);
    expect(listCheckpoints(folder)).toEqual([]);
  });

  test('are never saved', () => {
    const values = new Map([['a', f32(Float32Array.of(1), [1])], ['b', f32(Float32Array.of(1, Number.NaN), [2])], ['average:b', f32(Float32Array.of(Infinity), [1])]]);
    expect(refusal('train.not-finite', () => refuseBrokenValues(values, 7)).message).toMatch(/^The trained values of "b" and 1 more are no numbers any more at step 7: /);
    refuseBrokenValues(new Map([...values].slice(0, 1)), 7);
  });

  test('from the first step on', async () => {
    await refusalOf('train.not-finite', () => runToy({ task: toyTask({ spoil: infinite(0) }) }));
  });

  test('while the loss is scaled, after the factor had its chance', async () => {
    const job = toyJob({ train: { steps: 100 } });
    const error = await refusalOf('train.not-finite', () => runToy({ job, scalesLoss: true, task: toyTask({ spoil: infinite(0) }) }));
    expect(error.message).toMatch(/26 steps in a row/);
  });

  test('in a single step are passed over', async () => {
    const run = await runToy({ task: toyTask({ spoil: infinite(2, 3) }) });
    expect(eventsOf(run, 'step').map(({ loss }) => loss === null)).toEqual([false, false, true, false, false, false, false, false]);
    expect(dataOf(run, 'w').every(Number.isFinite)).toBe(true);
  });
});

describe('previews', () => {
  const everyTwo = toyJob({ preview: { every: 3 } });

  test('come at the start, as planned, and at the end', async () => {
    const steps: number[] = [];
    await runToy({ job: everyTwo, preview: async (step) => void steps.push(step) });
    expect(steps).toEqual([0, 3, 6, 8]);
  });

  test('come when they are asked for', async () => {
    const steps: number[] = [];
    let wants = false;
    await runToy({
      preview: async (step) => void steps.push(step),
      onEvent: (event) => { wants ||= event.kind === 'step' && event.step === 5; },
      control: { shouldStop: () => false, takeSampleRequest: () => [wants, (wants = false)][0]! },
    });
    expect(steps).toEqual([5]);
  });

  test('that fail are warnings, and training goes on to the same values', async () => {
    const run = await runToy({ job: everyTwo, preview: async () => { throw new Error('no more colours'); } });
    expect(eventsOf(run, 'warning').map(({ code }) => code)).toEqual(new Array(4).fill('preview.failed'));
    expect(eventsOf(run, 'warning')[1]!.text).toMatch(/step 3 .*no more colours/);
    expect(dataOf(run, 'w')).toEqual(dataOf(await runToy(), 'w'));
  });
});

describe('a request to rest', () => {
  const job = toyJob({ train: { saveEvery: 3, probeEvery: 2 }, preview: { every: 4 } });

  /** Stops when the run asks for the `at`-th time; previews ask once each and are told by step and whether they repeat. */
  async function stopped(at: number, folder: string) {
    let asks = 0;
    const painted: [step: number, isRepeated: boolean][] = [];
    const shouldStop = (): boolean => ++asks > at;
    const run = await runToy({
      job, folder, control: { shouldStop },
      preview: async (step, isRepeated) => {
        if (shouldStop()) throw new UserError('sample.stopped', 'Stopped.');
        painted.push([step, isRepeated]);
      },
    });
    return { run, painted, asks };
  }

  test('at any moment, in a measurement or a preview too, loses nothing', async () => {
    const wholeFolder = temporaryFolder();
    const whole = await stopped(Infinity, wholeFolder);
    expect(whole.painted.map(([step]) => step)).toEqual([0, 4, 8]);
    const probesOf = (events: readonly TrainEventBody[]) => new Map(events.flatMap((event) => (event.kind === 'probe' ? [[event.step, event.loss]] : [])));
    for (let at = 0; at < whole.asks; at++) {
      const folder = temporaryFolder();
      const first = await stopped(at, folder);
      expect(first.run.end, `asked ${at} times`).toBe('interrupted');
      const second = await stopped(Infinity, folder);
      expect(second.run.end).toBe('finished');
      expect(second.run.state).toEqual(whole.run.state);
      expect(second.run.values).toEqual(whole.run.values);
      expect(probesOf([...first.run.events, ...second.run.events]), `asked ${at} times`).toEqual(probesOf(whole.run.events));
      expect([...new Set([...first.painted, ...second.painted].map(([step]) => step))], `asked ${at} times`).toEqual([0, 4, 8]);
      for (const name of ['step-000006.safetensors', 'step-000008.safetensors']) expect(filesOf(folder, ['.'])[name] ?? null, name).toBe(name in filesOf(folder, ['.']) ? filesOf(wholeFolder, ['.'])[name] : null);
    }
  });
});

// Batches of the denoiser's training: what is fed.
import { beforeAll, describe, expect, test } from 'vitest';
import { detectModel } from '../../src-main/catalog/families/index.ts';
import type { Model } from '../../src-main/catalog/define/family.ts';
import { alphasCumprodOf } from '../../src-main/catalog/noise.ts';
import { objectiveFor } from '../../src-main/catalog/objectives/index.ts';
import type { TaskBatch } from '../../src-main/train/task.ts';
import { openModel } from '../../src-main/train/open-model.ts';
import { createDenoiserTask, type Example } from '../../src-main/train/tasks/denoiser.ts';
import { refusal } from '../files/temporary.ts';
import { expectClose } from '../ops/run-graph.ts';
import { jobAt, usePlace, type JobChanges } from './run.ts';

const place = usePlace();
let model: Model;
let alphas: Float64Array;
beforeAll(() => {
  model = detectModel(openModel(place.model).files);
  alphas = alphasCumprodOf(model.noise);
});

/** Latents of 4 x 3 positions whose mean is 0.5 and whose deviation is practically zero. */
const example = (changes: Partial<Example> = {}): Example => {
  const moments = new Float32Array(2 * 4 * 12).fill(0.5, 0, 48).fill(-30, 48);
  const prompt = { text: '', tokens: new Map([['text_encoder', [{ ids: new Array<number>(40).fill(1), end: 1 }]]]), encoded: { context: new Float32Array(40 * 16), contextShape: [40, 16] as const, pooled: null } };
  return { moments, height: 4, width: 3, prompt, timeIds: [16, 16, 0, 0, 16, 16], isRegularization: false, ...changes };
};

function taskOf(changes: JobChanges = {}, examples: readonly Example[] = [example(), example({ isRegularization: true })], trainsText = false) {
  const job = jobAt(place, changes);
  return createDenoiserTask({
    model, job, objective: objectiveFor('epsilon'), alphasCumprod: alphas, tensors: [], builder: {}, trainsText, dropout: 0,
    examples: { batchAt: async () => examples, measuringBatches: async () => [examples] },
  });
}

const feed = ({ feeds }: TaskBatch, name: string): number[] => Array.from(feeds.get(name)!.data as Float32Array, Number);

describe('a batch', () => {
  test('is the same for a number whenever it is asked for', async () => {
    const task = taskOf();
    const first = await task.batchAt(5);
    await task.batchAt(6);
    expect((await task.batchAt(5)).feeds).toEqual(first.feeds);
    expect((await taskOf().batchAt(5)).feeds).toEqual(first.feeds);
    expect(feed(await task.batchAt(6), 'target')).not.toEqual(feed(first, 'target'));
    expect(feed(await taskOf({ train: { seed: 9 } }).batchAt(5), 'target')).not.toEqual(feed(first, 'target'));
  });

  test('is the clean latent, scaled, with noise of its timestep', async () => {
    const batch = await taskOf().batchAt(0);
    const timesteps = feed(batch, 'timestep');
    const [sample, target] = [feed(batch, 'sample'), feed(batch, 'target')];
    const expected = target.map((noise, i) => {
      const alphaBar = alphas[timesteps[Math.floor(i / 48)]!]!;
      return Math.sqrt(alphaBar) * 0.5 * model.latent.scale + Math.sqrt(1 - alphaBar) * noise;
    });
    expectClose(sample, expected, 1e-5);
  });

  test('has timesteps from the range of the job only', async () => {
    const task = taskOf({ noise: { minTimestep: 100, maxTimestep: 102 } });
    const seen = new Set<number>();
    for (let i = 0; i < 60; i++) for (const timestep of feed(await task.batchAt(i), 'timestep')) seen.add(timestep);
    expect([...seen].sort()).toEqual([100, 101, 102]);
    const all = taskOf();
    const wide: number[] = [];
    for (let i = 0; i < 200; i++) wide.push(...feed(await all.batchAt(i), 'timestep'));
    expect(Math.min(...wide)).toBeLessThan(50);
    expect(Math.max(...wide)).toBeGreaterThan(950);
  });

  test.each([[0, 1000], [1000, undefined]])('timesteps from %s to %s are refused', (minTimestep, maxTimestep) => {
    refusal('job.timesteps', () => taskOf({ noise: { minTimestep, ...(maxTimestep === undefined ? {} : { maxTimestep }) } }));
  });

  test('weighs regularization pictures as the job says', async () => {
    expect(feed(await taskOf({ train: { priorWeight: 0.25 } }).batchAt(0), 'weight')).toEqual([1, 0.25]);
  });

  test('weighs timesteps as the job says', async () => {
    const batch = await taskOf({ objective: { weighting: 'min-snr', minSnrGamma: 2 } }, [example(), example()]).batchAt(3);
    const snr = feed(batch, 'timestep').map((timestep) => alphas[timestep]! / (1 - alphas[timestep]!));
    expectClose(feed(batch, 'weight'), snr.map((value) => Math.min(value, 2) / value), 1e-6);
  });

  test('has noise with an offset per channel', async () => {
    const [plain, offset] = [await taskOf().batchAt(0), await taskOf({ objective: { noiseOffset: 0.5 } }).batchAt(0)];
    const difference = feed(offset, 'target').map((value, i) => value - feed(plain, 'target')[i]!);
    for (let plane = 0; plane < 8; plane++) expectClose(difference.slice(12 * plane, 12 * plane + 12), new Array(12).fill(difference[12 * plane]!), 1e-4);
    expect(new Set(difference.map((value) => value.toFixed(3))).size).toBe(8);
  });

  test('feeds outputs of the text encoders, or ids when those are trained', async () => {
    const [fixed, trained] = [await taskOf().batchAt(0), await taskOf({}, undefined, true).batchAt(0)];
    expect([...fixed.feeds.keys()].sort()).toEqual(['context', 'sample', 'target', 'timestep', 'weight']);
    expect([...trained.feeds.keys()].sort()).toEqual(['end.text_encoder', 'ids.text_encoder', 'sample', 'target', 'timestep', 'weight']);
    expect(trained.feeds.get('ids.text_encoder')!.shape).toEqual([2, 40]);
  });
});

describe('measuring', () => {
  test('is the same whatever the seed and the weights of training', async () => {
    const changed = { train: { seed: 8 }, objective: { weighting: 'min-snr', noiseOffset: 0.5 } } as const;
    const pictures = [example(), example()];
    const [first, second] = [await taskOf({}, pictures).measuringBatches(), await taskOf(changed, pictures).measuringBatches()];
    expect(second.map(({ feeds }) => feeds)).toEqual(first.map(({ feeds }) => feeds));
    for (const batch of first) expect(feed(batch, 'weight')).toEqual([1, 1]);
  });

  test('goes through the whole range of timesteps', async () => {
    const timesteps = (await taskOf().measuringBatches()).flatMap((batch) => feed(batch, 'timestep'));
    expect(timesteps).toEqual([62, 187, 312, 437, 562, 687, 812, 937]);
  });
});

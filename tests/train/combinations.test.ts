// Settings that meet rarely, together: such runs learn, and when they stop at a step and go on they end in the same bytes.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { writePicture, writeText } from '../dataset/pictures.ts';
import { eventsOf, filesOf, jobAt, train, usePlace, type JobChanges } from './run.ts';

const place = usePlace();
const wide = join(place.folder, 'wide');
const prior = join(place.folder, 'prior');

beforeAll(async () => {
  for (const [folder, size, count] of [[wide, [24, 16], 3], [prior, [16, 24], 3]] as const) {
    mkdirSync(folder);
    for (let i = 0; i < count; i++) {
      await writePicture(join(folder, `${i}.png`), size[0], size[1], (x, y) => [(50 * i + 11 * x) % 256, (7 * y * (i + 1)) % 256, 90]);
      writeText(join(folder, `${i}.txt`), `style, blue sky, ${i} lines, wide`);
    }
  }
});

const preview = { every: 2, steps: 2, prompts: ['red stripes', 'blue'], negative: 'green' };
const combinations: Record<string, () => JobChanges> = {
  'prodigy, accumulation, average, restarts': () => ({
    optimizer: { kind: 'prodigy', startDistance: 1e-3 }, schedule: { kind: 'cosine-restarts', cycles: 2, warmup: 1 }, train: { accumulate: 2, ema: 0.8 },
  }),
  'adafactor with its own rate, accumulation, average, dropout, recomputation': () => ({
    adapter: { kind: 'lora', targets: 'linear', rank: 2, alpha: 1, rsLora: true, dropout: 0.3 },
    optimizer: { kind: 'adafactor', relativeStep: true, relativeWarmup: true, beta1: 0.9 }, train: { accumulate: 3, ema: 0.5, checkpointing: true },
  }),
  'text encoders, DoRA per input, exact norm, convolutions, own rate': () => ({
    adapter: { kind: 'dora', targets: 'linear+conv', rank: 2, alpha: 4, axis: 'input', norm: 'exact', textEncoder: true, textEncoderLearningRate: 1e-3, dropout: 0.1 },
    train: { checkpointing: true, ema: 0.9 },
  }),
  'prior preservation, buckets, flip, random crop, shuffled and dropped captions': () => ({
    data: {
      folders: [{ path: place.pictures }, { path: wide, repeats: 2 }, { path: prior, regularization: true }],
      resolution: 16, buckets: { step: 4 }, flip: true, crop: 'random', holdout: 0.2,
      caption: { prefix: 'zkw', dropout: 0.3, shuffle: true, keepTokens: 1 },
    },
    train: { priorWeight: 0.5, batch: 2 },
  }),
  'zero terminal SNR, v, min-SNR, noise offset, rex': () => ({
    noise: { zeroTerminalSnr: true, minTimestep: 10 }, objective: { kind: 'v-prediction', weighting: 'min-snr', minSnrGamma: 5, noiseOffset: 0.1 },
    schedule: { kind: 'rex', warmup: 2 }, optimizer: { kind: 'lion', learningRate: 1e-3 },
  }),
  'the whole model with norms and embeddings': () => ({
    adapter: { kind: 'full', targets: 'all', textEncoder: true }, optimizer: { kind: 'adamw', learningRate: 1e-3 },
    objective: { weighting: 'debiased' }, schedule: { kind: 'linear' }, train: { ema: 0.9, accumulate: 2, checkpointing: true },
  }),
};

describe('a run with', () => {
  test.each(Object.keys(combinations))('%s is the same when it is stopped and goes on', async (name) => {
    const changes = combinations[name]!();
    const job = jobAt(place, { preview, ...changes, train: { steps: 5, keep: 9, saveEvery: 1, ...changes.train } });
    const whole = await train(place, job);
    expect(whole.end).toBe('finished');
    const losses = eventsOf(whole.events, 'step').map(({ loss }) => loss!);
    expect(losses.every(Number.isFinite)).toBe(true);
    expect(new Set(losses).size).toBe(losses.length);
    expect(eventsOf(whole.events, 'verdict').find((one) => one.name === 'movement')).toMatchObject({ ok: true });

    let step = 0;
    const stopped = await train(place, job, {
      control: { shouldStop: () => step >= 2 },
      onEvent: (event) => { if (event.kind === 'step') step = event.step; },
    });
    expect(stopped.end).toBe('interrupted');
    expect((await train(place, job, { runFolder: stopped.folder, resume: true })).end).toBe('finished');
    const files = filesOf(whole.folder);
    expect(Object.keys(files).filter((file) => file.startsWith('exports')).length).toBeGreaterThan(0);
    expect(Object.keys(files).filter((file) => file.startsWith('samples')).length).toBeGreaterThanOrEqual(6);
    expect(filesOf(stopped.folder)).toEqual(files);
  });
});

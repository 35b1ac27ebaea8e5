// Rates by step, and steps that an optimizer does not count.
import { expect, test } from 'vitest';
import { optimizers } from '../../src-main/catalog/optimizers/index.ts';
import { defaultSettings } from '../../src-main/contract/fields.ts';
import { ratesAt, stillSteps } from '../../src-main/train/rates.ts';
import { runToy, toyJob } from './toy.ts';

test('the first step of a warm-up stands still', () => {
  const job = toyJob({ schedule: { kind: 'linear', warmup: 4 } });
  expect([1, 2, 3].map((step) => ratesAt(job, step).rate / 0.02)).toEqual([0, 0.25, 0.5]);
  expect([1, 2, 8].map((step) => stillSteps(job, step))).toEqual([1, 1, 1]);
  expect(stillSteps(toyJob(), 5)).toBe(0);
});

test('Prodigy counts from the first step that is one', () => {
  const settings = defaultSettings(optimizers.prodigy.fields);
  expect(optimizers.prodigy.scalars(2, 0.5, settings, 1)).toEqual(optimizers.prodigy.scalars(1, 0.5, settings));
  expect(optimizers.prodigy.scalars(2, 0.5, settings)).not.toEqual(optimizers.prodigy.scalars(1, 0.5, settings));
  expect(optimizers.adamw.scalars(2, 0.5, defaultSettings(optimizers.adamw.fields))).toMatchObject({ step_size: expect.closeTo(0.5 / (1 - 0.9 ** 2), 8) as number });
});

test('a warm-up of Prodigy in the loop', async () => {
  // With one step of warm-up the second step is Prodigy's first: at the same batch, the same as a run without.
  const prodigy = { kind: 'prodigy', learningRate: 1, weightDecay: 0 } as const;
  const seen: number[] = [];
  const scalars = optimizers.prodigy.scalars;
  Object.assign(optimizers.prodigy, { scalars: (step: number, rate: number, settings: never, still = 0) => { if (rate > 0) seen.push(step - still); return scalars(step, rate, settings, still); } });
  try {
    await runToy({ job: toyJob({ optimizer: prodigy, schedule: { kind: 'constant', warmup: 1 }, train: { steps: 4 } }) }).catch(() => undefined);
  } finally {
    Object.assign(optimizers.prodigy, { scalars });
  }
  expect([...new Set(seen)].filter((step) => step > 0)).toEqual([1, 2, 3]);
});

// Noise schedules, objectives and their weights against diffusers and the papers' formulas.
import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { NoiseSettings } from '../../src-main/catalog/define/family.ts';
import { alphasCumprodOf, diffuse } from '../../src-main/catalog/define/noise.ts';
import { objectiveFor, objectives } from '../../src-main/catalog/objectives/index.ts';
import { readGolden, relativeError } from '../nn/golden.ts';

const scaledLinear: NoiseSettings = { steps: 1000, betaSchedule: 'scaled_linear', betaStart: 0.00085, betaEnd: 0.012, prediction: 'epsilon', zeroTerminalSnr: false };
const plain = { minSnrGamma: 0, debiased: false };

test('the list of objectives and the folder agree', () => {
  const files = readdirSync('src-main/catalog/objectives', { withFileTypes: true }).filter((entry) => entry.isFile() && entry.name !== 'index.ts').map(({ name }) => name.slice(0, -3));
  expect(Object.keys(objectives).sort()).toEqual(files.sort());
});

describe('noise schedules', () => {
  const golden = readGolden('schedulers', 'alphas.safetensors');
  const cases: NoiseSettings[] = [scaledLinear, { ...scaledLinear, betaSchedule: 'linear', betaStart: 1e-4, betaEnd: 2e-2 }, { ...scaledLinear, betaSchedule: 'squaredcos_cap_v2' }];

  test.each(cases)('$betaSchedule', (settings) => {
    const expected = golden.data(`${settings.betaSchedule}.alphas_cumprod`);
    const alphas = alphasCumprodOf(settings);
    // Each value by its own size, for the last ones are small; f32 products of 1000 factors.
    expected.forEach((value, t) => expect(Math.abs(alphas[t]! / value - 1), `t = ${t}`).toBeLessThan(1e-4));
  });

  test.each(cases)('$betaSchedule with zero terminal SNR', (settings) => {
    const expected = golden.data(`${settings.betaSchedule}.zero_terminal_snr.alphas_cumprod`);
    const alphas = alphasCumprodOf({ ...settings, zeroTerminalSnr: true });
    expect(alphas.at(-1)).toBe(0);
    expect(alphas[0]).toBeCloseTo(alphasCumprodOf(settings)[0]!, 12);
    expect(relativeError(alphas, expected)).toBeLessThan(1e-5);
  });

  test('falls in (0, 1) all the way', () => {
    for (const settings of cases) {
      const alphas = alphasCumprodOf(settings);
      alphas.forEach((value, t) => {
        expect(value).toBeGreaterThan(0);
        expect(value).toBeLessThan(t === 0 ? 1 : alphas[t - 1]!);
      });
    }
  });

  test('a schedule of one step has a number', () => {
    for (const settings of cases) expect(alphasCumprodOf({ ...settings, steps: 1 })[0]).toBeGreaterThan(0);
  });
});

describe.each(['', '.zero_terminal_snr'])('adding noise%s', (suffix) => {
  const golden = readGolden('schedulers', 'add_noise.safetensors');
  const alphas = alphasCumprodOf({ ...scaledLinear, zeroTerminalSnr: suffix !== '' });
  const timesteps = [...golden.data('timesteps')];
  const rows = (name: string): Float32Array[] => {
    const data = golden.data(name);
    const size = data.length / timesteps.length;
    return timesteps.map((_, i) => Float32Array.from(data.subarray(i * size, (i + 1) * size)));
  };
  const [clean, noise, noisy, velocity] = [rows('x0'), rows('noise'), rows(`noisy${suffix}`), rows(`velocity${suffix}`)];

  test('noisy latents, targets of epsilon and of v', () => {
    timesteps.forEach((timestep, i) => {
      const alphaBar = alphas[timestep]!;
      const epsilon = objectives.epsilon.sample(clean[i]!, noise[i]!, alphaBar);
      const v = objectives['v-prediction'].sample(clean[i]!, noise[i]!, alphaBar);
      expect(relativeError(epsilon.noisy, noisy[i]!)).toBeLessThan(1e-5);
      expect(v.noisy).toEqual(epsilon.noisy);
      expect(epsilon.target).toEqual(noise[i]);
      expect(relativeError(v.target, velocity[i]!)).toBeLessThan(1e-5);
    });
  });

  test.each(Object.keys(objectives))('%s: the right answer leads back to the clean latent', (id) => {
    const objective = objectiveFor(id);
    timesteps.forEach((timestep, i) => {
      const alphaBar = alphas[timestep]!;
      if (alphaBar === 0 && id === 'epsilon') return;
      const { noisy: seen, target } = objective.sample(clean[i]!, noise[i]!, alphaBar);
      expect(relativeError(objective.toClean(seen, target, alphaBar), clean[i]!)).toBeLessThan(1e-5);
    });
  });
});

test('at pure noise epsilon says nothing of the picture, and its estimate is finite', () => {
  const noise = Float32Array.of(0.3, -1.2, 2);
  const { noisy } = objectives.epsilon.sample(Float32Array.of(1, 2, 3), noise, 0);
  expect(noisy).toEqual(noise);
  expect([...objectives.epsilon.toClean(noisy, Float32Array.of(0, 0.1, 0), 0)].every(Number.isFinite)).toBe(true);
});

describe('weights', () => {
  const golden = readGolden('schedulers', 'loss_weights.safetensors');
  const alphas = alphasCumprodOf(scaledLinear);
  const zero = alphasCumprodOf({ ...scaledLinear, zeroTerminalSnr: true });
  // Recorded from ᾱ in f32, whose 1 − ᾱ is 3.5e-5 off at t = 0.
  const close = (actual: number, expected: number): void => expect(Math.abs(actual - expected)).toBeLessThanOrEqual(1e-4 * Math.abs(expected));

  test.each([1, 5, 20])('min-SNR, gamma %i', (minSnrGamma) => {
    golden.data(`min_snr_epsilon.${minSnrGamma}`).forEach((expected, t) => close(objectives.epsilon.weight(alphas[t]!, { ...plain, minSnrGamma }), expected));
    golden.data(`min_snr_v.${minSnrGamma}`).forEach((expected, t) => close(objectives['v-prediction'].weight(alphas[t]!, { ...plain, minSnrGamma }), expected));
    golden.data(`min_snr_v.${minSnrGamma}.zero_terminal_snr`).forEach((expected, t) => close(objectives['v-prediction'].weight(zero[t]!, { ...plain, minSnrGamma }), expected));
  });

  test('debiased', () => {
    golden.data('debiased_epsilon').forEach((expected, t) => close(objectives.epsilon.weight(alphas[t]!, { ...plain, debiased: true }), expected));
    golden.data('snr').forEach((snr, t) => close(objectives['v-prediction'].weight(alphas[t]!, { ...plain, debiased: true }), 1 / (snr + 1)));
  });

  test.each(Object.keys(objectives))('%s: 1 without settings; finite and not negative at both ends of any schedule', (id) => {
    const objective = objectiveFor(id);
    for (const alphaBar of [0, 1e-30, 0.5, 1 - 1e-9, 1]) {
      expect(objective.weight(alphaBar, plain)).toBe(1);
      for (const settings of [{ minSnrGamma: 5, debiased: false }, { minSnrGamma: 0, debiased: true }, { minSnrGamma: 5, debiased: true }]) {
        const weight = objective.weight(alphaBar, settings);
        expect(Number.isFinite(weight) && weight >= 0, `${alphaBar} ${JSON.stringify(settings)}: ${weight}`).toBe(true);
      }
    }
  });
});

test('objectives are found as jobs and as scheduler configurations name them', () => {
  expect(objectiveFor('v_prediction')).toBe(objectives['v-prediction']);
  expect(objectiveFor('epsilon')).toBe(objectives.epsilon);
  expect(() => objectiveFor('constructor')).toThrow(/no objective/);
});

test('noise keeps the variance of a latent of unit variance', () => {
  for (const alphaBar of [0, 0.2, 0.9, 1]) expect([...diffuse(Float32Array.of(1, 0), Float32Array.of(0, 1), alphaBar)].reduce((sum, value) => sum + value * value, 0)).toBeCloseTo(1, 6);
});

// Full loops of the samplers against diffusers on a closed-form model, and what must hold for any model.
import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { NoiseSettings, Prediction } from '../../src-main/catalog/define/family.ts';
import type { SamplerRun } from '../../src-main/catalog/define/sampler.ts';
import { alphasCumprodOf } from '../../src-main/catalog/define/noise.ts';
import { objectiveFor } from '../../src-main/catalog/objectives/index.ts';
import { samplers } from '../../src-main/catalog/samplers/index.ts';
import { readGolden, relativeError } from '../nn/golden.ts';

const stableDiffusion: NoiseSettings = { steps: 1000, betaSchedule: 'scaled_linear', betaStart: 0.00085, betaEnd: 0.012, prediction: 'epsilon', zeroTerminalSnr: false };
const numbers = (seed: number, size: number): Float32Array => Float32Array.from({ length: size }, (_, i) => 1.4 * Math.sin(seed * 12.9898 + i * 7.233));

test('the list of samplers and the folder agree', () => {
  const files = readdirSync('src-main/catalog/samplers', { withFileTypes: true }).filter((entry) => entry.isFile() && entry.name !== 'index.ts').map(({ name }) => name.slice(0, -3));
  expect(Object.keys(samplers).sort()).toEqual(files.sort());
});

const STEPS = 7;
const recorded: [file: string, id: string, prediction: Prediction, zeroTerminalSnr: boolean][] = [
  ...Object.entries({ ddim: 'ddim', euler: 'euler', 'euler-ancestral': 'euler_ancestral', 'dpmpp-2m-karras': 'dpmpp_2m_karras' }).flatMap(([id, name]) => [
    [`${name}_e_leading`, id, 'epsilon', false] as [string, string, Prediction, boolean],
    [`${name}_v_leading`, id, 'v_prediction', false] as [string, string, Prediction, boolean],
  ]),
  ['ddim_v_trailing_ztsnr', 'ddim', 'v_prediction', true],
  ['euler_v_trailing_ztsnr', 'euler', 'v_prediction', true],
];

test('every sampler has a recorded loop of each prediction', () => {
  expect([...new Set(recorded.map(([, id]) => id))].sort()).toEqual(Object.keys(samplers).sort());
});

test.each(recorded)('%s', (file, id, prediction, zeroTerminalSnr) => {
  const golden = readGolden('schedulers', `${file}.safetensors`);
  const f32 = (name: string): Float32Array => Float32Array.from(golden.data(name));
  const run = samplers[id]!.start({ alphasCumprod: alphasCumprodOf({ ...stableDiffusion, zeroTerminalSnr }), prediction, steps: STEPS });
  expect(run.timesteps).toEqual([...golden.data('timesteps')]);
  expect(Math.abs(run.initialSigma / golden.data('init_noise_sigma')[0]! - 1)).toBeLessThan(1e-5);
  const cond = golden.data('cond');
  let x: Float32Array = f32('init');
  // A step from σ = 4096 to 9 in f32, as recorded, leaves the rounding of the large latent in the small one.
  const tolerance = id === 'euler' && zeroTerminalSnr ? 1e-4 : 1e-5;
  let calls = 0;
  run.timesteps.forEach((timestep, i) => {
    const given = run.modelInput(x, i);
    expect(relativeError(given, golden.data(`input.${i}`)), `input ${i}`).toBeLessThan(tolerance);
    const answer = given.map((value, k) => 0.1 * value * Math.sin(timestep / 1000) + 0.05 * cond[k]!);
    calls++;
    x = run.step(answer, x, i, () => f32(`noise.${i}`));
    expect(relativeError(x, golden.data(`x.${i}`)), `x ${i}`).toBeLessThan(tolerance);
  });
  expect(calls).toBe(STEPS);
});

/** Paints with a model that always knows the clean latent; the rest of its input is noise to it. */
function paint(run: SamplerRun, prediction: Prediction, alphasCumprod: Float64Array, clean: Float32Array): Float32Array {
  const objective = objectiveFor(prediction);
  let x: Float32Array = numbers(3, clean.length).map((value) => value * run.initialSigma);
  run.timesteps.forEach((timestep, i) => {
    const alphaBar = Math.max(alphasCumprod[timestep]!, 2 ** -24);
    const given = run.modelInput(x, i);
    const noise = given.map((value, k) => (value - Math.sqrt(alphaBar) * clean[k]!) / Math.sqrt(1 - alphaBar));
    x = run.step(objective.sample(clean, noise, alphaBar).target, x, i, () => numbers(50 + i, clean.length));
  });
  return x;
}

describe.each(Object.keys(samplers))('%s', (id) => {
  test.each([['epsilon', false], ['v_prediction', false], ['v_prediction', true]] as const)('a model that knows the picture gets it: %s, zero terminal SNR %s', (prediction, zeroTerminalSnr) => {
    const alphasCumprod = alphasCumprodOf({ ...stableDiffusion, zeroTerminalSnr });
    const clean = numbers(1, 24);
    // In one step DDIM would begin at t = 1, as diffusers does.
    for (const steps of id === 'ddim' ? [2, 5, 20, 50] : [1, 2, 5, 20, 50]) {
      const run = samplers[id]!.start({ alphasCumprod, prediction, steps });
      expect(run.timesteps.length).toBe(steps);
      const picture = paint(run, prediction, alphasCumprod, clean);
      // DDIM stops at the first noise level (σ = 0.03). DPM++ asks at rounded timesteps.
      expect(relativeError(picture, clean), `${steps} steps`).toBeLessThan(id === 'ddim' ? 0.05 : id === 'dpmpp-2m-karras' ? 0.02 : 2e-3);
    }
  });

  test('timesteps fall within the schedule; as many as it has are possible, more are refused', () => {
    for (const zeroTerminalSnr of [false, true]) {
      const alphasCumprod = alphasCumprodOf({ ...stableDiffusion, steps: 40, zeroTerminalSnr });
      for (const steps of [1, 3, 7, 39, 40]) {
        const { timesteps } = samplers[id]!.start({ alphasCumprod, prediction: 'v_prediction', steps });
        timesteps.forEach((timestep, i) => {
          expect(timestep).toBeGreaterThanOrEqual(0);
          expect(timestep).toBeLessThan(i === 0 ? 40 : timesteps[i - 1]! + (id === 'dpmpp-2m-karras' ? 1 : 0));
        });
        if (zeroTerminalSnr) expect(timesteps[0]).toBe(39);
      }
      expect(() => samplers[id]!.start({ alphasCumprod, prediction: 'epsilon', steps: 41 })).toThrow(/41 steps/);
    }
  });

  test('a schedule that begins without noise and ends without picture gives numbers', () => {
    const alphasCumprod = alphasCumprodOf({ ...stableDiffusion, steps: 20, betaStart: 0, zeroTerminalSnr: true });
    expect([alphasCumprod[0], alphasCumprod.at(-1)]).toEqual([1, 0]);
    for (const prediction of ['epsilon', 'v_prediction'] as const) {
      for (const steps of [1, 3, 20]) {
        const run = samplers[id]!.start({ alphasCumprod, prediction, steps });
        expect(run.timesteps.every(Number.isFinite), `timesteps of ${steps}`).toBe(true);
        let x: Float32Array = numbers(2, 8).map((value) => value * run.initialSigma);
        for (let i = 0; i < steps; i++) x = run.step(run.modelInput(x, i), x, i, () => numbers(4, 8));
        expect(x.every(Number.isFinite), `${prediction}, ${steps} steps`).toBe(true);
      }
    }
  });

  test('two runs of one setup do not know of each other, and inputs are left alone', () => {
    const setup = { alphasCumprod: alphasCumprodOf(stableDiffusion), prediction: 'epsilon' as const, steps: 4 };
    const go = (run: SamplerRun, x: Float32Array, i: number): Float32Array => run.step(numbers(i, 6), x, i, () => numbers(9 + i, 6));
    const alone = samplers[id]!.start(setup);
    const [first, second] = [samplers[id]!.start(setup), samplers[id]!.start(setup)];
    const start = numbers(7, 6);
    let [x, a, b] = [start, start, numbers(8, 6)];
    for (let i = 0; i < 4; i++) {
      x = go(alone, x, i);
      [a, b] = [go(first, a, i), go(second, b, i)];
    }
    expect(a).toEqual(x);
    expect(b).not.toEqual(x);
    expect(start).toEqual(numbers(7, 6));
  });
});

test('trailing timesteps are rounded as numpy does it, halves to even', () => {
  const alphasCumprod = alphasCumprodOf({ ...stableDiffusion, zeroTerminalSnr: true });
  expect(samplers['ddim']!.start({ alphasCumprod, prediction: 'v_prediction', steps: 16 }).timesteps)
    .toEqual([999, 937, 874, 811, 749, 687, 624, 561, 499, 437, 374, 311, 249, 187, 124, 61]);
});

test('only the ancestral sampler draws noise, and not in its last step', () => {
  const drawn = Object.keys(samplers).map((id) => {
    const run = samplers[id]!.start({ alphasCumprod: alphasCumprodOf(stableDiffusion), prediction: 'epsilon', steps: 5 });
    let count = 0;
    let x = numbers(1, 4);
    for (let i = 0; i < 5; i++) x = run.step(numbers(i, 4), x, i, () => (count++, numbers(i, 4)));
    return [id, count];
  });
  expect(Object.fromEntries(drawn)).toEqual({ ddim: 0, 'dpmpp-2m-karras': 0, euler: 0, 'euler-ancestral': 4 });
});

// The diffusion process of training: x_t = √ᾱ_t · x_0 + √(1 − ᾱ_t) · noise, and what a model's answer says about x_0.
// SNR(t) = ᾱ_t / (1 − ᾱ_t)
import type { NoiseSettings, Prediction } from './family.ts';

/** Largest beta of the cosine schedule; without it the last one would be 1. */
const LARGEST_COSINE_BETA = 0.999;

/** Stands for ᾱ = 0 where it would be divided by. As in diffusers. */
export const SMALLEST_ALPHA_BAR = 2 ** -24;

/**
 * ᾱ_t for t = 0 ... steps − 1, falling. Schedules as in diffusers: `linear` betas (arXiv 2006.11239), `scaled_linear`
 * linear in √β (Stable Diffusion), `squaredcos_cap_v2` (arXiv 2102.09672; ignores both betas). With zero terminal SNR
 * √ᾱ is shifted and scaled so that the last value is exactly 0 and the first stays (arXiv 2305.08891, algorithm 1).
 */
export function alphasCumprodOf(settings: NoiseSettings): Float64Array {
  const { steps, zeroTerminalSnr } = settings;
  const alphasCumprod = new Float64Array(steps);
  let product = 1;
  for (let t = 0; t < steps; t++) {
    product *= 1 - betaAt(settings, t);
    alphasCumprod[t] = product;
  }
  return zeroTerminalSnr ? withZeroTerminalSnr(alphasCumprod) : alphasCumprod;
}

function betaAt({ steps, betaStart, betaEnd, betaSchedule }: NoiseSettings, t: number): number {
  const part = steps === 1 ? 0 : t / (steps - 1);
  switch (betaSchedule) {
    case 'linear': return betaStart + (betaEnd - betaStart) * part;
    case 'scaled_linear': return (Math.sqrt(betaStart) + (Math.sqrt(betaEnd) - Math.sqrt(betaStart)) * part) ** 2;
    case 'squaredcos_cap_v2':
      return Math.min(1 - cosineAlphaBar((t + 1) / steps) / cosineAlphaBar(t / steps), LARGEST_COSINE_BETA);
    default: return betaSchedule satisfies never;
  }
}

const cosineAlphaBar = (time: number): number => Math.cos(((time + 0.008) / 1.008) * (Math.PI / 2)) ** 2;

function withZeroTerminalSnr(alphasCumprod: Float64Array): Float64Array {
  const first = Math.sqrt(alphasCumprod[0]!);
  const last = Math.sqrt(alphasCumprod.at(-1)!);
  // A schedule of one step is its own last.
  const scale = first > last ? first / (first - last) : 0;
  return alphasCumprod.map((value) => ((Math.sqrt(value) - last) * scale) ** 2);
}

/** a · x + b · y, element by element. */
export function combine(a: number, x: Float32Array, b: number, y: Float32Array): Float32Array {
  return x.map((value, i) => a * value + b * y[i]!);
}

/** x_t of a clean latent. */
export const diffuse = (clean: Float32Array, noise: Float32Array, alphaBar: number): Float32Array =>
  combine(Math.sqrt(alphaBar), clean, Math.sqrt(1 - alphaBar), noise);

/**
 * The estimate of x_0 is `sample` · x_t + `answer` · (what the model answers). At ᾱ = 0 an answer of kind epsilon
 * says nothing about x_0; ᾱ counts as SMALLEST_ALPHA_BAR there, so that numbers stay finite.
 */
export function cleanFactors(prediction: Prediction, alphaBar: number): { readonly sample: number; readonly answer: number } {
  const deviation = Math.sqrt(1 - alphaBar);
  switch (prediction) {
    case 'epsilon': {
      const amplitude = Math.sqrt(Math.max(alphaBar, SMALLEST_ALPHA_BAR));
      return { sample: 1 / amplitude, answer: -deviation / amplitude };
    }
    case 'v_prediction': return { sample: Math.sqrt(alphaBar), answer: -deviation };
    default: return prediction satisfies never;
  }
}

/** Estimate of x_0 from x_t and the model's answer. */
export function cleanOf(prediction: Prediction, noisy: Float32Array, answer: Float32Array, alphaBar: number): Float32Array {
  const factors = cleanFactors(prediction, alphaBar);
  return combine(factors.sample, noisy, factors.answer, answer);
}

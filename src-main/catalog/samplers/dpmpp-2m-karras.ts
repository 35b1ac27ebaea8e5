// DPM-Solver++(2M) (arXiv 2211.01095, algorithm 2) on noise levels spaced as arXiv 2206.00364, equation 5.
import type { Sampler } from '../define/sampler.ts';
import { cleanFactors } from '../define/noise.ts';
import { alphaBarOf, checkSteps, sigmasOf } from '../define/timesteps.ts';

/** Exponent of the spacing: more steps at low noise the higher it is. */
const RHO = 7;

export const dpmpp2mKarras: Sampler = {
  label: 'DPM++ 2M Karras',
  help: 'Good pictures in few steps; the same noise gives the same picture.',
  elsewhere: { infotext: 'DPM++ 2M', node: 'dpmpp_2m', levels: 'karras' },
  start: ({ alphasCumprod, prediction, steps }) => {
    checkSteps(alphasCumprod.length, steps);
    const known = sigmasOf(alphasCumprod);
    const sigmas = [...karrasSigmas(known[0]!, known.at(-1)!, steps), 0];
    // λ = −log σ grows from step to step; the last λ is infinite.
    const lambda = (i: number): number => -Math.log(sigmas[i]!);
    const amplitude = (i: number): number => Math.sqrt(alphaBarOf(sigmas[i]!));
    let before: Float32Array | null = null;
    return {
      timesteps: sigmas.slice(0, -1).map((sigma) => Math.round(timestepOf(sigma, known))),
      initialSigma: 1,
      modelInput: (x) => x,
      step: (answer, x, i) => {
        const factors = cleanFactors(prediction, alphaBarOf(sigmas[i]!));
        const x0 = x.map((value, k) => factors.sample * value + factors.answer * answer[k]!);
        const shrink = sigmas[i + 1]! / sigmas[i]!;
        // How far x_0 is extrapolated beyond the latest two estimates; the first and the last step are of first order.
        const isFirstOrder = before === null || i === steps - 1;
        const extra = isFirstOrder ? 0 : (lambda(i + 1) - lambda(i)) / (lambda(i) - lambda(i - 1)) / 2;
        const earlier = before ?? x0;
        before = x0;
        const keep = shrink * amplitude(i + 1) / amplitude(i);
        const take = (1 - shrink) * amplitude(i + 1);
        return x.map((value, k) => keep * value + take * (x0[k]! + extra * (x0[k]! - earlier[k]!)));
      },
    };
  },
};

/** Falling from `largest` to `smallest`, evenly spaced in σ^(1/ρ). */
function karrasSigmas(smallest: number, largest: number, steps: number): number[] {
  const [from, to] = [largest ** (1 / RHO), smallest ** (1 / RHO)];
  return Array.from({ length: steps }, (_, i) => (from + (steps === 1 ? 0 : i / (steps - 1)) * (to - from)) ** RHO);
}

/** The (fractional) timestep of a noise level: linear in log σ between those of the ascending `known` levels. */
function timestepOf(sigma: number, known: Float64Array): number {
  let above = known.findIndex((level) => level > sigma);
  if (above === -1) above = known.length - 1;
  const low = Math.max(above - 1, 0);
  if (low === above) return low;
  const part = Math.log(sigma / known[low]!) / Math.log(known[above]! / known[low]!);
  return low + Math.min(Math.max(part, 0), 1);
}

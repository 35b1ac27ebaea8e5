// Which timesteps a sampler visits, and the schedule in terms of sigma = √((1 − ᾱ) / ᾱ).
import { UserError } from '../../base/errors.ts';
import type { AlphasCumprod } from './sampler.ts';
import { SMALLEST_ALPHA_BAR } from './noise.ts';

/** Stable Diffusion's scheduler configurations shift the visited timesteps by this. */
const LEADING_OFFSET = 1;

/**
 * `steps` timesteps, descending, spaced as diffusers does it: `leading` with an offset of 1, as Stable Diffusion's own
 * configurations say; `trailing` where the last timestep is pure noise, for a sampler has to begin right there
 * (arXiv 2305.08891, section 3.3). Error: `picture.steps` when there are fewer timesteps than steps.
 */
export function timestepsOf(alphasCumprod: AlphasCumprod, steps: number): number[] {
  const total = alphasCumprod.length;
  checkSteps(total, steps);
  if (alphasCumprod.at(-1) === 0) {
    return Array.from({ length: steps }, (_, i) => roundHalfEven(total - i * (total / steps)) - 1);
  }
  const ratio = Math.floor(total / steps);
  // With as many steps as timesteps there is no room for the offset.
  const offset = Math.min(LEADING_OFFSET, total - 1 - (steps - 1) * ratio);
  return Array.from({ length: steps }, (_, i) => (steps - 1 - i) * ratio + offset);
}

export function checkSteps(total: number, steps: number): void {
  if (steps > total) {
    throw new UserError('picture.steps', `A picture cannot be painted in ${steps} steps: this model has ${total} timesteps.`, { steps, total });
  }
}

/** Sigma at each timestep of training, ascending; finite and above 0 also where all is noise or nothing is. */
export const sigmasOf = (alphasCumprod: AlphasCumprod): Float64Array =>
  alphasCumprod.map((alphaBar) => {
    const value = alphaBar === 0 ? SMALLEST_ALPHA_BAR : Math.min(alphaBar, 1 - SMALLEST_ALPHA_BAR);
    return Math.sqrt((1 - value) / value);
  });

/** ᾱ of a sigma. */
export const alphaBarOf = (sigma: number): number => 1 / (sigma * sigma + 1);

/** As numpy rounds: halves go to the even neighbour. */
function roundHalfEven(value: number): number {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

// What the Euler samplers share: latents are x_0 + σ · noise, not scaled down, with σ = √((1 − ᾱ) / ᾱ)
// (arXiv 2206.00364).
import type { SamplerRun, SamplerSetup } from './sampler.ts';
import { cleanFactors } from './noise.ts';
import { alphaBarOf, sigmasOf, timestepsOf } from './timesteps.ts';

export interface SigmaSpace extends Omit<SamplerRun, 'step'> {
  /** Of each step, and 0 at the end. */
  readonly sigmas: readonly number[];
  /** Factors of the latent and of the model's answer in the estimate of x_0 at step i. */
  clean(i: number): { readonly sample: number; readonly answer: number };
}

export function sigmaSpace({ alphasCumprod, prediction, steps }: SamplerSetup): SigmaSpace {
  const timesteps = timestepsOf(alphasCumprod, steps);
  const known = sigmasOf(alphasCumprod);
  const sigmas = [...timesteps.map((timestep) => known[timestep]!), 0];
  // Length of a latent of unit variance at noise level sigma.
  const length = (i: number): number => Math.hypot(sigmas[i]!, 1);
  return {
    timesteps,
    sigmas,
    initialSigma: length(0),
    modelInput: (x, i) => x.map((value) => value / length(i)),
    clean: (i) => {
      const factors = cleanFactors(prediction, alphaBarOf(sigmas[i]!));
      return { sample: factors.sample / length(i), answer: factors.answer };
    },
  };
}

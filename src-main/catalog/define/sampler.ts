// A sampler turns noise into a latent by asking the model for predictions. Plain arithmetic on small arrays: no graph.
import type { Prediction } from './family.ts';

/** ᾱ_t of the training schedule, t = 0 ... steps − 1. */
export type AlphasCumprod = Float64Array;

export interface SamplerSetup {
  readonly alphasCumprod: AlphasCumprod;
  readonly prediction: Prediction;
  /** Number of model calls. */
  readonly steps: number;
}

/**
 * One sampling run. Arrays are latents in the sampler's own scale, all of the same length. Steps are taken once each and
 * in order, for a run may remember earlier answers.
 */
export interface SamplerRun {
  /** Timesteps at which the model is asked, descending; may be fractional. */
  readonly timesteps: readonly number[];
  /** What standard normal noise is multiplied by to be the first latent. */
  readonly initialSigma: number;
  /** What the model is shown at step i. */
  modelInput(x: Float32Array, i: number): Float32Array;
  /** Latent after step i. `noise` gives fresh standard normal numbers (ancestral samplers). */
  step(modelOutput: Float32Array, x: Float32Array, i: number, noise: () => Float32Array): Float32Array;
}

/** `timesteps`: those of training at even distances (`timestepsOf`); `karras`: evenly spaced in σ^(1/7). */
export type NoiseLevels = 'timesteps' | 'karras';

/**
 * What other programs call noise levels: A1111 since its version 1.10. Even timesteps are theirs one by one where the
 * number of steps divides that of the timesteps, which is 1000.
 */
export function levelNames(levels: NoiseLevels, { zeroTerminalSnr }: { readonly zeroTerminalSnr: boolean }): { readonly infotext: string; readonly node: string } {
  if (levels === 'karras') return { infotext: 'Karras', node: 'karras' };
  return zeroTerminalSnr ? { infotext: 'Simple', node: 'simple' } : { infotext: 'DDIM', node: 'ddim_uniform' };
}

export interface Sampler {
  readonly label: string;
  readonly help: string;
  /** What other programs call it: as pictures of A1111 name it, in nodes of ComfyUI, and the noise levels it visits. */
  readonly elsewhere: {
    readonly infotext: string;
    readonly node: string;
    readonly levels: NoiseLevels;
  };
  start(setup: SamplerSetup): SamplerRun;
}

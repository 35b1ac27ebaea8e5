// What the denoiser is trained to predict. Plain arithmetic on the latents of one batch: no graph.
import type { Fields, SettingsOf } from '../../contract/fields.ts';

export interface ObjectiveSample {
  /** What the model sees. */
  readonly noisy: Float32Array;
  /** What it should answer. */
  readonly target: Float32Array;
}

export interface Objective<F extends Fields = Fields> {
  readonly label: string;
  readonly help: string;
  readonly fields: F;
  /** @param clean latents in the denoiser's units; @param alphaBar ᾱ at the timestep */
  sample(clean: Float32Array, noise: Float32Array, alphaBar: number): ObjectiveSample;
  /** Weight of the squared error at this timestep. */
  weight(alphaBar: number, settings: SettingsOf<F>): number;
  /** Estimate of the clean latent from the model's answer. */
  toClean(noisy: Float32Array, answer: Float32Array, alphaBar: number): Float32Array;
}

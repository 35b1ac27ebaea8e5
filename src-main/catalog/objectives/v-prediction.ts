// v prediction (arXiv 2202.00512): v = √ᾱ · noise − √(1 − ᾱ) · clean, which means something even where all is noise.
import { cleanOf, combine, diffuse } from '../define/noise.ts';
import type { Objective } from '../define/objective.ts';
import { weightingFields } from '../define/weighting.ts';

export const vPrediction: Objective<typeof weightingFields> = {
  label: 'Velocity (v)',
  help: 'The model answers with a mix of noise and picture. Stable Diffusion 2.x at 768 pixels and v models of XL.',
  fields: weightingFields,
  sample: (clean, noise, alphaBar) => ({
    noisy: diffuse(clean, noise, alphaBar),
    target: combine(Math.sqrt(alphaBar), noise, -Math.sqrt(1 - alphaBar), clean),
  }),
  weight: (alphaBar, { minSnrGamma, debiased }) => {
    let weight = 1;
    // min(SNR, γ) / (SNR + 1) (arXiv 2303.09556) with SNR = ᾱ / (1 − ᾱ).
    if (minSnrGamma > 0) weight *= Math.min(alphaBar, minSnrGamma * (1 - alphaBar));
    // 1 / (SNR + 1), as kohya's scripts do for v.
    if (debiased) weight *= 1 - alphaBar;
    return weight;
  },
  toClean: (noisy, answer, alphaBar) => cleanOf('v_prediction', noisy, answer, alphaBar),
};

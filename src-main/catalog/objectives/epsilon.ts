// Epsilon prediction (arXiv 2006.11239): the answer is the noise that was added.
import { cleanOf, diffuse } from '../define/noise.ts';
import type { Objective } from '../define/objective.ts';
import { weightingFields } from '../define/weighting.ts';

/** Debiased weights grow without bound towards pure noise; an SNR below this counts as this (a weight of 31.6). */
const SMALLEST_SNR = 1e-3;

export const epsilon: Objective<typeof weightingFields> = {
  label: 'Noise (epsilon)',
  help: 'The model answers with the noise in a picture. Stable Diffusion 1.x, 2.x base and XL.',
  fields: weightingFields,
  sample: (clean, noise, alphaBar) => ({ noisy: diffuse(clean, noise, alphaBar), target: noise.slice() }),
  weight: (alphaBar, { minSnrGamma, debiased }) => {
    let weight = 1;
    // min(SNR, γ) / SNR (arXiv 2303.09556), written so that both ends of the schedule give a number: γ / 0 counts as 1.
    if (minSnrGamma > 0) weight *= Math.min(1, (minSnrGamma * (1 - alphaBar)) / alphaBar);
    // 1 / √SNR (arXiv 2310.08442).
    if (debiased) weight *= Math.sqrt(Math.min((1 - alphaBar) / alphaBar, 1 / SMALLEST_SNR));
    return weight;
  },
  toClean: (noisy, answer, alphaBar) => cleanOf('epsilon', noisy, answer, alphaBar),
};

// DDIM (arXiv 2010.02502) without added noise: each step goes to the next noise level along the predicted direction.
import type { Sampler } from '../define/sampler.ts';
import { cleanFactors } from '../define/noise.ts';
import { timestepsOf } from '../define/timesteps.ts';

export const ddim: Sampler = {
  label: 'DDIM',
  help: 'Plain and even; the same noise gives the same picture.',
  elsewhere: { infotext: 'DDIM', node: 'ddim', levels: 'timesteps' },
  start: ({ alphasCumprod, prediction, steps }) => {
    const timesteps = timestepsOf(alphasCumprod, steps);
    const stride = Math.floor(alphasCumprod.length / steps);
    // One stride on, as in diffusers: with trailing timesteps that may be one off the next one. Ends at ᾱ_0, not at 1,
    // as Stable Diffusion's configurations say.
    const alphaBarAfter = (timestep: number): number => alphasCumprod[Math.max(timestep - stride, 0)]!;
    return {
      timesteps,
      initialSigma: 1,
      modelInput: (x) => x,
      step: (answer, x, i) => {
        const alphaBar = alphasCumprod[timesteps[i]!]!;
        const after = alphaBarAfter(timesteps[i]!);
        const clean = cleanFactors(prediction, alphaBar);
        // Where there is no noise there is none to rescale.
        const ratio = alphaBar < 1 ? Math.sqrt((1 - after) / (1 - alphaBar)) : 0;
        return x.map((value, k) => {
          const x0 = clean.sample * value + clean.answer * answer[k]!;
          const noise = value - Math.sqrt(alphaBar) * x0;
          return Math.sqrt(after) * x0 + ratio * noise;
        });
      },
    };
  },
};

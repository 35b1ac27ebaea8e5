// Euler's method that goes below the next noise level in each step and adds fresh noise up to it (k-diffusion).
import type { Sampler } from '../define/sampler.ts';
import { sigmaSpace } from '../define/sigma-space.ts';

export const eulerAncestral: Sampler = {
  label: 'Euler ancestral',
  help: 'Adds new noise in every step: lively pictures that change with the number of steps.',
  elsewhere: { infotext: 'Euler a', node: 'euler_ancestral', levels: 'timesteps' },
  start: (setup) => {
    const { sigmas, clean, ...run } = sigmaSpace(setup);
    return {
      ...run,
      step: (answer, x, i, noise) => {
        const factors = clean(i);
        const [sigma, next] = [sigmas[i]!, sigmas[i + 1]!];
        // Variances of the noise that is added and of the noise that is left: they add up to that of the next level.
        const ratio = next / sigma;
        const added = next * Math.sqrt(1 - ratio * ratio);
        const shrink = ratio * ratio;
        const fresh = added > 0 ? noise() : null;
        return x.map((value, k) => {
          const x0 = factors.sample * value + factors.answer * answer[k]!;
          return x0 + shrink * (value - x0) + (fresh ? added * fresh[k]! : 0);
        });
      },
    };
  },
};

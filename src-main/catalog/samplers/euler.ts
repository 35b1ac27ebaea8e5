// Euler's method on the probability flow ODE (arXiv 2206.00364, algorithm 1 without a second-order correction).
import type { Sampler } from '../define/sampler.ts';
import { sigmaSpace } from '../define/sigma-space.ts';

export const euler: Sampler = {
  label: 'Euler',
  help: 'Simple and steady; the same noise gives the same picture.',
  elsewhere: { infotext: 'Euler', node: 'euler', levels: 'timesteps' },
  start: (setup) => {
    const { sigmas, clean, ...run } = sigmaSpace(setup);
    return {
      ...run,
      step: (answer, x, i) => {
        const factors = clean(i);
        const shrink = sigmas[i + 1]! / sigmas[i]!;
        return x.map((value, k) => {
          const x0 = factors.sample * value + factors.answer * answer[k]!;
          return x0 + shrink * (value - x0);
        });
      },
    };
  },
};

import type { NoiseSettings } from './define/family.ts';
export function alphasCumprodOf({ steps, betaStart, betaEnd }: NoiseSettings): Float64Array {
  const out = new Float64Array(steps);
  let p = 1;
  for (let i = 0; i < steps; i++) {
    const b = (Math.sqrt(betaStart) + ((Math.sqrt(betaEnd) - Math.sqrt(betaStart)) * i) / (steps - 1)) ** 2;
    p *= 1 - b;
    out[i] = p;
  }
  return out;
}

// Ways from noise to a picture, by the name that stands in jobs.
import type { Sampler } from '../define/sampler.ts';
import { ddim } from './ddim.ts';

export const samplers: Readonly<Record<string, Sampler>> = { ddim };

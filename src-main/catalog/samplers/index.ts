// Ways from noise to a picture, by the name that stands in jobs.
import type { Sampler } from '../define/sampler.ts';
import { ddim } from './ddim.ts';
import { dpmpp2mKarras } from './dpmpp-2m-karras.ts';
import { eulerAncestral } from './euler-ancestral.ts';
import { euler } from './euler.ts';

export const samplers: Readonly<Record<string, Sampler>> = { ddim, 'dpmpp-2m-karras': dpmpp2mKarras, euler, 'euler-ancestral': eulerAncestral };

// Ways of stepping along the gradient, by the name that stands in jobs.
import { adafactor } from './adafactor.ts';
import { adamw } from './adamw.ts';
import { lion } from './lion.ts';
import { prodigy } from './prodigy.ts';

export const optimizers = { adafactor, adamw, lion, prodigy };

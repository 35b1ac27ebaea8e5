import { adamw } from './adamw.ts';

export const optimizers = { adamw };

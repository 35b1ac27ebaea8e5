// The kinds of adapter, by the name that stands in jobs.
import { dora } from './dora.ts';
import { full } from './full.ts';
import { lora } from './lora.ts';

export const adapters = { dora, full, lora };

// The layouts of adapter files.
import type { AdapterFormat } from '../define/format.ts';
import { kohya } from './kohya.ts';
import { peft } from './peft.ts';

export const formats: Readonly<Record<string, AdapterFormat>> = { kohya, peft };

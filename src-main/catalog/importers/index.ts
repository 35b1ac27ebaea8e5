// Programs whose settings become jobs.
import { aiToolkit } from './ai-toolkit.ts';
import { kohya } from './kohya-settings.ts';
import { oneTrainer } from './one-trainer.ts';
import type { Importer } from '../define/imported-settings.ts';

export const importers: Readonly<Record<string, Importer>> = { aiToolkit, oneTrainer, kohya };

// Files of a run's folder that several parts of the program look for.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../base/errors.ts';

/** Path of the job of a run. Error: `run.missing`. */
export function jobFileOf(run: string): string {
  const file = join(run, 'job.json');
  if (existsSync(file)) return file;
  throw new UserError('run.missing', `"${run}" holds no run, because there is no job.json in it: name the folder of a run.`, { path: run });
}

/** The file that marks the checkpoint which exports take unless told otherwise. */
export const chosenFileOf = (run: string): string => join(run, 'chosen.json');

/** The step that is marked in a run's folder; null when none is, or when the file is damaged. Its checkpoint may be gone. */
export function markedStep(run: string): number | null {
  try {
    const { step } = JSON.parse(readFileSync(chosenFileOf(run), 'utf8')) as { readonly step?: unknown };
    return typeof step === 'number' ? step : null;
  } catch {
    return null;
  }
}

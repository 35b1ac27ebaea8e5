// Files of a run's folder that several parts of the program look for.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../base/errors.ts';

/** Path of the job of a run. Error: `run.missing`. */
export function jobFileOf(run: string): string {
  const file = join(run, 'job.json');
  if (existsSync(file)) return file;
  throw new UserError('run.missing', `"${run}" holds no run, because there is no job.json in it: name the folder of a run.`, { path: run });
}

// A command that makes one file of others never writes over what it reads.
import { existsSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { UserError } from '../base/errors.ts';

const placeOf = (path: string): string => (existsSync(path) ? realpathSync(path) : resolve(path));

/** Error: `files.is-the-source`. */
export function refuseSources(out: string, sources: readonly string[]): void {
  if (sources.some((source) => placeOf(source) === placeOf(out))) {
    throw new UserError('files.is-the-source', `"${out}" is the file that is read, and would be lost: choose another name for the result.`, { path: out });
  }
}

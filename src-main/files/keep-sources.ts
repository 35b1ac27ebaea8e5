// A command that makes one file of others never writes over what it reads.
import { existsSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { UserError } from '../base/errors.ts';

/** What a person writes by hand is not replaced unasked. Error: `files.is-there`. */
export function refuseExisting(out: string, force: boolean): void {
  if (!force && existsSync(out)) {
    throw new UserError('files.is-there', `"${out}" is there already and may hold your own changes: choose another name, or replace it with --force.`, { path: out });
  }
}

const placeOf = (path: string): string => (existsSync(path) ? realpathSync(path) : resolve(path));

/** Error: `files.is-the-source`. */
export function refuseSources(out: string, sources: readonly string[]): void {
  if (sources.some((source) => placeOf(source) === placeOf(out))) {
    throw new UserError('files.is-the-source', `"${out}" is the file that is read, and would be lost: choose another name for the result.`, { path: out });
  }
}

// A folder of results that appears whole or not at all: made aside, then put in place of an earlier one.
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { UserError } from '../base/errors.ts';
import { makeFolder } from '../files/atomic-write.ts';
import { writeError } from '../files/file-errors.ts';

/** Names of unfinished and of replaced folders: hidden, with the number of their process. */
const ASIDE = /^\.(.+)\.(new|old)-(\d+)$/;

/**
 * Calls `make` with a new empty folder beside `target`; when it succeeds the folder takes the place of `target`.
 * When it fails nothing is left and an earlier `target` stays as it was.
 * @param mark file by which an earlier result is known; a folder that holds other things is never replaced
 * Errors: `result.not-ours`, `files.*`, what `make` throws.
 */
export async function makeResultFolder<T>(target: string, mark: string, make: (folder: string) => Promise<T>): Promise<T> {
  const path = resolve(target);
  if (existsSync(path) && readdirSync(path).length > 0 && !existsSync(join(path, mark))) {
    throw new UserError('result.not-ours', `"${path}" holds other files, which would be lost: choose an empty folder with --out.`, { path });
  }
  const aside = (kind: string): string => join(dirname(path), `.${basename(path)}.${kind}-${process.pid}`);
  removeAbandoned(path);
  await makeFolder(aside('new'));
  try {
    const result = await make(aside('new'));
    swap(aside('new'), path, aside('old'));
    return result;
  } finally {
    rmSync(aside('new'), { recursive: true, force: true });
  }
}

function swap(fresh: string, path: string, old: string): void {
  try {
    if (existsSync(path)) renameSync(path, old);
    try {
      renameSync(fresh, path);
    } catch (error) {
      if (existsSync(old)) renameSync(old, path);
      throw error;
    }
  } catch (error) {
    throw writeError(error, path);
  }
  rmSync(old, { recursive: true, force: true });
}

/** Left behind by processes that are gone. */
function removeAbandoned(path: string): void {
  const parent = dirname(path);
  if (!existsSync(parent)) return;
  for (const name of readdirSync(parent)) {
    const match = ASIDE.exec(name);
    if (!match || match[1] !== basename(path) || isAlive(Number(match[3]))) continue;
    const found = join(parent, name);
    // A replacement that was cut off between its two steps is undone.
    if (match[2] === 'old' && !existsSync(path)) renameSync(found, path);
    else rmSync(found, { recursive: true, force: true });
  }
}

function isAlive(process_: number): boolean {
  try {
    process.kill(process_, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

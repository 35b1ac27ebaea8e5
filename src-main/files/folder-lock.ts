// A folder that one process writes to at a time: a file in it names the process. What a killed process left does not count.
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { isRunning } from './atomic-write.ts';
import { writeError } from './file-errors.ts';

/** Begins with a dot: it is no part of what the folder holds. */
export const LOCK_FILE = '.lock';

interface Holder {
  readonly pid: number;
  readonly host: string;
  /** Tells a process from a later one with the same number, where the system says it; else empty. */
  readonly start: string;
}

export interface FolderLock {
  release(): void;
}

/** The lock, or the number of the living process that has it. Errors: those of writing. */
export function lockFolder(path: string): FolderLock | { readonly heldBy: number } {
  const file = join(path, LOCK_FILE);
  const own: Holder = { pid: process.pid, host: hostname(), start: startOf(process.pid) };
  for (;;) {
    if (create(file, JSON.stringify(own))) return lockOf(file);
    const holder = readHolder(file);
    if (holder && isAlive(holder)) return { heldBy: holder.pid };
    rmSync(file, { force: true });
  }
}

function lockOf(file: string): FolderLock {
  let isHeld = true;
  return {
    release: () => {
      if (isHeld) rmSync(file, { force: true });
      isHeld = false;
    },
  };
}

function create(file: string, text: string): boolean {
  try {
    const handle = openSync(file, 'wx');
    try {
      writeSync(handle, text);
    } finally {
      closeSync(handle);
    }
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw writeError(error, file);
  }
}

/** Null for a file that is gone by now, or that a crash left without its text. */
function readHolder(file: string): Holder | null {
  try {
    const { pid, host, start } = JSON.parse(readFileSync(file, 'utf8')) as Partial<Holder>;
    return typeof pid === 'number' && typeof host === 'string' && typeof start === 'string' ? { pid, host, start } : null;
  } catch {
    return null;
  }
}

/** Processes of another machine cannot be asked: they count as alive. */
const isAlive = ({ pid, host, start }: Holder): boolean => host !== hostname() || (isRunning(pid) && startOf(pid) === start);

/**
 * When a process began, in ticks of the system clock (Linux: field 22 of its stat, counted after the name in brackets);
 * empty for one that has ended and that its parent has not taken note of.
 */
function startOf(pid: number): string {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)!.split(' ');
    return fields[0] === 'Z' ? '' : fields[19] ?? '';
  } catch {
    return '';
  }
}

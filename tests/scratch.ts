// Where tests put their files: one folder for a run of the suite, under the system's own, that goes with the run. Folders
// of runs that were killed go at the next one.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isRunning } from '../src-main/files/atomic-write.ts';

const NAME = /^adora-tests-(\d+)-/;
/** Set for the workers and all that they start: programs make their temporary files there too. */
const VARIABLES = ['TMPDIR', 'TMP', 'TEMP'];

/** Vitest calls it before the first test, once for each project. What it returns is called after the last one. */
export function setup(): (() => void) | undefined {
  const root = tmpdir();
  if (NAME.test(root.split(/[\\/]/).at(-1)!)) return undefined;
  const builds = join('out', '.tests');
  for (const [folder, pattern] of [[root, NAME], [builds, /^(\d+)-/]] as const) removeLeft(folder, pattern);
  const own = mkdtempSync(join(root, `adora-tests-${process.pid}-`));
  for (const name of VARIABLES) process.env[name] = own;
  return () => {
    const left = readdirSync(own).filter((name) => name.startsWith('adora-'));
    rmSync(own, { recursive: true, force: true });
    if (left.length === 0) return;
    // Vitest only prints what a teardown throws.
    process.exitCode = 1;
    throw new Error(`Tests left ${left.length} folders behind, first "${left[0]}": remove them in afterAll, or use folderOfFile or temporaryFolder.`);
  };
}

function removeLeft(folder: string, pattern: RegExp): void {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  for (const name of names) {
    const owner = pattern.exec(name)?.[1];
    if (owner !== undefined && !isRunning(Number(owner))) rmSync(join(folder, name), { recursive: true, force: true });
  }
}

/** Inside of the project, so that a program that is built there finds its packages. */
export function buildFolder(): string {
  const folder = join('out', '.tests');
  mkdirSync(folder, { recursive: true });
  return mkdtempSync(join(folder, `${process.pid}-`));
}

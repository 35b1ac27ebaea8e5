// Files that are either the old or the new version, whatever happens in between; and line logs that survive a crash.
import { constants, closeSync, fstatSync, ftruncateSync, fsyncSync, mkdirSync, openSync, readFileSync, readSync, statSync, writeSync }
  from 'node:fs';
import { chmod, open, readdir, realpath, rename, rm, stat, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from '../base/errors.ts';
import { readError, writeError } from './file-errors.ts';

const TEMPORARY_NAME = /^\..*\.(\d+)-\d+\.tmp$/s;
let counter = 0;

/**
 * Writes a file under a temporary name in the same folder, flushes it to the disk and renames it. When anything
 * fails the temporary file is removed and a file that was there before stays as it was. Missing folders are made.
 * `data` is the content, or a function that writes it to the handle of the file with the temporary name.
 *
 * Errors: `files.disk-full`, `files.read-only`, `files.not-a-folder`, `files.is-a-folder`, and what `data` throws.
 */
export async function writeFileAtomic(
  path: string, data: string | Uint8Array | ((file: FileHandle, temporary: string) => Promise<void>),
): Promise<void> {
  try {
    makeFolders(dirname(path));
    // A link stays a link: the file it points at is what is replaced.
    const target = await realpath(path).catch(() => path);
    const before = await stat(target).catch(() => undefined);
    const { file, temporary } = await openTemporary(target);
    try {
      try {
        if (typeof data === 'function') await data(file, temporary);
        else await file.writeFile(data);
        await file.sync();
      } finally {
        await file.close();
      }
      if (before?.isFile()) await chmod(temporary, before.mode);
      await renameOver(temporary, target);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    await syncFolder(dirname(target));
  } catch (error) {
    throw writeError(error, path);
  }
}

async function openTemporary(target: string): Promise<{ file: FileHandle; temporary: string }> {
  // Only the start of a long name, so that the temporary one is never too long when the real one is not.
  const stem = [...basename(target)].slice(0, 40).join('');
  for (;;) {
    const temporary = join(dirname(target), `.${stem}.${process.pid}-${counter++}.tmp`);
    try {
      return { file: await open(temporary, 'wx+'), temporary };
    } catch (error) {
      // Left over from an earlier process with the same number.
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
  }
}

/** Renames. Windows refuses to replace a file that a virus scanner or an indexer holds open; that passes. */
export async function renameOver(from: string, to: string): Promise<void> {
  const pauses = process.platform === 'win32' ? [20, 80, 200, 500, 1000] : [];
  for (const pause of pauses) {
    try {
      return await rename(from, to);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code !== 'EPERM' && code !== 'EACCES' && code !== 'EBUSY') throw error;
      await sleep(pause);
    }
  }
  await rename(from, to);
}

/** Makes the rename itself durable. Windows and some network disks cannot do that for a folder. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => undefined);
  await folder?.sync().catch(() => undefined);
  await folder?.close();
}

/** One folder at a time: Node's own recursive form never ends below folders such as /proc. */
function makeFolders(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory()) return;
  if (!found) makeFolders(dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error;
  }
}

/** Makes a folder and those above it. Errors as `writeFileAtomic`. */
export async function makeFolder(path: string): Promise<void> {
  try {
    makeFolders(path);
  } catch (error) {
    throw writeError(error, path);
  }
}

/** Removes temporary files that processes which no longer run left in a folder. Returns their names. */
export async function removeStaleTemporaries(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  const stale = names.filter((name) => {
    const owner = TEMPORARY_NAME.exec(name)?.[1];
    return owner !== undefined && !isRunning(Number(owner));
  });
  for (const name of stale) await unlink(join(folder, name)).catch(() => undefined);
  return stale;
}

/** Whether a process of this number runs on this machine. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

const LINE_FEED = 10;

/**
 * Appends one line (without line end) to a log. A last line that a crash or a full disk cut short is removed first,
 * so the file never holds half a line followed by another. One process may write to a log at a time.
 */
export function appendLine(path: string, line: string, options: { flush?: boolean } = {}): void {
  assert(!/[\r\n]/.test(line), 'a log line contains a line break');
  try {
    const file = openSync(path, constants.O_RDWR | constants.O_APPEND | constants.O_CREAT, 0o644);
    try {
      removeTornLine(file);
      const bytes = Buffer.from(`${line}\n`);
      for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
      if (options.flush) fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw writeError(error, path);
  }
}

function removeTornLine(file: number): void {
  let end = fstatSync(file).size;
  const chunk = Buffer.alloc(4096);
  const size = end;
  while (end > 0) {
    // The last byte alone decides in nearly all cases.
    const length = end === size ? 1 : Math.min(end, chunk.length);
    readSync(file, chunk, 0, length, end - length);
    const found = chunk.subarray(0, length).lastIndexOf(LINE_FEED);
    if (found >= 0) {
      end += found + 1 - length;
      break;
    }
    end -= length;
  }
  if (end < size) ftruncateSync(file, end);
}

/** The complete lines of a log, without a torn last one; empty lines are left out. A missing file has none. */
export function readLines(path: string): string[] {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw readError(error, path, 'the log');
  }
  return bytes.subarray(0, bytes.lastIndexOf(LINE_FEED) + 1).toString('utf8').split(/\r?\n/)
    .filter((line) => line !== '');
}

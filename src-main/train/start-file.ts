// The file in a run's folder with the values that it began with, for a run that goes on from an adapter (`adapter.from`).
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../base/errors.ts';
import { openSafetensors } from '../files/safetensors.ts';
import { START_FILE } from './run-folder.ts';

/** SHA-256 of the adapter file, in the metadata. */
export const START_HASH = 'adora.start_sha256';

/** SHA-256 of the adapter file that a run began with; null for a run that began anew, or where nothing tells any more. */
export function startHash(folder: string): string | null {
  const path = join(folder, START_FILE);
  return existsSync(path) ? openSafetensors(path).metadata.get(START_HASH) ?? null : null;
}

/** Start values that a run keeps, by name, or null for a tensor that starts anew. Error: `run.no-start`. */
export function keptStart(folder: string): (name: string) => Float32Array | null {
  const path = join(folder, START_FILE);
  let file: ReturnType<typeof openSafetensors> | null = null;
  return (name) => {
    if (!file && !existsSync(path)) throw new UserError('run.no-start', `The run at "${folder}" has lost its file "${START_FILE}", which holds what it started from: put it back, or start a new run.`, { run: folder });
    file ??= openSafetensors(path);
    return file.tensors.has(name) ? file.readF32(name) : null;
  };
}

// Safetensors files byte by byte, for tests that need them wrong.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { temporaryFolder } from './temporary.ts';

/** A file made by hand, so that the reader is not tested only against our own writer. */
export function bytesOf(header: string | Buffer, data: Uint8Array = new Uint8Array(0), length?: bigint): Buffer {
  const json = Buffer.from(header);
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(length ?? BigInt(json.length));
  return Buffer.concat([start, json, data]);
}

export function fileOf(bytes: Uint8Array, name = 'model.safetensors'): string {
  const path = join(temporaryFolder(), name);
  writeFileSync(path, bytes);
  return path;
}

export const open = (header: string | Buffer, data?: Uint8Array, length?: bigint) =>
  openSafetensors(fileOf(bytesOf(header, data, length)));

export const entry = (dtype: string, shape: unknown, offsets: unknown): string =>
  JSON.stringify({ dtype, shape, data_offsets: offsets });

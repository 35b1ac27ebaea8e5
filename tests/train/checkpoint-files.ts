// Checkpoints for tests: full-size headers over files without bytes on disk, and the recorded lists of keys.
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { goldenPath } from '../nn/golden.ts';

export type Shapes = Readonly<Record<string, readonly number[]>>;

export interface KeyList {
  /** config.json by component. */
  readonly configs: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly diffusers: Readonly<Record<string, Shapes>>;
  readonly ldm: Shapes;
}

export const recorded = <T>(...path: string[]): T => JSON.parse(gunzipSync(readFileSync(goldenPath(...path))).toString()) as T;

export const keyList = (kind: string): KeyList => recorded('keys', `${kind}.json.gz`);

const BYTES: Readonly<Record<string, number>> = { F32: 4, F16: 2, BF16: 2, F8_E4M3: 1, I64: 8 };

/** Where each tensor's bytes begin. The data are a hole of zeros, so that gigabytes cost nothing. */
export function writeSparse(path: string, shapes: Shapes, dtype = 'F16', metadata?: Readonly<Record<string, string>>): Map<string, number> {
  let end = 0;
  const entries = Object.entries(shapes).map(([name, shape]) => {
    const own = name.endsWith('position_ids') ? 'I64' : dtype;
    const begin = end;
    end += shape.reduce((a, b) => a * b, 1) * BYTES[own]!;
    return [name, { dtype: own, shape, data_offsets: [begin, end] }] as const;
  });
  const header = Buffer.from(JSON.stringify({ ...(metadata ? { __metadata__: metadata } : {}), ...Object.fromEntries(entries) }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const file = openSync(path, 'w');
  writeSync(file, length);
  writeSync(file, header);
  ftruncateSync(file, 8 + header.length + end);
  closeSync(file);
  return new Map(entries.map(([name, { data_offsets }]) => [name, 8 + header.length + data_offsets[0]!]));
}

/** Shapes with another prefix, of those that have the first. */
export const rename = (shapes: Shapes, from: string, to: string): Shapes =>
  Object.fromEntries(Object.entries(shapes).flatMap(([name, shape]) => (name.startsWith(from) ? [[to + name.slice(from.length), shape]] : [])));

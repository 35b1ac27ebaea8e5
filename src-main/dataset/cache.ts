// Encoded pictures and texts on disk, so that no model runs twice on the same input. A file's name is the hash of all
// that decides its content; a file that is missing, damaged or of another version is simply made again.
import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../base/errors.ts';
import { sameShape, type Shape } from '../base/shape.ts';
import { openSafetensors } from '../files/safetensors.ts';
import { dataSectionHash, writeSafetensors, type TensorToWrite } from '../files/safetensors-write.ts';

export interface Tensor {
  readonly shape: Shape;
  readonly data: Float32Array;
}
export type Tensors = Readonly<Record<string, Tensor>>;

/** Of the files and of everything that happens to a picture before it is encoded. */
const VERSION = 1;

/** The key of an entry: SHA-256 of its ingredients as JSON, lower-case hex. Key order counts. */
export const cacheKey = (ingredients: Readonly<Record<string, unknown>>): string =>
  createHash('sha256').update(JSON.stringify({ version: VERSION, ...ingredients })).digest('hex');

export class TensorCache {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  pathOf(key: string): string {
    return join(this.folder, key.slice(0, 2), `${key}.safetensors`);
  }

  /** The entry, or null when it has to be made: not there, damaged, or without one of the tensors `names`. */
  async read<Name extends string>(key: string, names: readonly Name[]): Promise<Record<Name, Tensor> | null> {
    const path = this.pathOf(key);
    try {
      const file = openSafetensors(path);
      if (!names.every((name) => file.tensors.has(name))) return null;
      const tensors = Object.fromEntries([...file.tensors].map(([name, { shape }]) =>
        [name, { shape, data: file.readF32(name) }])) as Record<Name, Tensor>;
      return file.metadata.get('sha256') === await dataSectionHash(toWrite(tensors)) ? tensors : null;
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      return null;
    }
  }

  /** Errors: `files.disk-full`, `files.read-only` and the like. */
  async write(key: string, tensors: Tensors): Promise<void> {
    const path = this.pathOf(key);
    const list = toWrite(tensors);
    try {
      await writeSafetensors(path, list, { sha256: await dataSectionHash(list) });
    } catch (error) {
      if (!(error instanceof UserError && error.code === 'files.is-a-folder')) throw error;
      // Whatever lies under the name of an entry is ours to replace.
      await rm(path, { recursive: true });
      await writeSafetensors(path, list, { sha256: await dataSectionHash(list) });
    }
  }
}

const toWrite = (tensors: Tensors): TensorToWrite[] =>
  Object.entries(tensors).map(([name, { shape, data }]) => ({ name, dtype: 'f32', shape, data }));

/** Row `index` of a tensor, without the first axis. A copy, so that the batch it came from can be freed. */
export function rowOf({ shape, data }: Tensor, index: number): Tensor {
  const row = shape.slice(1);
  const size = data.length / shape[0]!;
  return { shape: row, data: data.slice(index * size, (index + 1) * size) };
}

/** Rows of one shape as a tensor with a new first axis; null when the shapes differ. */
export function stackRows(rows: readonly Tensor[]): Tensor | null {
  const [first] = rows;
  if (first === undefined || !rows.every(({ shape }) => sameShape(shape, first.shape))) return null;
  const data = new Float32Array(rows.length * first.data.length);
  rows.forEach((row, index) => data.set(row.data, index * first.data.length));
  return { shape: [rows.length, ...first.shape], data };
}

// Reading safetensors: the header at once, tensors on demand by ranged reads. Nothing is ever loaded as a whole.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { assert, UserError } from '../base/errors.ts';
import { decodeF32 } from './convert.ts';
import { readError } from './file-errors.ts';
import { readHeader, shown } from './safetensors-header.ts';
import type { HeaderLimits } from './safetensors-header.ts';
import type { RawTensor, Rows, TensorInfo, TensorLocation, WeightFile } from './weight-file.ts';

const MAX_READ = 2 ** 30;
const MODEL_FILE = 'the model file';

/** Bytes of an open file; Node reads at most 2 GiB at once, so in pieces. */
function readRange(file: number, offset: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length;) {
    const count = readSync(file, bytes, done, Math.min(MAX_READ, length - done), offset + done);
    if (count === 0) throw Object.assign(new Error('the file ends early'), { code: 'EIO' });
    done += count;
  }
  return bytes;
}

function withFile<T>(path: string, what: string, work: (file: number, size: number, stamp: string) => T): T {
  try {
    const file = openSync(path, 'r');
    try {
      const stat = fstatSync(file, { bigint: true });
      if (stat.isDirectory()) throw Object.assign(new Error('a folder'), { code: 'EISDIR' });
      return work(file, Number(stat.size), `${stat.size} ${stat.mtimeNs} ${stat.ino}`);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw readError(error, path, what);
  }
}

export class SafetensorsFile implements WeightFile {
  readonly path: string;
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Where the data section begins in the file. */
  readonly dataStart: number;
  readonly #what: string;
  readonly #stamp: string;

  constructor(path: string, limits?: HeaderLimits, what = MODEL_FILE) {
    const { header, stamp } = withFile(path, what, (file, size, stamp) => ({
      header: readHeader(path, size, (offset, length) => readRange(file, offset, length), limits), stamp,
    }));
    this.path = path;
    this.metadata = header.metadata;
    this.tensors = header.tensors;
    this.dataStart = header.dataStart;
    this.#what = what;
    this.#stamp = stamp;
  }

  get files(): readonly WeightFile[] {
    return [this];
  }

  read(name: string, rows?: Rows): RawTensor {
    const { file, offset, length, dtype, shape } = rowsOf(this.locate(name), rows);
    const bytes = withFile(file, this.#what, (handle, _, stamp) => {
      // Offsets of the old version would read nonsense from a new one.
      if (stamp !== this.#stamp) {
        throw new UserError('files.changed', `"${file}" was replaced while it was in use: start again with the new ` +
          'file.', { path: file });
      }
      return readRange(handle, offset, length);
    });
    return { dtype, shape, bytes };
  }

  readF32(name: string, rows?: Rows): Float32Array<ArrayBuffer> {
    const { dtype, bytes } = this.read(name, rows);
    return decodeF32(bytes, dtype, `"${shown(name)}" in "${this.path}"`);
  }

  locate(name: string): TensorLocation {
    const info = this.tensors.get(name);
    if (info === undefined) throw missingTensor(this.path, name);
    const { dtype, shape, begin, end } = info;
    return { file: this.path, offset: this.dataStart + begin, length: end - begin, dtype, shape };
  }
}

/** The bytes of some rows of a tensor, which must have elements of whole bytes. */
export function rowsOf(location: TensorLocation, rows?: Rows): TensorLocation {
  if (rows === undefined) return location;
  const [extent = 1, ...rest] = location.shape;
  assert(rows.first + rows.count <= extent, `rows ${rows.first} to ${rows.first + rows.count} of ${extent}`);
  const size = location.length / Math.max(1, extent);
  return { ...location, offset: location.offset + rows.first * size, length: rows.count * size, shape: [rows.count, ...rest] };
}

export const missingTensor = (path: string, name: string): UserError =>
  new UserError('safetensors.no-tensor', `"${path}" has no tensor "${shown(name)}": it is not the kind of model that ` +
    'was expected here, choose another file.', { path, tensor: name });

/**
 * Opens a safetensors file and checks its header completely; reads no weights. Errors: `files.not-found` and other
 * `files.*`; `safetensors.*`, one code per check of the format.
 * @param what names the file in messages, such as "the adapter file"
 */
export const openSafetensors = (path: string, limits?: HeaderLimits, what?: string): SafetensorsFile =>
  new SafetensorsFile(path, limits, what);

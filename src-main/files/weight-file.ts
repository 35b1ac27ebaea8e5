// What readers of weights see, whether the weights are in one file or in many.
import type { FileDType } from './file-dtype.ts';

export interface TensorInfo {
  readonly dtype: FileDType;
  readonly shape: readonly number[];
  /** Byte range relative to the start of the file's data section; `end` is exclusive. */
  readonly begin: number;
  readonly end: number;
}

export interface RawTensor {
  readonly dtype: FileDType;
  readonly shape: readonly number[];
  /** A fresh copy, so aligned for every element type. Little endian, row-major. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Where a tensor's bytes lie, for memory mapping. `offset` counts from the start of the file. */
export interface TensorLocation {
  readonly file: string;
  readonly offset: number;
  readonly length: number;
  readonly dtype: FileDType;
  readonly shape: readonly number[];
}

/** A part of a tensor: `count` rows of its first axis from `first` on. */
export interface Rows {
  readonly first: number;
  readonly count: number;
}

export interface WeightFile {
  /** The file, or the index of a sharded one. */
  readonly path: string;
  /** Texts from strangers: escape before showing. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Names are untrusted too: never use one as a path or as a key of a plain object. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** The files with the bytes: this one, or the shards of an index. */
  readonly files: readonly WeightFile[];
  /** Errors: `safetensors.no-tensor`, `files.changed`. @param rows of the first axis; all when absent */
  read(name: string, rows?: Rows): RawTensor;
  /** The values as f32, converted from any float or integer type of at least 8 bits except 8-bit floats. */
  readF32(name: string, rows?: Rows): Float32Array<ArrayBuffer>;
  locate(name: string): TensorLocation;
}

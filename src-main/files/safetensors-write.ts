// Writing safetensors, one tensor after the other, so that a checkpoint larger than memory can be written.
// Equal tensors and metadata give equal bytes, in whatever order they are named.
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { sizeOf } from '../base/shape.ts';
import { assert } from '../base/errors.ts';
import { writeFileAtomic } from './atomic-write.ts';
import { bitsOf, fileNameOf, orderOf } from './file-dtype.ts';
import type { FileDType } from './file-dtype.ts';
import { MAX_HEADER_BYTES } from './safetensors-header.ts';

type Chunks = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

export interface TensorToWrite {
  readonly name: string;
  readonly dtype: FileDType;
  readonly shape: readonly number[];
  /** Little-endian bytes in row-major order, or a function that makes them when their turn comes. */
  readonly data: ArrayBufferView | (() => ArrayBufferView | Chunks | Promise<ArrayBufferView | Chunks>);
}

export type Metadata = Readonly<Record<string, string>> | ReadonlyMap<string, string>;

const MAX_WRITE = 2 ** 30;

const viewOf = (data: ArrayBufferView): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

const byteLength = ({ name, dtype, shape }: TensorToWrite): number => {
  const bits = sizeOf(shape) * bitsOf(dtype);
  assert(Number.isSafeInteger(bits) && bits % 8 === 0, `tensor ${name} has no whole number of bytes`);
  return bits / 8;
};

/** The order of the file: larger elements first, then by name as UTF-8. */
function inFileOrder(tensors: Iterable<TensorToWrite>): TensorToWrite[] {
  return [...tensors]
    .map((tensor) => ({ tensor, key: Buffer.from(tensor.name) }))
    .sort((a, b) => orderOf(b.tensor.dtype) - orderOf(a.tensor.dtype) || Buffer.compare(a.key, b.key))
    .map(({ tensor }) => tensor);
}

/** The header of a file with the tensors in this order. */
export const headerInOrder = (tensors: readonly Omit<TensorToWrite, 'data'>[], metadata: Metadata): Buffer =>
  headerBytes(tensors.map((tensor) => ({ ...tensor, data: new Uint8Array() })), metadata);

function headerBytes(sorted: readonly TensorToWrite[], metadata: Metadata): Buffer {
  const entries = metadata instanceof Map ? [...metadata] : Object.entries(metadata);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  const parts: string[] = [];
  const object = (pairs: [string, string][]): string =>
    `{${pairs.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',')}}`;
  if (entries.length > 0) {
    parts.push(`"__metadata__":${object(entries.map(([key, value]) => {
      assert(typeof value === 'string', `metadata ${key} is not a text`);
      assertText(key);
      assertText(value);
      return [key, JSON.stringify(value)];
    }))}`);
  }
  let end = 0;
  const names = new Set<string>();
  for (const tensor of sorted) {
    const { name, dtype, shape } = tensor;
    assert(name !== '__metadata__' && !names.has(name), `tensor ${name} is written twice or has a reserved name`);
    assertText(name);
    names.add(name);
    const begin = end;
    end += byteLength(tensor);
    parts.push(`${JSON.stringify(name)}:{"dtype":"${fileNameOf(dtype)}","shape":[${shape.join(',')}],` +
      `"data_offsets":[${begin},${end}]}`);
  }
  const json = Buffer.from(`{${parts.join(',')}}`);
  // Padding keeps the data section, and by the order every tensor in it, aligned.
  const header = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, ' ');
  assert(header.length - 8 <= MAX_HEADER_BYTES, 'the header of a safetensors file is too large');
  header.writeBigUInt64LE(BigInt(header.length - 8), 0);
  json.copy(header, 8);
  return header;
}

const assertText = (text: string): void =>
  assert(!/\p{Surrogate}/u.test(text), 'a name or metadata text for a safetensors file has half a character');

async function* chunksOf(tensor: TensorToWrite): AsyncGenerator<Uint8Array> {
  const data = typeof tensor.data === 'function' ? await tensor.data() : tensor.data;
  let total = 0;
  for await (const chunk of ArrayBuffer.isView(data) ? [viewOf(data)] : data) {
    total += chunk.byteLength;
    for (let at = 0; at < chunk.byteLength; at += MAX_WRITE) yield chunk.subarray(at, at + MAX_WRITE);
  }
  const expected = byteLength(tensor);
  assert(total === expected, `tensor ${tensor.name} gave ${total} bytes instead of ${expected}`);
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.byteLength;) {
    done += (await file.write(bytes, done, bytes.byteLength - done)).bytesWritten;
  }
}

/**
 * Writes a file atomically (see `writeFileAtomic` for errors). Data functions are called one after the other in file
 * order, each once.
 */
export async function writeSafetensors(
  path: string, tensors: Iterable<TensorToWrite>, metadata: Metadata = {},
): Promise<void> {
  const sorted = inFileOrder(tensors);
  const header = headerBytes(sorted, metadata);
  await writeFileAtomic(path, async (file) => {
    await writeAll(file, header);
    for (const tensor of sorted) {
      for await (const chunk of chunksOf(tensor)) await writeAll(file, chunk);
    }
  });
}

/** Bytes of the header that these tensors and texts give, its length field included. */
export const headerSize = (tensors: Iterable<TensorToWrite>, metadata: Metadata = {}): number =>
  headerBytes(inFileOrder(tensors), metadata).length;

/** SHA-256 (lower-case hex) of `length` bytes of the file from `offset` on, as far as it reaches. */
export async function sectionHash(
  tensors: Iterable<TensorToWrite>, metadata: Metadata, offset: number, length: number,
): Promise<string> {
  const sorted = inFileOrder(tensors);
  const hash = createHash('sha256');
  let at = 0;
  const add = (chunk: Uint8Array): void => {
    hash.update(chunk.subarray(Math.max(0, offset - at), Math.max(0, offset + length - at)));
    at += chunk.byteLength;
  };
  add(headerBytes(sorted, metadata));
  for (const tensor of sorted) {
    if (at >= offset + length) break;
    for await (const chunk of chunksOf(tensor)) add(chunk);
  }
  return hash.digest('hex');
}

/** The whole file in memory, for small ones. */
export async function safetensorsBytes(
  tensors: Iterable<TensorToWrite>, metadata: Metadata = {},
): Promise<Uint8Array> {
  const sorted = inFileOrder(tensors);
  const parts: Uint8Array[] = [headerBytes(sorted, metadata)];
  for (const tensor of sorted) for await (const chunk of chunksOf(tensor)) parts.push(chunk);
  return Buffer.concat(parts);
}

/**
 * SHA-256 (lower-case hex) of the data section that writing these tensors gives: `sshs_model_hash`, and after "0x"
 * `modelspec.hash_sha256`. It does not depend on metadata, so it can stand in them. Calls each data function once.
 */
export async function dataSectionHash(tensors: Iterable<TensorToWrite>): Promise<string> {
  const hash = createHash('sha256');
  for (const tensor of inFileOrder(tensors)) {
    for await (const chunk of chunksOf(tensor)) hash.update(chunk);
  }
  return hash.digest('hex');
}

// A changed copy of a safetensors file: some tensors anew, all others byte for byte, names and order as they were. Streamed:
// memory holds the tensor in hand, the next one as it was, and what is being written. Reading runs ahead and writing behind,
// so that the disk works while tensors are computed.
import { createHash, type Hash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { assert, UserError } from '../base/errors.ts';
import { sizeOf } from '../base/shape.ts';
import { writeFileAtomic } from './atomic-write.ts';
import { readError } from './file-errors.ts';
import { bitsOf, type FileDType } from './file-dtype.ts';
import { headerInOrder, type Metadata } from './safetensors-write.ts';

export interface TensorToCopy {
  readonly name: string;
  readonly dtype: FileDType;
  readonly shape: readonly number[];
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly length: number;
}

export interface ChangedTensor {
  readonly dtype: FileDType;
  /** Whether `data` is to be given the bytes of the tensor as they are in the source. */
  readonly wantsStored?: boolean;
  /** Made when its turn comes. @param stored valid until the promise is settled; empty unless they are wanted */
  readonly data: (stored: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>;
}

export interface CopySettings {
  readonly metadata: Metadata;
  /** A text that gets "0x" and the SHA-256 of the data section. */
  readonly hashKey?: string;
  readonly onProgress?: (done: number, total: number) => void;
  /** Between pieces of work; may throw to stop. */
  readonly pause?: () => Promise<void>;
}

const PIECE = 1 << 23;
/** Bytes that may be on their way to the disk at once. */
const MOST_UNDER_WAY = 1 << 26;
/** Pieces of a copied range that are read or written at once. */
const PIECES = 4;
const PLACE = `0x${'0'.repeat(64)}`;

/**
 * @param tensors those of the source, in the order of their bytes
 * Errors: `files.*`; what `data` and `pause` throw. Nothing is left behind then.
 */
export async function writeChangedCopy(target: string, source: string, tensors: readonly TensorToCopy[], changed: ReadonlyMap<string, ChangedTensor>, settings: CopySettings): Promise<void> {
  const { hashKey, onProgress, pause } = settings;
  const metadata = { ...(settings.metadata instanceof Map ? Object.fromEntries(settings.metadata) : settings.metadata as Record<string, string>) };
  const header = (text: string): Buffer => headerInOrder(
    tensors.map(({ name, dtype, shape }) => ({ name, dtype: changed.get(name)?.dtype ?? dtype, shape })), hashKey === undefined ? metadata : { ...metadata, [hashKey]: text },
  );
  const total = tensors.reduce((sum, { length }) => sum + length, 0);
  const hash = hashKey === undefined ? null : createHash('sha256');
  const from = await open(source, 'r').catch((error: unknown) => {
    throw readError(error, source, 'the base model');
  });
  try {
    await writeFileAtomic(target, async (file) => {
      const output = new Output(file, hash);
      const first = header(PLACE);
      await output.start(first, false);
      let done = 0;
      const ahead = new ReadAhead(from, source, tensors.filter(({ name }) => changed.get(name)?.wantsStored));
      for (const tensor of tensors) {
        onProgress?.(done, total);
        const own = changed.get(tensor.name);
        if (own) {
          const bytes = await own.data(own.wantsStored ? await ahead.take(tensor) : NOTHING);
          assert(bytes.byteLength === sizeOf(tensor.shape) * bitsOf(own.dtype) / 8, `${tensor.name} has the bytes of its shape`);
          await output.start(bytes);
        } else await copyRange(from, output, tensor, source);
        done += tensor.length;
        await pause?.();
      }
      await output.end();
      onProgress?.(total, total);
      if (hash) {
        const last = header(`0x${hash.digest('hex')}`);
        assert(last.length === first.length, 'a hash has one length');
        await file.write(last, 0, last.length, 0);
      }
    });
  } finally {
    await from.close();
  }
}

const NOTHING = new Uint8Array(0);

/** The bytes of some tensors in their order, each read while the one before is in use. */
class ReadAhead {
  private readonly from: FileHandle;
  private readonly source: string;
  private readonly tensors: readonly TensorToCopy[];
  /** The tensor in use lies in one, the next in the other. */
  private readonly buffers: [ArrayBuffer, ArrayBuffer] = [new ArrayBuffer(0), new ArrayBuffer(0)];
  private at = 0;
  private next: Promise<Uint8Array<ArrayBuffer>> | undefined;

  constructor(from: FileHandle, source: string, tensors: readonly TensorToCopy[]) {
    this.from = from;
    this.source = source;
    this.tensors = tensors;
    this.begin();
  }

  async take(tensor: TensorToCopy): Promise<Uint8Array<ArrayBuffer>> {
    assert(this.tensors[this.at] === tensor, 'tensors are taken in their order');
    const bytes = await this.next!;
    this.at++;
    this.begin();
    return bytes;
  }

  private begin(): void {
    const tensor = this.tensors[this.at];
    if (!tensor) return;
    const { offset, length } = tensor;
    const slot = this.at % 2;
    if (this.buffers[slot]!.byteLength < length) this.buffers[slot] = new ArrayBuffer(length);
    this.next = readFully(this.from, new Uint8Array(this.buffers[slot]!, 0, length), offset, this.source);
    // It is awaited when its turn comes; until then a failure must not count as unhandled.
    this.next.catch(() => undefined);
  }
}

/** Writes in order while what follows is read or made. */
class Output {
  private readonly file: FileHandle;
  private readonly hash: Hash | null;
  private at = 0;
  private readonly underWay: { readonly length: number; readonly done: Promise<void> }[] = [];

  constructor(file: FileHandle, hash: Hash | null) {
    this.file = file;
    this.hash = hash;
  }

  /** Begins to write what must not change until the inner promise is settled; waits while too much is under way. */
  async start(bytes: Uint8Array, isData = true): Promise<{ readonly done: Promise<void> }> {
    const waiting = (): number => this.underWay.reduce((sum, { length }) => sum + length, bytes.byteLength);
    while (this.underWay.length > 0 && waiting() > MOST_UNDER_WAY) await this.underWay.shift()!.done;
    const done = this.put(bytes, this.at);
    // It is awaited later; until then a failure must not count as unhandled.
    done.catch(() => undefined);
    this.at += bytes.byteLength;
    this.underWay.push({ length: bytes.byteLength, done });
    if (isData) this.hash?.update(bytes);
    return { done };
  }

  async end(): Promise<void> {
    for (const { done } of this.underWay.splice(0)) await done;
  }

  private async put(bytes: Uint8Array, at: number): Promise<void> {
    for (let done = 0; done < bytes.byteLength;) done += (await this.file.write(bytes, done, bytes.byteLength - done, at + done)).bytesWritten;
  }
}

/** Fills `bytes` from the file. Error: `files.changed`. */
async function readFully<Bytes extends Uint8Array>(from: FileHandle, bytes: Bytes, offset: number, source: string): Promise<Bytes> {
  for (let count = 0; count < bytes.byteLength;) {
    const { bytesRead } = await from.read(bytes, count, Math.min(PIECE, bytes.byteLength - count), offset + count);
    if (bytesRead === 0) throw new UserError('files.changed', `"${source}" ends before its last tensor: it was replaced while it was in use, start again.`, { path: source });
    count += bytesRead;
  }
  return bytes;
}

async function copyRange(from: FileHandle, output: Output, { offset, length }: TensorToCopy, source: string): Promise<void> {
  const count = Math.ceil(length / PIECE);
  const buffers = Array.from({ length: Math.min(PIECES, count) }, () => Buffer.allocUnsafe(Math.min(PIECE, length)));
  const written: Promise<void>[] = [];
  const read = async (piece: number): Promise<Buffer> => {
    // The buffer is free once what it held is written.
    await written[piece - buffers.length];
    const bytes = buffers[piece % buffers.length]!.subarray(0, Math.min(PIECE, length - piece * PIECE));
    return readFully(from, bytes, offset + piece * PIECE, source);
  };
  let next = count > 0 ? read(0) : undefined;
  for (let piece = 0; piece < count; piece++) {
    const bytes = await next!;
    written.push((await output.start(bytes)).done);
    if (piece + 1 < count) {
      next = read(piece + 1);
      next.catch(() => undefined);
    }
  }
}

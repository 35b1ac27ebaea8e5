// A changed copy of a safetensors file: some tensors anew, all others byte for byte, names and order as they were. Streamed:
// memory holds the tensor in hand, the next one as it was, and what is being written. Reading runs ahead; writing, reading again
// and hashing run behind, so that they work while tensors are computed.
import { open, type FileHandle } from 'node:fs/promises';
import { assert } from '../base/errors.ts';
import { sizeOf } from '../base/shape.ts';
import { writeFileAtomic } from './atomic-write.ts';
import { BackgroundWriter, PIECE } from './background-writer.ts';
import { readError } from './file-errors.ts';
import { ReadAhead, readFully, type BytesToRead } from './read-ahead.ts';
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

/** Where the bytes of a tensor go, in their order. */
export interface TensorOutput {
  /** Copies bytes, which may change afterwards. */
  write(bytes: Uint8Array): Promise<void>;
  /** Takes bytes with all of their memory, which nobody has afterwards. */
  give(bytes: Uint8Array<ArrayBuffer>): Promise<void>;
}

export interface ChangedTensor {
  readonly dtype: FileDType;
  /** Whether `write` is to be given the bytes of the tensor as they are in the source. */
  readonly wantsStored?: boolean;
  /** Called when its turn comes; writes all bytes. @param stored valid until the promise is settled; empty unless they are wanted */
  readonly write: (stored: Uint8Array<ArrayBuffer>, output: TensorOutput) => Promise<void>;
}

export interface CopySettings {
  readonly metadata: Metadata;
  /** The text that gets "0x" and the SHA-256 of the data section. */
  readonly hashKey: string;
  readonly onProgress?: (done: number, total: number) => void;
  /** Between pieces of work; may throw to stop. */
  readonly pause?: () => Promise<void>;
  /** Looks at the new file before it gets its name, while the system puts it onto the disk; may throw. */
  readonly prove?: (path: string) => Promise<void>;
}

/** Bytes from which on handing memory over is cheaper than copying it. */
const LEAST_GIFT = 1 << 16;
const PLACE = `0x${'0'.repeat(64)}`;

/**
 * @param tensors those of the source, in the order of their bytes
 * @returns SHA-256 of the data section as it was read again, in lower-case hex
 * Errors: `files.*`, `files.differs` when the disk gives back other bytes than it was given; what `write`, `pause` and `prove` throw. Nothing is left behind then.
 */
export async function writeChangedCopy(target: string, source: string, tensors: readonly TensorToCopy[], changed: ReadonlyMap<string, ChangedTensor>, settings: CopySettings): Promise<string> {
  const { hashKey, onProgress, pause, prove } = settings;
  const metadata = { ...(settings.metadata instanceof Map ? Object.fromEntries(settings.metadata) : settings.metadata as Record<string, string>) };
  const header = (text: string): Buffer => headerInOrder(
    tensors.map(({ name, dtype, shape }) => ({ name, dtype: changed.get(name)?.dtype ?? dtype, shape })), { ...metadata, [hashKey]: text },
  );
  const total = tensors.reduce((sum, { length }) => sum + length, 0);
  const from = await open(source, 'r').catch((error: unknown) => {
    throw readError(error, source, 'the base model');
  });
  let hash = '';
  try {
    await writeFileAtomic(target, async (file, temporary) => {
      const first = header(PLACE);
      await writeAt(file, first, 0);
      const place = ({ offset, length }: TensorToCopy): BytesToRead => ({ file: source, offset, length });
      const ahead = await ReadAhead.of(tensors.filter(({ name }) => changed.get(name)?.wantsStored).map(place), 'the base model');
      const output = new Output(file.fd, first.length);
      try {
        let done = 0;
        for (const tensor of tensors) {
          onProgress?.(done, total);
          const own = changed.get(tensor.name);
          const start = output.length;
          if (own) await own.write(own.wantsStored ? await ahead.take(place(tensor)) : NOTHING, output);
          else await copyRange(from, output, tensor, source);
          assert(output.length - start === (sizeOf(tensor.shape) * bitsOf(own?.dtype ?? tensor.dtype)) / 8, `${tensor.name} has the bytes of its shape`);
          done += tensor.length;
          await pause?.();
        }
        hash = await output.end();
        onProgress?.(total, total);
        const last = header(`0x${hash}`);
        assert(last.length === first.length, 'a hash has one length');
        await writeAt(file, last, 0);
      } finally {
        await ahead.close();
        // The file must not be closed under a thread that writes to it.
        await output.close();
      }
      const results = await Promise.allSettled([file.sync(), prove?.(temporary)]);
      for (const result of results) if (result.status === 'rejected') throw result.reason;
    });
  } finally {
    await from.close();
  }
  return hash;
}

const NOTHING = new Uint8Array(0);

/** Collects bytes in pieces, which a thread writes and hashes in their order. */
class Output implements TensorOutput {
  private readonly writer: BackgroundWriter;
  private readonly start: number;
  /** Bytes so far. */
  length = 0;
  private memory: SharedArrayBuffer | null = null;
  private used = 0;
  /** What is still being read into the piece in hand. */
  private reads: Promise<void>[] = [];
  /** Pieces wait for what is read into them, and for those before them. */
  private handedOver: Promise<void> = Promise.resolve();

  constructor(file: number, start: number) {
    this.start = start;
    this.writer = new BackgroundWriter(file);
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.byteLength;) {
      const piece = await this.next(bytes.byteLength - done);
      piece.set(bytes.subarray(done, done + piece.byteLength));
      done += piece.byteLength;
    }
  }

  async give(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    // A part of some memory may lie beside what is needed still, and small things are better joined.
    if (bytes.byteLength !== bytes.buffer.byteLength || bytes.byteLength < LEAST_GIFT) return this.write(bytes);
    this.handOver();
    await this.orLost(this.writer.ready());
    this.length += bytes.byteLength;
    this.send(bytes.buffer, bytes.byteLength, []);
  }

  /** Leaves room for bytes that `read` fetches in the background. @returns how many of them had room */
  async fill(most: number, read: (bytes: Uint8Array) => Promise<void>): Promise<number> {
    const bytes = await this.next(most);
    const reading = read(bytes);
    // It is awaited before the piece is handed over; until then a failure must not count as unhandled.
    reading.catch(() => undefined);
    this.reads.push(reading);
    return bytes.byteLength;
  }

  /** @returns hash of all bytes */
  async end(): Promise<string> {
    this.handOver();
    await this.handedOver;
    return this.writer.finish();
  }

  async close(): Promise<void> {
    // What is being read needs its memory until then.
    await this.handedOver.catch(() => undefined);
    await Promise.allSettled(this.reads);
    await this.writer.close();
  }

  /** The next bytes: as many as asked for, or as have room in the piece. */
  private async next(most: number): Promise<Uint8Array> {
    if (this.used === PIECE) this.handOver();
    this.memory ??= await this.fresh();
    const bytes = new Uint8Array(this.memory, this.used, Math.min(most, PIECE - this.used));
    this.used += bytes.byteLength;
    this.length += bytes.byteLength;
    return bytes;
  }

  private fresh(): Promise<SharedArrayBuffer> {
    return this.orLost(this.writer.take());
  }

  /** A piece that cannot be read never comes back, so waiting for the writer would not end. */
  private orLost<T>(wait: Promise<T>): Promise<T> {
    return Promise.race([wait, this.handedOver.then(() => new Promise<never>(() => {}))]);
  }

  private handOver(): void {
    const { memory, used, reads } = this;
    if (memory === null) return;
    [this.memory, this.used, this.reads] = [null, 0, []];
    this.send(memory, used, reads);
  }

  private send(memory: ArrayBuffer | SharedArrayBuffer, length: number, reads: readonly Promise<void>[]): void {
    const at = this.start + this.length - length;
    const before = this.handedOver;
    this.handedOver = (async () => {
      await Promise.all(reads);
      await before;
      this.writer.put(memory, length, at);
    })();
    this.handedOver.catch(() => undefined);
  }
}

async function writeAt(file: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength;) done += (await file.write(bytes, done, bytes.byteLength - done, at + done)).bytesWritten;
}

async function copyRange(from: FileHandle, output: Output, { offset, length }: TensorToCopy, source: string): Promise<void> {
  for (let done = 0; done < length;) done += await output.fill(length - done, (bytes) => readFully(from, bytes, offset + done, source));
}

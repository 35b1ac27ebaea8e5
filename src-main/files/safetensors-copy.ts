// A changed copy of a safetensors file: some tensors anew, all others byte for byte, names and order as they were. Streamed:
// memory holds a few megabytes and the tensor in hand.
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
  /** Made when its turn comes. */
  readonly data: () => Promise<Uint8Array>;
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
      await output.write(first, false);
      let done = 0;
      for (const tensor of tensors) {
        onProgress?.(done, total);
        const own = changed.get(tensor.name);
        if (own) {
          // The one before is still being written meanwhile.
          const bytes = await own.data();
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

/** Writes one piece while the next is read or made. */
class Output {
  private readonly file: FileHandle;
  private readonly hash: Hash | null;
  private at = 0;
  private underWay: Promise<void> = Promise.resolve();

  constructor(file: FileHandle, hash: Hash | null) {
    this.file = file;
    this.hash = hash;
  }

  /** Begins to write what must not change any more, once what was begun before is written. */
  async start(bytes: Uint8Array): Promise<void> {
    await this.underWay;
    this.underWay = this.put(bytes);
    // It is awaited later; until then a failure must not count as unhandled.
    this.underWay.catch(() => undefined);
    this.hash?.update(bytes);
  }

  async end(): Promise<void> {
    await this.underWay;
  }

  async write(bytes: Uint8Array, isData = true): Promise<void> {
    await this.underWay;
    for (let done = 0; done < bytes.byteLength; done += PIECE) {
      const piece = bytes.subarray(done, done + PIECE);
      const writing = this.put(piece);
      if (isData) this.hash?.update(piece);
      await writing;
    }
  }

  private async put(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.byteLength;) {
      const { bytesWritten } = await this.file.write(bytes, done, bytes.byteLength - done, this.at);
      done += bytesWritten;
      this.at += bytesWritten;
    }
  }
}

async function copyRange(from: FileHandle, output: Output, { offset, length }: TensorToCopy, source: string): Promise<void> {
  // Reads run one piece ahead of writes.
  const buffers = [Buffer.allocUnsafe(Math.min(PIECE, length)), Buffer.allocUnsafe(length > PIECE ? PIECE : 0)] as const;
  const read = async (done: number, buffer: Buffer): Promise<Buffer> => {
    const wanted = Math.min(PIECE, length - done);
    let count = 0;
    while (count < wanted) {
      const { bytesRead } = await from.read(buffer, count, wanted - count, offset + done + count);
      if (bytesRead === 0) throw new UserError('files.changed', `"${source}" ends before its last tensor: it was replaced while it was in use, start again.`, { path: source });
      count += bytesRead;
    }
    return buffer.subarray(0, wanted);
  };
  if (length === 0) return;
  let next = read(0, buffers[0]);
  for (let done = 0, i = 1; done < length; done += PIECE, i++) {
    const piece = await next;
    if (done + PIECE < length) next = read(done + PIECE, buffers[i % 2]!);
    await output.write(piece);
  }
}

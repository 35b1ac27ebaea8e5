// Bytes of files in a known order, each read in the background while the one before is in use.
import { open, type FileHandle } from 'node:fs/promises';
import { assert, UserError } from '../base/errors.ts';
import { readError } from './file-errors.ts';

/** Bytes from the start of a file. */
export interface BytesToRead {
  readonly file: string;
  readonly offset: number;
  readonly length: number;
}

/** `close` it when it is through, whatever happened. */
export class ReadAhead {
  private readonly handles: ReadonlyMap<string, FileHandle>;
  private readonly places: readonly BytesToRead[];
  /** The bytes in use lie in one, the next in the other: fresh memory for each would keep the garbage collector busy. */
  private readonly buffers: [ArrayBuffer, ArrayBuffer] = [new ArrayBuffer(0), new ArrayBuffer(0)];
  private at = 0;
  private next: Promise<Uint8Array<ArrayBuffer>> | undefined;

  private constructor(handles: ReadonlyMap<string, FileHandle>, places: readonly BytesToRead[]) {
    this.handles = handles;
    this.places = places;
    this.begin();
  }

  /** Error: `files.not-found` and other `files.*`. @param what names the files in messages, such as "the base model" */
  static async of(places: readonly BytesToRead[], what: string): Promise<ReadAhead> {
    const handles = new Map<string, FileHandle>();
    try {
      for (const { file } of places) if (!handles.has(file)) handles.set(file, await open(file, 'r'));
    } catch (error) {
      await closeAll(handles);
      throw readError(error, places.find(({ file }) => !handles.has(file))!.file, what);
    }
    return new ReadAhead(handles, places);
  }

  /** The bytes of the next place, aligned for every element type; valid until the next call. Error: `files.changed` */
  async take(place: BytesToRead): Promise<Uint8Array<ArrayBuffer>> {
    const wanted = this.places[this.at];
    assert(wanted?.file === place.file && wanted.offset === place.offset, 'bytes are taken in their order');
    const bytes = await this.next!;
    this.at++;
    this.begin();
    return bytes;
  }

  async close(): Promise<void> {
    // What is being read needs its file and memory until then.
    await this.next?.catch(() => undefined);
    await closeAll(this.handles);
  }

  private begin(): void {
    const place = this.places[this.at];
    if (!place) return;
    const { file, offset, length } = place;
    const slot = this.at % 2;
    if (this.buffers[slot]!.byteLength < length) this.buffers[slot] = new ArrayBuffer(length);
    const bytes = new Uint8Array(this.buffers[slot]!, 0, length);
    this.next = readFully(this.handles.get(file)!, bytes, offset, file).then(() => bytes);
    // It is awaited when its turn comes; until then a failure must not count as unhandled.
    this.next.catch(() => undefined);
  }
}

async function closeAll(handles: ReadonlyMap<string, FileHandle>): Promise<void> {
  for (const handle of handles.values()) await handle.close();
}

/** Fills `bytes` from a file. Error: `files.changed`. */
export async function readFully(from: FileHandle, bytes: Uint8Array, offset: number, path: string): Promise<void> {
  for (let count = 0; count < bytes.byteLength;) {
    const { bytesRead } = await from.read(bytes, count, bytes.byteLength - count, offset + count);
    if (bytesRead === 0) throw new UserError('files.changed', `"${path}" ends before its last tensor: it was replaced while it was in use, start again.`, { path });
    count += bytesRead;
  }
}

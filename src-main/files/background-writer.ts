// Writes a file in order from a thread of its own, reads it again, and takes the hash of what it read: whoever makes the bytes goes
// on meanwhile. Both share a few pieces of memory that go round. Memory that somebody else has made moves to the thread for good:
// it would count as new, and be collected as such, each time that it came back.
import { Worker } from 'node:worker_threads';
import { assert } from '../base/errors.ts';

/** Bytes of one piece: it should still be in the processor's cache when it is compared and hashed. */
export const PIECE = 1 << 20;
/** Pieces that are filled, written or hashed at once. */
const MOST_PIECES = 48;
/** Bytes after which the system is asked to put what it holds onto the disk: otherwise all of it would have to wait at the end. */
const FLUSHED = 1 << 28;

/**
 * What the thread does. A text, because it has to run from sources and from bundles alike. Writes go one after the other (the
 * system allows one at a time for a file) on another thread than the hash. `EDIFFERS` is our own: the file gives back other
 * bytes than it was given.
 */
const WORK = `
const { parentPort, workerData: { file, flushed } } = require('node:worker_threads');
const { createHash } = require('node:crypto');
const { fdatasync, readSync, write } = require('node:fs');
const hash = createHash('sha256');
const queue = [];
let again = new Uint8Array(0);
let unflushed = 0;
let isFlushing = false;
let isFailed = false;
let hasAll = false;
const fail = ({ code, message }) => {
  if (!isFailed) parentPort.postMessage({ code, message });
  isFailed = true;
};
const writeFrom = (bytes, at, done, settle) => {
  if (done === bytes.byteLength) return settle(null);
  write(file, bytes, done, bytes.byteLength - done, at + done, (error, count) => (error ? settle(error) : writeFrom(bytes, at, done + count, settle)));
};
const next = () => {
  const { memory, length, at } = queue[0];
  writeFrom(new Uint8Array(memory, 0, length), at, 0, (error) => {
    const piece = queue.shift();
    if (isFailed || error) return error && fail(error);
    if (queue.length > 0) next();
    try {
      check(piece);
    } catch (problem) {
      return fail(problem);
    }
    parentPort.postMessage(memory instanceof SharedArrayBuffer ? { memory } : { length });
    flush(length);
    endIfDone();
  });
};
const check = ({ memory, length, at }) => {
  if (again.byteLength < length) again = new Uint8Array(length);
  for (let done = 0, count; done < length; done += count) {
    count = readSync(file, again, done, length - done, at + done);
    if (count === 0) throw { code: 'EDIFFERS', message: 'the file is shorter than what was written' };
  }
  const found = again.subarray(0, length);
  if (Buffer.compare(found, new Uint8Array(memory, 0, length)) !== 0) throw { code: 'EDIFFERS', message: 'the file holds other bytes than were written' };
  hash.update(found);
};
const flush = (length) => {
  unflushed += length;
  if (isFlushing || unflushed < flushed) return;
  [unflushed, isFlushing] = [0, true];
  fdatasync(file, (error) => {
    isFlushing = false;
    if (error) return fail(error);
    endIfDone();
  });
};
const endIfDone = () => {
  if (hasAll && queue.length === 0 && !isFlushing && !isFailed) parentPort.postMessage({ digest: hash.digest('hex') });
};
parentPort.on('message', (piece) => {
  if (piece === null) {
    hasAll = true;
    endIfDone();
  } else if (queue.push(piece) === 1) next();
});
`;

type Said = { readonly memory: SharedArrayBuffer } | { readonly length: number } | { readonly digest: string } | { readonly code?: string; readonly message: string };

export class BackgroundWriter {
  private readonly worker: Worker;
  private readonly free: SharedArrayBuffer[] = [];
  private readonly waiting: (() => void)[] = [];
  private made = 0;
  private underWay = 0;
  private digest: string | null = null;
  private failure: Error | null = null;
  private end = -1;

  /** @param file number of a file open for writing and reading, which must stay open until `close` has settled */
  constructor(file: number) {
    this.worker = new Worker(WORK, { eval: true, workerData: { file, flushed: FLUSHED }, execArgv: [] });
    this.worker.on('message', (said: Said) => this.heard(said));
    this.worker.on('error', (error) => this.failed(error instanceof Error ? error : new Error(String(error))));
    this.worker.on('exit', () => this.failed(new Error('the thread that writes ended early')));
  }

  /** Memory of `PIECE` bytes; waits until some is free. Throws what went wrong with earlier pieces. */
  async take(): Promise<SharedArrayBuffer> {
    await this.until(() => this.free.length > 0 || this.made < MOST_PIECES);
    const known = this.free.pop();
    if (known) return known;
    this.made++;
    return new SharedArrayBuffer(PIECE);
  }

  /** Waits until so little is under way that memory of somebody else's may be put. */
  async ready(): Promise<void> {
    await this.until(() => this.underWay < MOST_PIECES);
  }

  /**
   * Writes the first bytes of some memory at a place of the file, where those before it end. What `take` gave is the thread's
   * until `take` gives it again, other memory for good.
   */
  put(memory: SharedArrayBuffer | ArrayBuffer, length: number, at: number): void {
    // What was read again must stay as it was.
    assert(this.end < 0 || at === this.end, 'pieces follow each other');
    this.end = at + length;
    this.underWay++;
    this.worker.postMessage({ memory, length, at }, memory instanceof ArrayBuffer ? [memory] : []);
  }

  /** Waits until all is written and read again. @returns SHA-256 of what the file holds, in lower-case hex. Error: `EDIFFERS` */
  async finish(): Promise<string> {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    this.worker.postMessage(null);
    await this.until(() => this.digest !== null && this.underWay === 0);
    return this.digest!;
  }

  /** Ends the thread, at the latest when the write that it is in is through. */
  async close(): Promise<void> {
    await this.worker.terminate();
  }

  private heard(said: Said): void {
    if ('memory' in said || 'length' in said) {
      this.underWay--;
      if ('memory' in said) this.free.push(said.memory);
    } else if ('digest' in said) this.digest = said.digest;
    else this.failure ??= Object.assign(new Error(said.message), { code: said.code });
    this.wake();
  }

  private failed(error: Error): void {
    this.failure ??= error;
    this.wake();
  }

  private wake(): void {
    for (const go of this.waiting.splice(0)) go();
  }

  private async until(isSo: () => boolean): Promise<void> {
    for (;;) {
      if (this.failure) throw this.failure;
      if (isSo()) return;
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }
}

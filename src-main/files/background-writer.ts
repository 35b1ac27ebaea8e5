// Writes a file in order from a thread of its own, and takes its hash on the way: whoever makes the bytes goes on meanwhile.
// Both share a few pieces of memory that go round. Memory that somebody else has made moves to the thread for good: it would
// count as new, and be collected as such, each time that it came back.
import { Worker } from 'node:worker_threads';

/** Bytes of one piece: it should still be in the processor's cache when it is hashed and written. */
export const PIECE = 1 << 22;
/** Pieces that are filled, hashed or written at once. */
const MOST_PIECES = 16;

/**
 * What the thread does. A text, because it has to run from sources and from bundles alike. Writes go one after the other (the
 * system allows one at a time for a file) on another thread than the hash.
 */
const WORK = `
const { parentPort, workerData: { file } } = require('node:worker_threads');
const { createHash } = require('node:crypto');
const { write } = require('node:fs');
const hash = createHash('sha256');
const writeFrom = (bytes, at, done, settle) => {
  if (done === bytes.byteLength) return settle(null);
  write(file, bytes, done, bytes.byteLength - done, at + done, (error, count) => (error ? settle(error) : writeFrom(bytes, at, done + count, settle)));
};
const queue = [];
const next = () => {
  const { memory, length, at } = queue[0];
  writeFrom(new Uint8Array(memory, 0, length), at, 0, (error) => {
    queue.shift();
    if (error) return parentPort.postMessage({ code: error.code, message: error.message });
    parentPort.postMessage(memory instanceof SharedArrayBuffer ? { memory } : { length });
    if (queue.length > 0) next();
  });
};
parentPort.on('message', (piece) => {
  if (piece === null) return parentPort.postMessage({ digest: hash.digest('hex') });
  if (queue.push(piece) === 1) next();
  hash.update(new Uint8Array(piece.memory, 0, piece.length));
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

  /** @param file number of an open file, which must stay open until `close` has settled */
  constructor(file: number) {
    this.worker = new Worker(WORK, { eval: true, workerData: { file }, execArgv: [] });
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
   * Writes the first bytes of some memory at a place of the file; hashed in the order of calls. What `take` gave is the thread's
   * until `take` gives it again, other memory for good.
   */
  put(memory: SharedArrayBuffer | ArrayBuffer, length: number, at: number): void {
    this.underWay++;
    this.worker.postMessage({ memory, length, at }, memory instanceof ArrayBuffer ? [memory] : []);
  }

  /** Waits until all is written. @returns SHA-256 of all that was put, in lower-case hex */
  async end(): Promise<string> {
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

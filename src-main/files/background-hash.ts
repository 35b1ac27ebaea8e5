// The hash of what a file holds, on a thread of its own: gigabytes take seconds, in which other work goes on.
import { Worker } from 'node:worker_threads';

/** A text, because it has to run from sources and from bundles alike. */
const WORK = `
const { parentPort, workerData: { path, start } } = require('node:worker_threads');
const { createHash } = require('node:crypto');
const { openSync, readSync } = require('node:fs');
const hash = createHash('sha256');
const piece = Buffer.allocUnsafe(1 << 22);
const file = openSync(path, 'r');
for (let at = start, count; (count = readSync(file, piece, 0, piece.length, at)) > 0; at += count) hash.update(piece.subarray(0, count));
parentPort.postMessage(hash.digest('hex'));
`;

/**
 * SHA-256 of a file from a place on, in lower-case hex. Errors: those of reading.
 * @param signal rejects with its reason
 */
export async function hashInBackground(path: string, start: number, signal?: AbortSignal): Promise<string> {
  signal?.throwIfAborted();
  const worker = new Worker(WORK, { eval: true, workerData: { path, start }, execArgv: [] });
  try {
    return await new Promise<string>((resolve, reject) => {
      worker.on('message', resolve);
      worker.on('error', reject);
      worker.on('exit', () => reject(new Error('the thread that hashes ended early')));
      signal?.addEventListener('abort', () => reject(signal.reason as Error));
    });
  } finally {
    // What it has opened is closed with it.
    await worker.terminate();
  }
}

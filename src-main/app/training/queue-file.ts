// What is left to train, so that it outlives the program: one small file, the run at work first.

import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { serialQueue } from '../../base/async.ts';
import { catalogFields } from '../../catalog/index.ts';
import type { Job } from '../../contract/job.ts';
import { parseJob } from '../../contract/parse-job.ts';
import { writeFileAtomic } from '../../files/atomic-write.ts';
import { readObject } from '../settings.ts';

export interface StoredEntry {
  /** Folder of the run; it is not there before the run has begun. */
  readonly folder: string;
  /** Folder of the project. */
  readonly project: string;
  readonly job: Job;
  readonly created: number;
}

export interface QueueFile {
  /** Entries of the last session whose job still holds; a damaged file is an empty one. */
  read(): StoredEntry[];
  /** Writes one after the other; only the last state counts. */
  write(entries: readonly StoredEntry[]): void;
  /** Settles when everything is on disk. */
  settled(): Promise<void>;
}

export function openQueueFile(dataFolder: string): QueueFile {
  const file = join(dataFolder, 'queue.json');
  const inTurn = serialQueue();
  let last: Promise<void> = Promise.resolve();
  let written = '';
  return {
    read: () => {
      const { runs } = readObject(file);
      return Array.isArray(runs) ? runs.flatMap(readEntry) : [];
    },
    write: (entries) => {
      const text = `${JSON.stringify({ version: 1, runs: entries }, null, 2)}\n`;
      if (text === written || (written === '' && entries.length === 0 && !existsSync(file))) return;
      written = text;
      // A list that cannot be written costs the list, not the training.
      last = inTurn(() => writeFileAtomic(file, text)).catch(() => {});
    },
    settled: () => last,
  };
}

function readEntry(value: unknown): StoredEntry[] {
  const { folder, project, job, created } = (value ?? {}) as Record<string, unknown>;
  if (typeof folder !== 'string' || typeof project !== 'string' || typeof job !== 'object' || job === null) return [];
  const parsed = parseJob(job as Record<string, unknown>, catalogFields());
  return parsed.ok ? [{ folder, project, job: parsed.job, created: typeof created === 'number' ? created : 0 }] : [];
}

// A run on disk: job.json, events.jsonl (append-only), checkpoints/, samples/, exports/, tensorboard/.
import { existsSync, readdirSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../base/errors.ts';
import { eventLine, parseEventLine, type TrainEvent, type TrainEventBody } from '../contract/events.ts';
import type { Job } from '../contract/job.ts';
import { lockFolder, LOCK_FILE, type FolderLock } from '../files/folder-lock.ts';
import { jobFileOf } from '../files/run-files.ts';
import { appendLine, makeFolder, readLines, writeFileAtomic } from '../files/atomic-write.ts';

/** Values that a run started from, when those of an adapter file. */
export const START_FILE = 'start.safetensors';

export interface RunFolder {
  readonly path: string;
  readonly checkpoints: string;
  readonly samples: string;
  readonly exports: string;
}

/** A run that this process alone writes to until it is released. */
export interface OpenRunFolder extends RunFolder, FolderLock {}

/** A process that was asked to end may still be writing its last checkpoint. */
const PATIENCE_MILLISECONDS = 10_000;
const POLL_MILLISECONDS = 100;

/**
 * Makes the folder of a new run, or opens the one to resume.
 * @param patience how long another process may still have the run that is resumed, in milliseconds
 * Errors: `run.not-empty`, `run.not-a-folder`, `run.missing`, `run.in-use`, those of writing.
 */
export async function openRunFolder(path: string, job: Job, resume: boolean, patience = PATIENCE_MILLISECONDS): Promise<OpenRunFolder> {
  if (resume) jobFileOf(path);
  if (!resume && existsSync(path) && !statSync(path).isDirectory()) {
    throw new UserError('run.not-a-folder', `"${path}" is a file: choose another --out for the folder of the run.`, { path });
  }
  if (!resume && existsSync(path) && readdirSync(path).length > 0) {
    throw new UserError('run.not-empty', `"${path}" already holds something: choose another --out, or --resume it.`, { path });
  }
  const folder = { path, checkpoints: join(path, 'checkpoints'), samples: join(path, 'samples'), exports: join(path, 'exports') };
  await makeFolder(path);
  const { release } = await lockRun(path, resume ? patience : 0);
  try {
    for (const each of [folder.checkpoints, folder.samples, folder.exports]) await makeFolder(each);
    if (!resume) await writeFileAtomic(join(path, 'job.json'), `${JSON.stringify(job, null, 2)}\n`);
  } catch (error) {
    release();
    throw error;
  }
  return { ...folder, release };
}

async function lockRun(path: string, patience: number): Promise<FolderLock> {
  for (let waited = 0; ; waited += POLL_MILLISECONDS) {
    const lock = lockFolder(path);
    if ('release' in lock) return lock;
    if (waited >= patience) {
      throw new UserError('run.in-use', `Another process (${lock.heldBy}) is training in "${path}": wait for it or stop it, or choose another --out. If there is none, remove "${join(path, LOCK_FILE)}".`, { path, pid: lock.heldBy });
    }
    await sleep(POLL_MILLISECONDS);
  }
}

/** Removes what `openRunFolder` and the logs of a run made, and the folder itself if it `isOurs`; never anything else. */
export function discardRunFolder({ path, checkpoints, samples, exports }: RunFolder, isOurs: boolean): void {
  for (const name of ['job.json', 'events.jsonl', 'tensorboard', START_FILE]) rmSync(join(path, name), { recursive: true, force: true });
  for (const folder of [checkpoints, samples, exports, ...(isOurs ? [path] : [])]) {
    if (existsSync(folder) && readdirSync(folder).length === 0) rmdirSync(folder);
  }
}

/** The event log of a run. Sequence numbers go on after a resume. */
export class EventLog {
  private readonly file: string;
  private readonly listener: (event: TrainEvent) => void;
  private next: number;

  constructor(runFolder: string, listener: (event: TrainEvent) => void) {
    this.file = join(runFolder, 'events.jsonl');
    this.listener = listener;
    this.next = (readEvents(runFolder).at(-1)?.seq ?? -1) + 1;
  }

  emit(body: TrainEventBody): void {
    const event = { ...body, seq: this.next++, time: Date.now() } as TrainEvent;
    // Progress of a phase is for eyes; the log keeps what happened.
    if (event.kind !== 'phase') appendLine(this.file, eventLine(event));
    this.listener(event);
  }
}

export function readEvents(runFolder: string): TrainEvent[] {
  const file = join(runFolder, 'events.jsonl');
  if (!existsSync(file)) return [];
  return readLines(file).map(parseEventLine).filter((event) => event !== null);
}

/** Kinds of events that only a loop at work emits. */
const WORK: readonly TrainEvent['kind'][] = ['step', 'probe', 'sample', 'checkpoint'];

/** Seconds of training in all processes of a run, pauses and interruptions not counted. */
export function trainedSeconds(events: readonly TrainEvent[]): number {
  let milliseconds = 0;
  let from: number | null = null;
  for (const { kind, time } of events) {
    if (kind === 'started') from = time;
    else if (from !== null && WORK.includes(kind)) {
      milliseconds += Math.max(0, time - from);
      from = time;
    }
  }
  return milliseconds / 1000;
}

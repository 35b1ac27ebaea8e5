// A run on disk: job.json, events.jsonl (append-only), checkpoints/, samples/, exports/, tensorboard/.
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../base/errors.ts';
import { eventLine, parseEventLine, type TrainEvent, type TrainEventBody } from '../contract/events.ts';
import type { Job } from '../contract/job.ts';
import { appendLine, makeFolder, readLines, writeFileAtomic } from '../files/atomic-write.ts';

export interface RunFolder {
  readonly path: string;
  readonly checkpoints: string;
  readonly samples: string;
  readonly exports: string;
}

/** Makes the folder of a new run, or opens the one to resume. Errors: `run.not-empty`, `run.missing`. */
export async function openRunFolder(path: string, job: Job, resume: boolean): Promise<RunFolder> {
  const jobFile = join(path, 'job.json');
  if (resume && !existsSync(jobFile)) {
    throw new UserError('run.missing', `There is no run to resume at "${path}": it has no job.json.`, { path });
  }
  if (!resume && existsSync(path) && readdirSync(path).length > 0) {
    throw new UserError('run.not-empty', `"${path}" already holds something: choose another --out, or --resume it.`, { path });
  }
  const folder = { path, checkpoints: join(path, 'checkpoints'), samples: join(path, 'samples'), exports: join(path, 'exports') };
  await makeFolder(path);
  for (const each of [folder.checkpoints, folder.samples, folder.exports]) mkdirSync(each, { recursive: true });
  if (!resume) await writeFileAtomic(jobFile, `${JSON.stringify(job, null, 2)}\n`);
  return folder;
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

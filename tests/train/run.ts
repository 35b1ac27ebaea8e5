// Runs of the tiny model for tests: a place with model, pictures and cache, and what a run left behind.
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import type { TrainEvent, TrainEventKind, TrainEventOf } from '../../src-main/contract/events.ts';
import type { Job, JobInput } from '../../src-main/contract/job.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import { runJob, type RunRequest } from '../../src-main/train/run-job.ts';
import { writePicture, writeText } from '../dataset/pictures.ts';
import { tinyJob, writeTinyModel } from './tiny-model.ts';

export interface Place {
  readonly folder: string;
  readonly model: string;
  readonly pictures: string;
  readonly cache: string;
}

/** A folder for a test file, with the tiny model in it; removed at the end. */
export function usePlace(): Place {
  const folder = mkdtempSync(join(tmpdir(), 'adora-train-'));
  beforeAll(async () => {
    await writeTinyModel(folder);
    await writePictures(join(folder, 'pictures'), 6);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return { folder, model: join(folder, 'model'), pictures: join(folder, 'pictures'), cache: join(folder, 'cache') };
}

/** Pictures of 16 x 16 pixels, each with stripes of its own, and captions. */
export async function writePictures(folder: string, count: number, shift = 0): Promise<string> {
  for (let i = 0; i < count; i++) {
    const name = join(folder, `${i}.png`);
    await writePicture(name, 16, 16, (x, y) => [(40 * i + 9 * x) % 256, ((x * (i + 1) + y) % 4) * 60, (shift + 13 * y) % 256]);
    writeText(name.replace('.png', '.txt'), `${['red', 'green', 'blue'][i % 3]} stripes, ${i}`);
  }
  return folder;
}

export type JobChanges = Partial<Omit<JobInput, 'train'>> & { readonly train?: Partial<NonNullable<JobInput['train']>> };

/** A DoRA job of 6 steps; `changes` replace whole sections but `train`, whose keys are merged. */
export const jobAt = ({ model, pictures }: Place, changes: JobChanges = {}): Job => tinyJob({
  base: { model }, data: { folders: [{ path: pictures }] },
  adapter: { kind: 'dora', targets: 'attention', rank: 2, alpha: 2 },
  optimizer: { kind: 'adamw', learningRate: 3e-3 },
  ...changes,
  train: { steps: 6, saveEvery: 2, keep: 2, probeEvery: 0, ...changes.train },
});

export interface Ran {
  readonly end: 'finished' | 'interrupted';
  readonly folder: string;
  readonly events: readonly TrainEvent[];
}

let count = 0;
const runtime = createOnnxRuntime({ device: 'cpu', threads: 1 });

/** Runs a job in a new folder of the place, or the one given. One thread: many small sessions, and others run beside. */
export async function train(place: Place, job: Job, more: Partial<RunRequest> = {}): Promise<Ran> {
  const runFolder = more.runFolder ?? join(place.folder, `run-${count++}`);
  const events: TrainEvent[] = [];
  const end = await runJob({
    job, runFolder, resume: false, cacheFolder: place.cache, control: { shouldStop: () => false },
    chosen: { runtime, compute: 'f32', scalesLoss: false },
    ...more,
    onEvent: (event) => {
      events.push(event);
      more.onEvent?.(event);
    },
  });
  return { end, folder: runFolder, events };
}

export const eventsOf = <K extends TrainEventKind>(events: readonly TrainEvent[], kind: K): TrainEventOf<K>[] =>
  events.filter((event): event is TrainEventOf<K> => event.kind === kind);

/** SHA-256 of every file under the given folders of a run, by path. */
export function filesOf(run: string, folders: readonly string[] = ['checkpoints', 'exports', 'samples']): Record<string, string> {
  const all = folders.flatMap((name) => (existsSync(join(run, name)) ? readdirSync(join(run, name), { recursive: true, withFileTypes: true }) : []));
  const files = all.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)).sort();
  return Object.fromEntries(files.map((file) => [relative(run, file), createHash('sha256').update(readFileSync(file)).digest('hex')]));
}

// What a run on disk is, from its job.json and its event log.

import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';

import type { Problem } from '../../contract/api.ts';
import { parseEventLine, type TrainEvent } from '../../contract/events.ts';
import { courseOf } from '../../contract/run-course.ts';
import { readLines } from '../../files/atomic-write.ts';
import { readObject } from '../settings.ts';

/** What events say of a run, without its charts. */
export interface RunFacts {
  readonly step: number;
  readonly total: number;
  readonly model: string;
  readonly device: string;
  readonly adapter: string;
  readonly loss: number | null;
  readonly firstProbe: number | null;
  readonly lastProbe: number | null;
  readonly seconds: number | null;
  readonly checkpoint: number | null;
  /** Path of the last picture. */
  readonly lastSample: string | null;
  /** How it ended; null while it goes on, or when it broke off. */
  readonly end: 'finished' | 'failed' | 'interrupted' | 'paused' | null;
  readonly problem: Problem | null;
  readonly created: number;
}

export const noFacts: RunFacts = {
  step: 0, total: 0, model: '', device: '', adapter: '', loss: null, firstProbe: null, lastProbe: null, seconds: null, checkpoint: null, lastSample: null,
  end: null, problem: null, created: 0,
};

export function foldFacts(facts: RunFacts, event: TrainEvent): RunFacts {
  const now = facts.created === 0 ? { ...facts, created: event.time } : facts;
  switch (event.kind) {
    case 'started': return { ...now, step: event.fromStep, total: event.job.steps, model: event.job.model, device: event.device, adapter: event.job.adapter, end: null, problem: null };
    case 'step': return { ...now, step: event.step, total: event.total, loss: event.loss, end: null };
    case 'probe': return { ...now, firstProbe: now.firstProbe ?? event.loss, lastProbe: event.loss };
    case 'sample': return { ...now, lastSample: event.file };
    case 'checkpoint': return { ...now, checkpoint: event.step };
    case 'paused': return { ...now, end: 'paused', step: event.step };
    case 'resumed': return { ...now, end: null };
    case 'failed': return { ...now, end: 'failed', problem: { code: event.code, message: event.text, ...(event.data === undefined ? {} : { details: event.data }) } };
    case 'interrupted': return { ...now, end: 'interrupted', step: event.step };
    case 'finished': return { ...now, end: 'finished', step: event.step, seconds: event.seconds };
    default: return now;
  }
}

export interface StoredRun {
  readonly folder: string;
  readonly name: string;
  readonly job: Readonly<Record<string, unknown>>;
  readonly facts: RunFacts;
}

const logOf = (folder: string): string => join(folder, 'events.jsonl');
const known = new Map<string, { readonly stamp: string; readonly facts: RunFacts }>();

/** Events of the log; a torn last line is left out. */
export const readRunEvents = (folder: string): TrainEvent[] =>
  readLines(logOf(folder)).map(parseEventLine).filter((event) => event !== null);

function factsOf(folder: string): RunFacts {
  const stat = statSync(logOf(folder), { throwIfNoEntry: false });
  if (!stat) return noFacts;
  const stamp = `${stat.size}:${stat.mtimeMs}`;
  const before = known.get(folder);
  if (before?.stamp === stamp) return before.facts;
  const facts = courseOf(readRunEvents(folder)).reduce(foldFacts, noFacts);
  known.set(folder, { stamp, facts });
  return facts;
}

/** Null when there is no run in the folder. */
export function readRun(folder: string): StoredRun | null {
  if (!existsSync(join(folder, 'job.json'))) return null;
  const job = readObject(join(folder, 'job.json'));
  const facts = factsOf(folder);
  const text = (value: unknown, key: string): string => {
    const found = (value as Record<string, unknown> | undefined)?.[key];
    return typeof found === 'string' ? found : '';
  };
  const steps = (job['train'] as { steps?: unknown } | undefined)?.steps;
  return {
    folder, job, name: typeof job['name'] === 'string' ? job['name'] : basename(folder),
    facts: {
      ...facts,
      total: facts.total > 0 ? facts.total : typeof steps === 'number' ? steps : 0,
      model: facts.model || basename(text(job['base'], 'model')),
      adapter: facts.adapter || text(job['adapter'], 'kind'),
      created: facts.created || statSync(join(folder, 'job.json')).mtimeMs,
    },
  };
}

/** Runs of a project, newest first. */
export function listRuns(runsFolder: string): StoredRun[] {
  if (!existsSync(runsFolder)) return [];
  const runs = readdirSync(runsFolder).flatMap((name) => readRun(join(runsFolder, name)) ?? []);
  return runs.sort((a, b) => b.facts.created - a.facts.created);
}

/** Where runs of a project have written their exports. */
export const exportFoldersOf = (runsFolder: string): string[] =>
  (existsSync(runsFolder) ? readdirSync(runsFolder) : []).map((name) => join(runsFolder, name, 'exports')).filter((folder) => existsSync(folder));

/** Saved steps, ascending, with the sizes of their files. */
export function checkpointsOf(folder: string): { step: number; bytes: number; path: string }[] {
  const place = join(folder, 'checkpoints');
  const names = existsSync(place) ? readdirSync(place) : [];
  return names.flatMap((name) => {
    const match = /^step-(\d{6,})\.safetensors$/.exec(name);
    return match ? [{ step: Number(match[1]), bytes: statSync(join(place, name)).size, path: join(place, name) }] : [];
  }).sort((a, b) => a.step - b.step);
}


// Checkpoints: one safetensors file with all trained values, optimizer state and the loop's own few numbers. Written
// atomically; nothing in them depends on the clock, so that equal runs give equal files.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../base/errors.ts';
import { sameShape, showShape, type Shape } from '../base/shape.ts';
import { openSafetensors } from '../files/safetensors.ts';
import { writeSafetensors } from '../files/safetensors-write.ts';
import type { HostTensor } from '../runtime/runtime.ts';
import type { ModelIdentity } from './model-identity.ts';

/** What the loop has to remember besides tensors. */
export interface LoopState {
  /** Optimizer steps done. */
  readonly step: number;
  /** Factor of dynamic loss scaling. */
  readonly lossScale: number;
  /** Steps since the factor changed. */
  readonly goodSteps: number;
  /** Updates that were left out because a gradient was not finite. */
  readonly skipped: number;
  /** Loss of the measuring batches before the first step. */
  readonly firstProbe: number | null;
  readonly lastProbe: number | null;
  /** Fingerprint of the data set, to tell when it was changed. */
  readonly dataset: string;
  /** The first steps have been judged; older checkpoints do not say it. */
  readonly isProved?: boolean;
  /** What is still to be made of the step before the next one: the measurement and what follows it, or the preview alone. */
  readonly pending?: 'probe' | 'preview';
  /** The base model, to tell when it was changed; older checkpoints have none. */
  readonly model?: ModelIdentity;
}

export interface Checkpoint {
  readonly state: LoopState;
  readonly values: ReadonlyMap<string, HostTensor>;
}

const FILE = /^step-(\d{6,})\.safetensors$/;
const nameOf = (step: number): string => `step-${String(step).padStart(6, '0')}.safetensors`;

export async function saveCheckpoint(folder: string, { state, values }: Checkpoint): Promise<string> {
  const path = join(folder, nameOf(state.step));
  const tensors = [...values].map(([name, { shape, data }]) => ({ name, dtype: 'f32' as const, shape, data }));
  await writeSafetensors(path, tensors, { 'adora.checkpoint': JSON.stringify(state) });
  return path;
}

/** Errors: `checkpoint.foreign`, those of the file. */
export function loadCheckpoint(path: string): Checkpoint {
  const file = openSafetensors(path);
  const state = parseState(file.metadata.get('adora.checkpoint'));
  if (!state) throw new UserError('checkpoint.foreign', `"${path}" is not a checkpoint of a run: name the folder of a run.`, { path });
  const values = new Map<string, HostTensor>();
  for (const [name, { shape }] of file.tensors) values.set(name, { dtype: 'f32', shape, data: file.readF32(name) });
  return { state, values };
}

/** What a checkpoint says of its run; null for another file. Reads the header only. */
export const checkpointState = (path: string): LoopState | null => parseState(openSafetensors(path).metadata.get('adora.checkpoint'));

function parseState(text: string | undefined): LoopState | null {
  try {
    const state = JSON.parse(text ?? '') as LoopState | null;
    return Number.isInteger(state?.step) ? state : null;
  } catch {
    return null;
  }
}

/**
 * Every trained tensor must be in the checkpoint with its shape; states may be missing (a job that keeps an average from
 * now on). Error: `checkpoint.other-job`.
 */
export function checkValues({ values }: Pick<Checkpoint, 'values'>, tensors: readonly { readonly name: string; readonly shape: Shape }[]): void {
  for (const { name, shape } of tensors) {
    const saved = values.get(name);
    if (saved && sameShape(saved.shape, shape)) continue;
    const found = saved ? `is ${showShape(saved.shape)} there and ${showShape(shape)} in the job` : 'is not in it';
    throw new UserError('checkpoint.other-job', `The checkpoint belongs to another job: "${name}" ${found}. Undo the change in the run's job.json, or start a new run.`, { name });
  }
}

/** Checkpoints of a run, oldest first. */
export function listCheckpoints(folder: string): { step: number; path: string }[] {
  if (!existsSync(folder)) return [];
  const matches = readdirSync(folder).map((name) => FILE.exec(name)).filter((match) => match !== null);
  return matches.map((match) => ({ step: Number(match[1]), path: join(folder, match[0]) })).sort((a, b) => a.step - b.step);
}

/** The newest checkpoint that can be read, and the ones that cannot. */
export function newestCheckpoint(folder: string): { checkpoint: Checkpoint | null; broken: readonly string[] } {
  const broken: string[] = [];
  for (const { path } of listCheckpoints(folder).reverse()) {
    try {
      return { checkpoint: loadCheckpoint(path), broken };
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      broken.push(path);
    }
  }
  return { checkpoint: null, broken };
}

/** Deletes all but the newest `keep` up to the step that was saved last; later ones are broken files of an earlier try. */
export function pruneCheckpoints(folder: string, keep: number, saved: number): void {
  for (const { path } of listCheckpoints(folder).filter(({ step }) => step <= saved).slice(0, -keep)) rmSync(path, { force: true });
}

// A run that lies on disk, opened to look at: for analysis, pictures, exports.
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { UserError } from '../base/errors.ts';
import { catalogFields } from '../catalog/index.ts';
import { issueLine } from '../contract/issue.ts';
import type { Job } from '../contract/job.ts';
import { parseJob } from '../contract/parse-job.ts';
import { jobFileOf } from '../files/run-files.ts';
import { openSafetensors } from '../files/safetensors.ts';
import type { HostTensor } from '../runtime/runtime.ts';
import { listCheckpoints } from './checkpoint.ts';
import type { ChosenRuntime } from './choose-runtime.ts';
import { openBase } from './open-model.ts';
import { makePlan } from './plan.ts';
import type { OpenRun } from './run-job.ts';
import { averageName } from './update-graph.ts';

/** Reads and checks the job of a run. Errors: `run.missing`, `run.bad-job`. */
export function readRunJob(path: string): Job {
  const file = jobFileOf(path);
  let issue = 'it is not JSON.';
  try {
    const result = parseJob(JSON.parse(readFileSync(file, 'utf8')), catalogFields());
    if (result.ok) return result.job;
    issue = result.issues.map(issueLine).join(' ');
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new UserError('run.bad-job', `The job of the run at "${path}" cannot be used: ${issue}`, { path });
}

/** Errors: those of `readRunJob` and of opening the base model. */
export function openRun(path: string, { runtime, compute }: Pick<ChosenRuntime, 'runtime' | 'compute'>): OpenRun {
  const root = resolve(path);
  const job = readRunJob(root);
  const { baseModel, model } = openBase(job);
  const plan = makePlan(job, model, baseModel, compute);
  const folder = { path: root, checkpoints: join(root, 'checkpoints'), samples: join(root, 'samples'), exports: join(root, 'exports') };
  return { job, folder, model, baseModel, plan, runtime };
}

/** What is shown and exported of a checkpoint, by name: the running averages if there are any. Error: `checkpoint.foreign`. */
export function openSavedValues(path: string): (name: string) => HostTensor {
  const file = openSafetensors(path);
  return (name) => {
    const key = file.tensors.has(averageName(name)) ? averageName(name) : name;
    const found = file.tensors.get(key);
    if (!found) throw new UserError('checkpoint.foreign', `The checkpoint "${path}" does not belong to its job: it has no "${name}".`, { path, name });
    return { dtype: 'f32', shape: found.shape, data: file.readF32(key) };
  };
}

/** The checkpoint of a step, or the last one. Errors: `run.no-checkpoint`. */
export function chooseCheckpoint({ folder }: Pick<OpenRun, 'folder'>, step?: number): { step: number; path: string } {
  const all = listCheckpoints(folder.checkpoints);
  const found = step === undefined ? all.at(-1) : all.find((each) => each.step === step);
  if (found) return found;
  const what = all.length === 0 ? 'has no checkpoint yet: train on' : `has no checkpoint of step ${step}: choose one of ${all.map((each) => each.step).join(', ')}`;
  throw new UserError('run.no-checkpoint', `The run at "${folder.path}" ${what}.`, { path: folder.path, step: step ?? null });
}

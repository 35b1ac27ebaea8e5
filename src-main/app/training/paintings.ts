// Pictures for comparing: each is painted once and kept in the run's folder.

import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { UserError } from '../../base/errors.ts';
import type { RenderItem } from '../../contract/api.ts';
import { defaultSampler, type Job } from '../../contract/job.ts';
import type { PaintRequest } from '../../contract/trainer.ts';
import type { StudioContext } from '../studio-context.ts';
import { callTrainer, finished } from '../trainer/call.ts';
import { WAITS } from './device-turns.ts';
import { checkpointsOf } from './run-record.ts';

export interface PaintingNeeds {
  readonly folderOf: (runId: string) => string;
  readonly jobOf: (folder: string) => Job;
}

export interface Asked {
  /** Of each item its file, or null while it is not painted. */
  readonly files: readonly (string | null)[];
  /** Paints what is missing. */
  readonly taskId: string | null;
}

export type Paintings = (items: readonly RenderItem[], onlyMade: boolean) => Asked;

/** Errors: `run.no-step`. */
export function createPaintings(studio: StudioContext, { folderOf, jobOf }: PaintingNeeds): Paintings {
  return (items, onlyMade) => {
    const runs = new Map([...new Set(items.map(({ runId }) => runId))].map((runId) => {
      const folder = folderOf(runId);
      return [runId, { folder, job: jobOf(folder), saved: checkpointsOf(folder) }] as const;
    }));
    const wanted = items.map((item) => requestOf(item, runs.get(item.runId)!));
    const files = wanted.map(({ out }) => (existsSync(out) ? out : null));
    return { files, taskId: onlyMade ? null : paintMissing(studio, items[0]!.runId, wanted, [...runs.values()].map(({ job }) => job.base.model)) };
  };
}

/**
 * Starts painting what is not there yet; it waits while a training has the device; the id of the task, or null when nothing is
 * missing.
 * @param models what is painted with: a process that has painted with the same goes on
 */
export function paintMissing({ tasks, painter, settings, turns }: StudioContext, subject: string, wanted: readonly PaintRequest[], models: readonly string[]): string | null {
  const missing = [...new Map(wanted.filter(({ out }) => !existsSync(out)).map((picture) => [picture.out, picture])).values()];
  if (missing.length === 0) return null;
  const label = turns.isTaken() ? WAITS.training : 'Paint';
  return tasks.start({ kind: 'render', subject, label, unit: 'pictures', key: `render ${missing.map(({ out }) => out).join(' ')}` }, async ({ signal, progress }) => {
    await turns.between(signal, async (stop) => {
      // Another task may have painted some of them while this one waited.
      const left = missing.filter(({ out }) => !existsSync(out));
      if (left.length === 0) return;
      const before = missing.length - left.length;
      const { device } = settings.get();
      const host = await painter.for(JSON.stringify([device, [...new Set(models)].toSorted()]));
      await finished(callTrainer(host, 'paint', { pictures: left, device }, { signal: stop, onProgress: (text, done) => progress(before + done, missing.length, text) }));
    }, { as: 'painting', keeps: true, onWait: (by) => progress(0, missing.length, WAITS[by]) });
  });
}

type OpenedRun = { readonly folder: string; readonly job: Job; readonly saved: ReturnType<typeof checkpointsOf> };

function requestOf(item: RenderItem, { folder, job, saved }: OpenedRun): PaintRequest {
  // Nothing of a change is the base model, and the base model has no strength.
  const isBase = item.step === 0 || item.strength === 0;
  const [step, strength] = isBase ? [0, 1] : [item.step, item.strength];
  const checkpoint = saved.find((one) => one.step === step);
  if (!checkpoint && !isBase) throw new UserError('run.no-step', `Step ${item.step} was not saved: choose one of ${saved.map((one) => one.step).join(', ') || 'none'}.`, { step: item.step });
  const { prompt, negative, seed, guidance, steps } = item;
  const sampler = item.sampler ?? job.preview.sampler ?? defaultSampler;
  // What is painted with may be replaced under its name.
  const stamp = statSync(checkpoint?.path ?? job.base.model, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const key = createHash('sha256').update(JSON.stringify([step, stamp, strength, prompt, negative, seed, guidance, steps, sampler])).digest('hex').slice(0, 40);
  return { run: folder, step, strength, prompt, negative, seed, guidance, steps, sampler, out: join(folder, 'compare', `${key}.png`) };
}

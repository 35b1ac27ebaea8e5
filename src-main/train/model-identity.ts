// What a base model is known by, wherever it lies: a run must go on from the model that it began with. Neither paths nor
// dates count, so that a folder may be moved or copied.
import { createHash } from 'node:crypto';
import { UserError } from '../base/errors.ts';
import type { Model } from '../catalog/define/family.ts';
import type { Job } from '../contract/job.ts';
import type { OpenModel } from './open-model.ts';
import type { StoredComponent } from './stored-files.ts';

/** A hash for each part of the model, by the part's name. */
export type ModelIdentity = Readonly<Record<string, string>>;

const SETTINGS = 'settings';
const AUTOENCODER = 'vae';

/** The parts that a task computes with. Reads headers and one row of every parameter. */
export function modelIdentity(task: Job['task'], model: Model, { stored }: Pick<OpenModel, 'stored'>): ModelIdentity {
  const isWhole = task !== 'autoencoder';
  const parts = isWhole ? [model.denoiserComponent, ...model.textEncoders.map(({ component }) => component), AUTOENCODER] : [AUTOENCODER];
  const known = parts.flatMap((part) => {
    const component = stored.get(part);
    return component ? [[part, hashOf(component)] as const] : [];
  });
  const settings = isWhole ? [[SETTINGS, sha256(JSON.stringify([model.noise, model.latent]))] as const] : [];
  return Object.fromEntries([...known, ...settings]);
}

/** Element types, shapes, and the bytes of a row from the middle: training or merging changes every row of a weight. */
function hashOf({ file, parameters }: StoredComponent): string {
  const hash = createHash('sha256');
  for (const [key, { tensor, form, shape: own, firstRow }] of [...parameters].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const { dtype, shape, begin, end } = file.tensors.get(tensor)!;
    const rows = (form === 'rows' ? own[0] : shape[0]) ?? 1;
    hash.update(JSON.stringify([key, form, dtype, shape]));
    if (end > begin) hash.update(file.read(tensor, { first: firstRow + (rows >> 1), count: 1 }).bytes);
  }
  return hash.digest('hex').slice(0, 32);
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 32);

/**
 * A run that goes on with other frozen weights would end in an adapter that fits neither model. Checkpoints of runs that
 * did not note their model are let through. Error: `run.other-model`.
 */
export function checkSameModel(saved: ModelIdentity | undefined, now: ModelIdentity, { root }: Pick<OpenModel, 'root'>, run: string): void {
  if (!saved) return;
  const changed = [...new Set([...Object.keys(saved), ...Object.keys(now)])].filter((part) => saved[part] !== now[part]);
  if (changed.length === 0) return;
  const what = changed.map((part) => (part === SETTINGS ? 'its scheduler or latent settings' : `"${part}"`)).join(', ');
  throw new UserError('run.other-model', `The base model at "${root}" is not the one that the run at "${run}" began with (changed: ${what}): put the earlier model back, name its place as base.model in the run's job.json, or start a new run.`, { root, run, changed });
}

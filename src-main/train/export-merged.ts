// The merged model as an export: written and proved, with a picture, and what its programs take beside it.
import { statSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import type { Program } from '../catalog/define/format.ts';
import type { TrainEventBody } from '../contract/events.ts';
import { writeFileAtomic } from '../files/atomic-write.ts';
import { writeBeside, type PictureElsewhere } from './export-beside.ts';
import { paintMerged, pictureVerdict, picturesOf, type PaintedPair, type Painting } from './export-picture.ts';
import { saveMerged, type MergedModel, type MergeSettings, type MergeWeight } from './merge.ts';
import { proofText } from './merge-proof.ts';
import type { BaseFiles } from './model-file.ts';
import { openModel } from './open-model.ts';
import type { OpenRun } from './run-job.ts';

export interface MergedExport extends Omit<MergeSettings, 'onProgress' | 'onProved'> {
  /** What other programs are told to paint with the model; null for a base that lacks what that takes. */
  readonly picture: PictureElsewhere | null;
  /** Where it is painted with the trained values and with the model; null paints nothing. */
  readonly painting: Painting | null;
  /** Those that get small files beside it. */
  readonly programs: readonly Program[];
}

export interface ExportedModel extends MergedModel {
  readonly pictures: PaintedPair | null;
  /** What is told of it, for people and for programs. */
  readonly text: string;
  readonly data: { readonly file: string; readonly changed: number; readonly overall: number; readonly worst: number; readonly worstLayer: string; readonly compared: number };
}

/** Events: `phase`, `verdict`. Errors: those of `saveMerged` and of painting. */
export async function exportMerged(base: Pick<OpenRun, 'baseModel' | 'model'>, weights: readonly MergeWeight[], settings: MergedExport, emit: (event: TrainEventBody) => void): Promise<ExportedModel> {
  const { painting, programs } = settings;
  const merged = await saveMerged(base, weights, {
    ...settings,
    onProgress: (done, total) => emit({ kind: 'phase', name: 'merge', done, total, unit: total > 1e6 ? 'bytes' : 'weights' }),
    onProved: (done, total) => emit({ kind: 'phase', name: 'prove', about: 'merged', done, total, unit: 'weights' }),
  });
  const { path, changed, proof: { overall, worst, compared, layers }, elsewhere } = merged;
  const picture = settings.picture && { ...settings.picture, base: filesOf(merged, settings.picture.base) };
  const pictures = painting && picture && await paintMerged(base, weights, path, { ...picture, painting }, emit);
  const missing = elsewhere.length === 0 ? '' : ` It has the base's own ${elsewhere.join(', ')}: use the file that the run took in its place (base.vae, base.textEncoders) beside it.`;
  const text = `${proofText(changed, merged.proof)}${missing}`;
  const data = { file: path, changed, overall, worst: worst?.error ?? 0, worstLayer: worst?.path ?? '', compared };
  await writeFileAtomic(`${path}.proof.json`, `${JSON.stringify({ ...data, file: basename(path), ok: true, text, pictures: picturesOf(pictures), layers: Object.fromEntries(layers.map(({ path: layer, error }) => [layer, error])) }, null, 1)}\n`);
  await writeBeside(path, programs, {
    title: settings.title, trigger: '', note: '', base: base.model.knownAs, picture, isAdapter: false,
    loaded: picture ? openModel(picture.base) : base.baseModel, denoiser: base.model.denoiserComponent,
  });
  emit({ kind: 'verdict', name: 'export', about: 'merged', ok: true, text: `The merged model was read again: ${text}`, data: { ...data, elsewhere } });
  if (pictures) emit(pictureVerdict(path, pictures));
  return { ...merged, pictures, text, data };
}

/** The files of the merged model: a folder has all its parts, a file stands in for the one that it was made from. */
function filesOf({ path, written }: MergedModel, { model, vae, textEncoders }: BaseFiles): BaseFiles {
  if (statSync(path).isDirectory()) return { model: path };
  const now = (file: string): string => written.get(resolve(file)) ?? file;
  return { model: now(model), ...(vae === undefined ? {} : { vae: now(vae) }), ...(textEncoders === undefined ? {} : { textEncoders: textEncoders.map(now) }) };
}

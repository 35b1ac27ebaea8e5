// One picture painted twice: with the trained values, and with a file read again.
import { basename } from 'node:path';
import type { Model } from '../catalog/define/family.ts';
import type { TrainEventBody } from '../contract/events.ts';
import { sizeOf } from '../base/shape.ts';
import { openSafetensors } from '../files/safetensors.ts';
import type { ChosenRuntime } from './choose-runtime.ts';
import type { Difference } from './export-diff.ts';
import { calledThere, usedFor, type PictureElsewhere } from './export-beside.ts';
import { MAGNITUDE, type ExportSource } from './export-source.ts';
import { valuesInFile } from './export-values.ts';
import { mergedFile, withWeights, type FileAdapter } from './merged-weights.ts';
import { openModel, type OpenModel } from './open-model.ts';
import { Painter } from './painter.ts';
import { savePicture, type Picture } from './picture.ts';
import { readAdapter } from './read-adapter.ts';

/** Where pictures of an export are painted. */
export interface Painting extends Pick<ChosenRuntime, 'runtime' | 'compute'> {
  /** Asked before each step of a picture; ends the export with the error `PAINTING_STOPPED`. */
  readonly shouldStop?: () => boolean;
}

interface PictureOfExport extends PictureElsewhere {
  readonly painting: Painting;
  /** Name of the file for A1111, which pictures tell; null when it does not read it. */
  readonly webuiName: string | null;
}

export interface PaintedPair {
  readonly trained: string;
  readonly exported: string;
  /** Largest and mean difference of a channel of a pixel, of 255. */
  readonly worst: number;
  readonly mean: number;
}

/** Parameters of a denoiser with which a picture takes seconds anywhere. */
const SMALL = 60e6;

export function isSmall({ files }: Pick<OpenModel, 'files'>, denoiser: string): boolean {
  return [...(files.get(denoiser)?.tensors.values() ?? [])].reduce((sum, { shape }) => sum + sizeOf(shape), 0) <= SMALL;
}

/** Whether all parts that a picture takes are at hand: a UNet by itself has names and layers, and paints nothing. */
export const canPaint = ({ stored, files }: Pick<OpenModel, 'stored' | 'files'>): boolean =>
  stored.has('vae') && stored.has('text_encoder') && [...files.keys()].every((component) => !component.startsWith('text_encoder') || stored.has(component));

/** @param file the file as it is written; pictures get names beside `path`. Errors: those of painting. */
export async function paintBoth(source: ExportSource, file: string, path: string, picture: PictureOfExport, emit: (event: TrainEventBody) => void): Promise<PaintedPair> {
  const { model, baseModel, named } = source;
  const withAdapter = (adapter: FileAdapter) => async (): Promise<OpenModel> => {
    const changes = new Map<string, Float32Array>();
    for await (const { path: weight, merged } of mergedFile(adapter, baseModel, picture.painting.runtime, named.layers)) changes.set(weight, merged);
    return withWeights(baseModel, changes);
  };
  return paintPair(model, [withAdapter(asAdapter(source)), withAdapter(readAdapter(file, named))], path, picture, emit);
}

/**
 * With the base whose weights are changed in memory, and with the merged model by itself.
 * @param path of the merged model, beside which the pictures stand @param picture with its files as the base. Errors: those of painting
 */
export async function paintMerged({ model, baseModel }: Pick<ExportSource, 'model' | 'baseModel'>, weights: readonly { readonly path: string; readonly merge: () => Promise<Float32Array> }[], path: string, picture: Omit<PictureOfExport, 'webuiName'>, emit: (event: TrainEventBody) => void): Promise<PaintedPair> {
  const changed = async (): Promise<OpenModel> => {
    const changes = new Map<string, Float32Array>();
    for (const { path, merge } of weights) changes.set(path, await merge());
    return withWeights(baseModel, changes);
  };
  return paintPair(model, [changed, async () => openModel(picture.base)], path, { ...picture, webuiName: null }, emit);
}

/** With the base and what was learnt, and with the base and the differences of a file. Errors: those of painting */
export async function paintDifferences({ model, baseModel }: Pick<ExportSource, 'model' | 'baseModel'>, differences: readonly Difference[], file: string, path: string, picture: PictureOfExport, emit: (event: TrainEventBody) => void): Promise<PaintedPair> {
  const changed = (valuesOf: (difference: Difference) => ArrayLike<number> | Promise<ArrayLike<number>>) => async (): Promise<OpenModel> => {
    const changes = new Map<string, Float32Array>();
    for (const difference of differences) {
      const values = await valuesOf(difference);
      changes.set(difference.path, baseModel.readF32(difference.path).map((value, i) => value + values[i]!));
    }
    return withWeights(baseModel, changes);
  };
  const written = openSafetensors(file);
  return paintPair(model, [changed(({ values }) => values()), changed(({ name }) => written.readF32(name))], path, picture, emit);
}

async function paintPair(model: Model, [trainedModel, exportedModel]: readonly [() => Promise<OpenModel>, () => Promise<OpenModel>], path: string, picture: PictureOfExport, emit: (event: TrainEventBody) => void): Promise<PaintedPair> {
  const phase = (done: number): void => emit({ kind: 'phase', name: 'paint with the file', done, total: 2, unit: 'pictures' });
  phase(0);
  const trained = await paintWith(model, await trainedModel(), picture);
  phase(1);
  const exported = await paintWith(model, await exportedModel(), picture);
  phase(2);
  const stem = path.replace(/\.safetensors$/, '');
  const files = { trained: `${stem}.trained.png`, exported: `${stem}.exported.png` };
  const used = usedFor(picture, calledThere(picture.webuiName));
  await savePicture(files.trained, trained, picture.settings, used);
  await savePicture(files.exported, exported, picture.settings, used);
  return { ...files, ...difference(trained, exported) };
}

/** What was trained, as if it had been read from a file without rounding. */
export function asAdapter({ layers, axis, values, scale }: ExportSource): FileAdapter {
  return {
    axis, values: valuesInFile(values, scale, 'f32'),
    layers: layers.map(({ path, rank }) => ({ path, rank, scale: 1, hasMagnitude: values.has(`${path}.${MAGNITUDE}`) })),
  };
}

async function paintWith(model: Model, baseModel: OpenModel, { settings, painting: { runtime, compute, shouldStop }, noise }: PictureOfExport): Promise<Picture> {
  const painter = new Painter({ model, baseModel, runtime, noise, builder: { compute, storedDType: baseModel.storedDType }, trainsText: false, ...(shouldStop ? { shouldStop } : {}) });
  try {
    return (await painter.paint(new Map(), [settings]))[0]!;
  } finally {
    await painter.dispose();
  }
}

export const picturesOf = (pair: PaintedPair | null): object | null => pair && { ...pair, trained: basename(pair.trained), exported: basename(pair.exported) };

export const pictureVerdict = (path: string, { worst, mean, trained, exported }: PaintedPair): TrainEventBody => ({
  kind: 'verdict', name: 'export-picture', ok: true, data: { file: path, worst, mean, trained, exported },
  text: `Painted with the trained values and with the file: pixels differ by at most ${worst} of 255, ${mean.toPrecision(2)} on average.`,
});

export function difference({ rgb: a }: Picture, { rgb: b }: Picture): { worst: number; mean: number } {
  let worst = 0;
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    const distance = Math.abs(a[i]! - b[i]!);
    worst = Math.max(worst, distance);
    sum += distance;
  }
  return { worst, mean: sum / a.length };
}

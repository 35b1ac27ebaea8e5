// What a recipe tells of a run's base and pictures: hashes of both, never a folder of its author.
import { createHash } from 'node:crypto';
import { basename, relative, sep } from 'node:path';
import type { BaseFacts } from '../catalog/define/format.ts';
import type { Model } from '../catalog/define/family.ts';
import { recipeVersion, type RecipeBase, type RecipeData, type RecipeInFile, type RecipePicture } from '../contract/recipe.ts';
import type { Job } from '../contract/job.ts';
import { hashPicture } from '../dataset/measure.ts';
import type { PreparedDataset } from '../dataset/index.ts';
import { readSelection, type Choice } from '../dataset/selection.ts';
import type { DatasetItem } from '../dataset/types.ts';
import { folderName, lastOf } from './export-data-facts.ts';
import { modelIdentity } from './model-identity.ts';
import type { OpenModel } from './open-model.ts';
import { versions } from './versions.ts';

const hashCaption = (text: string): string => createHash('sha256').update(text).digest('hex');

/** @param names whether names of files and folders are told */
export async function recipeData({ data }: Pick<Job, 'data'>, dataset: PreparedDataset, names: boolean): Promise<RecipeData> {
  const { holdout } = data;
  const roots = [...data.folders.map(({ path }) => path), ...(typeof holdout === 'string' ? [holdout] : [])];
  const folders = roots.map((root, index) => ({ name: names ? lastOf(root) : folderName(root, index), pictures: [] as RecipePicture[] }));
  for (const item of [...dataset.items, ...dataset.heldOut]) folders[rootOf(item, roots)]?.pictures.push(pictureOf(item, roots, names));
  for (const { pictures } of folders) pictures.sort((a, b) => ((a.file ?? a.sha256) < (b.file ?? b.sha256) ? -1 : 1));
  return {
    fingerprint: dataset.fingerprint, folders: folders.slice(0, data.folders.length),
    holdout: folders[data.folders.length] ?? null, choices: data.selection === undefined ? [] : await choicesOf(data.selection, roots),
  };
}

/** Index of the folder that a picture lies in, or in a folder inside it. */
const rootOf = ({ folder }: Pick<DatasetItem, 'folder'>, roots: readonly string[]): number =>
  roots.findIndex((root) => folder === root || !relative(root, folder).startsWith('..'));

function pictureOf(item: DatasetItem, roots: readonly string[], names: boolean): RecipePicture {
  const file = relative(roots[rootOf(item, roots)]!, item.path).split(sep).join('/');
  return { ...(names ? { file } : {}), sha256: item.contentHash, caption: item.caption === null ? null : hashCaption(item.caption), repeats: item.repeats };
}

/** Choices by content; those of pictures that are gone say nothing. */
async function choicesOf(selection: string, roots: readonly string[]): Promise<RecipeData['choices']> {
  const own = [...await readSelection(selection)].filter(([path, choice]) => Object.keys(choice).length > 0 && rootOf({ folder: path }, roots) >= 0);
  const found = await Promise.all(own.map(async ([path, choice]): Promise<({ sha256: string } & Choice)[]> => {
    const sha256 = await hashPicture(path).catch(() => null);
    return sha256 === null ? [] : [{ sha256, ...choice }];
  }));
  return found.flat().sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1));
}

/** @param facts of the base as adapter files tell them, for hashes of whole files; null leaves them out */
export function recipeBase(task: Job['task'], model: Model, baseModel: OpenModel, facts: Pick<BaseFacts, 'hashes' | 'fileHash'> | null): RecipeBase {
  const whole = facts?.fileHash ?? null;
  return {
    kind: model.label, parts: { ...modelIdentity(task, model, baseModel) },
    files: { ...Object.fromEntries(facts?.hashes ?? []), ...(whole === null ? {} : { [basename(baseModel.root)]: whole }) },
  };
}

/** What an adapter file carries of its recipe beside the job. @param start hash of the file that training went on from; null where it began anew */
export async function recipeInFile(job: Job, base: RecipeBase, dataset: PreparedDataset | null, start: string | null): Promise<RecipeInFile> {
  return { recipe: recipeVersion, versions: { ...versions }, base, data: dataset && await recipeData(job, dataset, false), ...(start === null ? {} : { start: { sha256: start } }) };
}

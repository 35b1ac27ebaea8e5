// Recipe files: opened as the job that they were made from, with base and pictures where they were or where the user says.

import { existsSync } from 'node:fs';
import { basename, dirname, extname, join, resolve } from 'node:path';

import { UserError } from '../base/errors.ts';
import type { Job } from '../contract/job.ts';
import type { CatalogFields } from '../contract/parse-job.ts';
import { isRecipe, parseRecipe, withPlaces, type Recipe } from '../contract/recipe.ts';
import { measureItems } from '../dataset/measure.ts';
import { scanFolders } from '../dataset/scan.ts';
import { selectionText, type Choice } from '../dataset/selection.ts';
import { checkedJob, readRaw, type Overrides } from './job-file.ts';

export interface RecipePlaces {
  /** The base model; where the recipe says, or beside the recipe, if left out. */
  readonly base?: string;
  /** One folder for each of the recipe's, in its order, or one that holds them all by name. */
  readonly data?: readonly string[];
}

export interface OpenedRecipe {
  readonly recipe: Recipe;
  readonly job: Job;
  readonly notes: readonly string[];
}

/**
 * Null for a file that is no recipe. Errors: those of reading a job, `recipe.broken`, `recipe.no-base`, `recipe.no-data`.
 */
export async function readRecipeFile(path: string, catalog: CatalogFields, { base, data = [] }: RecipePlaces = {}, overrides: Overrides = []): Promise<OpenedRecipe | null> {
  if (extname(path).toLowerCase() !== '.json') return null;
  const raw = await readRaw(path);
  if (!isRecipe(raw)) return null;
  const found = parseRecipe(raw);
  if (!found.ok) throw new UserError('recipe.broken', `The recipe "${path}" cannot be used: ${found.issue}`, { path });
  const { recipe } = found;
  const { job, notes } = checkedJob(recipe.job, path, catalog, overrides);
  return { recipe, notes, job: withPlaces(job, findPlaces(path, job, recipe, base, data)) };
}

function findPlaces(path: string, job: Job, recipe: Recipe, base: string | undefined, data: readonly string[]): Parameters<typeof withPlaces>[1] {
  const { folders } = job.data;
  if (data.length > 1 && data.length !== folders.length) {
    throw new UserError('recipe.no-data', `The recipe "${path}" has ${folders.length} data folders, and ${data.length} are given: give --data once for each in its order, or once with a folder that holds them all.`, { path });
  }
  const search = (recorded: string): string | undefined => [resolve(dirname(resolve(path)), recorded), join(dirname(resolve(path)), nameOf(recorded)), resolve(nameOf(recorded))].find((place) => existsSync(place));
  const folderOf = (recorded: string, index: number): string | undefined => {
    if (data.length === 0) return search(recorded);
    if (data.length === folders.length) return resolve(data[index]!);
    const inside = join(data[0]!, nameOf(recorded));
    return existsSync(inside) ? resolve(inside) : undefined;
  };
  return {
    file: (recorded) => (recorded === job.base.model && base !== undefined ? resolve(base) : search(recorded) ?? noBase(path, recorded, recorded === job.base.model, recipe)),
    folder: (recorded, index) => folderOf(recorded, index) ?? noData(path, recorded, recipe.data?.folders[index]?.pictures.length),
    holdout: (recorded) => [...(data.length === 0 ? [] : [join(data[0]!, nameOf(recorded)), join(data[0]!, '..', nameOf(recorded))].filter((place) => existsSync(place)).map((place) => resolve(place))), search(recorded)].find((place) => place !== undefined)
      ?? noHoldout(path, recorded),
  };
}

const nameOf = (place: string): string => basename(place.replaceAll('\\', '/'));

function noBase(path: string, recorded: string, isModel: boolean, { base }: Recipe): never {
  const hash = base?.files[nameOf(recorded)];
  const what = `"${nameOf(recorded)}"${hash === undefined ? '' : ` (SHA-256 ${hash})`}${base && isModel ? `, a model of the kind ${base.kind},` : ''}`;
  throw new UserError('recipe.no-base', `The recipe "${path}" was made with ${what} which is neither where the recipe says nor beside it: ${isModel ? 'say where it is with --base' : 'put it beside the recipe, or name it with --set (base.vae, base.textEncoders, adapter.from)'}.`, { path, name: nameOf(recorded), sha256: hash ?? null });
}

function noData(path: string, recorded: string, pictures: number | undefined): never {
  throw new UserError('recipe.no-data', `The recipe "${path}" was made with the folder "${nameOf(recorded)}"${pictures === undefined ? '' : ` of ${pictures} pictures`}, which is not there: say where it is with --data.`, { path, name: nameOf(recorded) });
}

function noHoldout(path: string, recorded: string): never {
  throw new UserError('recipe.no-data', `The recipe "${path}" measures on the pictures of "${nameOf(recorded)}", which is not there: put it beside the recipe, name it with --set data.holdout=FOLDER, or measure on nothing with --set data.holdout=0.`, { path, name: nameOf(recorded) });
}

/** The text of a selection file with what the recipe says of single pictures, found by their content; null when it says nothing. */
export async function selectionOfRecipe({ data }: Recipe, job: Job): Promise<string | null> {
  if (!data || data.choices.length === 0) return null;
  const { items } = await scanFolders(job.data.folders);
  const byContent = new Map(data.choices.map(({ sha256, ...choice }) => [sha256, choice as Choice]));
  const chosen = (await measureItems(items)).flatMap(({ path, contentHash }): [string, Choice][] => {
    const choice = byContent.get(contentHash);
    return choice ? [[resolve(path), choice]] : [];
  });
  return selectionText(new Map(chosen));
}

// Whether base and pictures are those that a recipe was made with; what differs, in words.
import { existsSync } from 'node:fs';
import type { TrainEventBody } from '../contract/events.ts';
import type { Job } from '../contract/job.ts';
import type { Recipe, RecipeData, RecipePicture } from '../contract/recipe.ts';
import { countOf, listNames } from '../dataset/names.ts';
import { readDataset } from './export-data-facts.ts';
import { hashOfFiles } from './export-source.ts';
import { modelIdentity } from './model-identity.ts';
import { openBase } from './open-model.ts';
import { adapterPath } from './read-adapter.ts';
import { recipeData } from './recipe-facts.ts';
import { versions } from './versions.ts';

export type RecipeWarning = Extract<TrainEventBody, { kind: 'warning' }>;

/** @param job the recipe's, at its places; nothing is said of what the user changed in it. Errors: those of opening the base. */
export async function checkRecipe(recipe: Recipe, job: Job): Promise<RecipeWarning[]> {
  const { baseModel, model } = openBase(job);
  const warnings: RecipeWarning[] = [];
  const warn = (code: string, text: string, data: Record<string, unknown> = {}): void => void warnings.push({ kind: 'warning', code, text, data });
  if (recipe.base) {
    const now = modelIdentity(job.task, model, baseModel);
    const parts = [...new Set([...Object.keys(recipe.base.parts), ...Object.keys(now)])].filter((part) => recipe.base!.parts[part] !== now[part]);
    const kind = model.label === recipe.base.kind ? '' : ` It is a model of the kind ${model.label}; the recipe was made for ${recipe.base.kind}.`;
    if (parts.length > 0) warn('recipe.other-base', `The base model at "${baseModel.root}" is not the one of the recipe (other: ${parts.join(', ')}), so the result will be another.${kind}`, { parts });
  } else warn('recipe.unknown-base', 'The recipe has no hashes of its base model: whether this one is it cannot be said.');
  const { from } = job.adapter;
  if (recipe.start && from !== undefined && existsSync(from) && await hashOfFiles([adapterPath(from)]) !== recipe.start.sha256) {
    warn('recipe.other-start', `The adapter "${from}" that training goes on from is not the one of the recipe, so the result will be another.`, { path: from });
  }
  const dataset = recipe.data && await readDataset(job, model);
  if (!recipe.data) warn('recipe.unknown-data', 'The recipe has no hashes of its pictures: whether these are they cannot be said.');
  else if (dataset && dataset.fingerprint !== recipe.data.fingerprint) {
    const lines = differences(recipe.data, await recipeData(job, dataset, true));
    warn('recipe.other-data', `The pictures are not those of the recipe, so the result will be another: ${lines.length > 0 ? lines.join('; ') : 'they are the same, in another order (by their names) or cut in another way'}.`, { differences: lines });
  }
  const others = Object.entries(recipe.versions).filter(([name, value]) => versions[name] !== undefined && versions[name] !== value).map(([name, value]) => `${name} ${value} (here ${versions[name]})`);
  if (others.length > 0) warn('recipe.other-versions', `The recipe was made with ${others.join(', ')}: the result may differ in its last digits.`, { versions: recipe.versions });
  return warnings;
}

/** What differs between two data sets, folder by folder; a picture is known by its content. */
function differences(then: RecipeData, now: RecipeData): string[] {
  const pairs = [...then.folders.map((folder, i) => [folder, now.folders[i]] as const), ...(then.holdout || now.holdout ? [[then.holdout, now.holdout] as const] : [])];
  return pairs.flatMap(([before, after]) => {
    const [old, present] = [before?.pictures ?? [], after?.pictures ?? []];
    const [were, are] = [byContent(old), byContent(present)];
    const oldNames = new Set(old.map(({ file }) => file));
    const gone = old.filter(({ sha256 }) => !are.has(sha256));
    const added = present.filter(({ sha256 }) => !were.has(sha256));
    const replaced = added.filter(({ file }) => file !== undefined && gone.some((each) => each.file === file));
    const changed = present.filter(({ sha256, caption }) => were.has(sha256) && were.get(sha256)!.caption !== caption);
    const counted = present.filter(({ sha256, repeats }) => were.has(sha256) && were.get(sha256)!.repeats !== repeats);
    const isReplaced = new Set(replaced.map(({ file }) => file));
    return [
      say('missing', gone.filter(({ file }) => !isReplaced.has(file))), say('with other content', replaced),
      say('not in the recipe', added.filter(({ file }) => !isReplaced.has(file))), say('with another caption', changed), say('with other repeats', counted),
      say('under another name', present.filter(({ sha256, file }) => were.get(sha256)?.file !== undefined && !oldNames.has(file))),
    ].flatMap((text) => (text === null ? [] : [`${text} in "${(after ?? before)!.name}"`]));
  });
}

const byContent = (pictures: readonly RecipePicture[]): Map<string, RecipePicture> => new Map(pictures.map((picture) => [picture.sha256, picture]));

function say(what: string, pictures: readonly RecipePicture[]): string | null {
  if (pictures.length === 0) return null;
  const names = pictures.flatMap(({ file }) => (file === undefined ? [] : [file]));
  return `${countOf(pictures.length, 'picture')} ${what}${names.length > 0 ? ` (${listNames(names)})` : ''}`;
}

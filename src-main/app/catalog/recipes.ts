// Recipes: job files that come with Adora, and those that the user saved.

import { existsSync, readdirSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';

import { parse as parseToml, stringify as tomlText } from 'smol-toml';

import { UserError } from '../../base/errors.ts';
import { catalogFields } from '../../catalog/index.ts';
import { importers } from '../../catalog/importers/index.ts';
import type { Draft, Output } from '../../contract/api.ts';
import { jobSchema } from '../../contract/job.ts';
import { isRecipe, parseRecipe } from '../../contract/recipe.ts';
import { writeFileAtomic } from '../../files/atomic-write.ts';
import { importSettings } from '../import-command.ts';
import { folderName } from '../projects/project-file.ts';
import type { StudioContext } from '../studio-context.ts';

type Recipe = Output<'recipes.list'>['recipes'][number];
type Opened = Output<'recipes.open'>;

const ownFolder = ({ folders }: StudioContext): string => join(folders.config, 'recipes');

export async function listRecipes(studio: StudioContext): Promise<Recipe[]> {
  const { assets, ids } = studio;
  const places = [{ folder: join(assets, 'recipes'), isOwn: false }, { folder: join(assets, 'recipes', 'styles'), isOwn: false }, { folder: ownFolder(studio), isOwn: true }];
  const files = places.flatMap(({ folder, isOwn }) =>
    (existsSync(folder) ? readdirSync(folder).filter((name) => /\.(toml|json)$/i.test(name)).sort() : []).map((name) => ({ path: join(folder, name), isOwn })));
  const recipes: Recipe[] = [];
  for (const { path, isOwn } of files) {
    const text = await readFile(path, 'utf8');
    const comment = text.split('\n').filter((line, at, all) => line.startsWith('#') && all.slice(0, at).every((before) => before.startsWith('#')));
    recipes.push({ id: ids.of(path), name: basename(path, extname(path)), code: isOwn ? null : `recipe.${basename(path, extname(path))}`, text: comment.map((line) => line.slice(1).trim()).join(' ').slice(0, 400), isOwn });
  }
  return recipes;
}

/** What belongs to the project is left out of the draft. Errors: `recipe.unreadable`. */
export async function openRecipe(path: string): Promise<Opened> {
  return { draft: withoutPlaces(await readJob(path)), notes: [], from: null, left: [] };
}

/** A job, a recipe of a run, or settings of another trainer, with what they lost on the way. Errors: `recipe.*`, `import.*`. */
export async function openSettingsFile(path: string): Promise<Opened> {
  const raw = /\.ya?ml$/i.test(path) ? null : await readJob(path);
  if (raw !== null && !Object.values(importers).some((importer) => importer.detect(raw))) {
    if (!Object.keys(raw).some((key) => key in jobSchema.shape)) {
      throw new UserError('recipe.unknown', `"${basename(path)}" holds neither a job of Adora nor settings of ${Object.values(importers).map(({ label }) => label).join(', ')}.`, { path });
    }
    return { draft: withoutPlaces(raw), notes: [], from: null, left: [] };
  }
  const { job, left, notes, label } = await importSettings(path, catalogFields());
  // The project says which model and pictures, so what is said about those is no note for its reader.
  const own = notes.filter(({ text }) => !/\b(base\.model|data\.folders)\b/.test(text));
  return { draft: withoutPlaces(JSON.parse(JSON.stringify(job)) as Draft), notes: own, from: label, left: [...left] };
}

async function readJob(path: string): Promise<Draft> {
  let raw: unknown;
  try {
    const text = (await readFile(path, 'utf8')).replace(/^\uFEFF/, '');
    raw = extname(path).toLowerCase() === '.json' ? JSON.parse(text) : parseToml(text);
  } catch (error) {
    throw new UserError('recipe.unreadable', `"${basename(path)}" is no job file: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`, { path });
  }
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) throw new UserError('recipe.unreadable', `"${basename(path)}" holds no settings.`, { path });
  if (!isRecipe(raw)) return JSON.parse(JSON.stringify(raw)) as Draft;
  const found = parseRecipe(raw);
  if (!found.ok) throw new UserError('recipe.broken', `The recipe "${basename(path)}" cannot be used: ${found.issue}`, { path });
  return JSON.parse(JSON.stringify(found.recipe.job)) as Draft;
}

const without = (draft: Draft, group: string, keys: readonly string[]): Draft => {
  const part = draft[group];
  if (typeof part !== 'object' || part === null) return draft;
  return { ...draft, [group]: Object.fromEntries(Object.entries(part).filter(([key]) => !keys.includes(key))) };
};

/** A held-out folder is a place too; a share is none. */
function withoutPlaces(draft: Draft): Draft {
  const { name: _, ...rest } = draft;
  const bare = without(without(rest, 'base', ['model', 'vae', 'textEncoders']), 'data', ['folders', 'selection']);
  const data = bare['data'] as Record<string, unknown> | undefined;
  return typeof data?.['holdout'] === 'string' ? without(bare, 'data', ['holdout']) : bare;
}

export async function saveRecipe(studio: StudioContext, name: string, text: string, draft: Draft): Promise<Recipe> {
  const base = folderName(name);
  let path = join(ownFolder(studio), `${base}.toml`);
  for (let number = 2; existsSync(path); number++) path = join(ownFolder(studio), `${base}-${number}.toml`);
  const comment = text.split(/[\r\n]+/).map((line) => line.trim()).filter((line) => line !== '').map((line) => `# ${line}\n`).join('');
  await writeFileAtomic(path, `${comment}${tomlText(withoutPlaces(draft))}\n`);
  return { id: studio.ids.of(path), name: basename(path, '.toml'), code: null, text, isOwn: true };
}

/** Error: `recipe.not-own`. */
export async function removeRecipe(studio: StudioContext, path: string): Promise<void> {
  if (dirname(path) !== ownFolder(studio)) throw new UserError('recipe.not-own', `"${basename(path)}" came with Adora and stays: only recipes that you saved can be removed.`, { path });
  await rm(path, { force: true });
}

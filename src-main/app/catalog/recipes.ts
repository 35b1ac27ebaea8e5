// Recipes: job files that come with Adora, and those that the user saved.

import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';

import { parse as parseToml, stringify as tomlText } from 'smol-toml';

import { UserError } from '../../base/errors.ts';
import type { Draft, Output } from '../../contract/api.ts';
import { writeFileAtomic } from '../../files/atomic-write.ts';
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
    recipes.push({ id: ids.of(path), name: basename(path, extname(path)), text: comment.map((line) => line.slice(1).trim()).join(' ').slice(0, 400), isOwn });
  }
  return recipes;
}

/** What belongs to the project is left out of the draft. Errors: `recipe.unreadable`. */
export async function openRecipe(path: string): Promise<Opened> {
  let raw: unknown;
  try {
    const text = (await readFile(path, 'utf8')).replace(/^\uFEFF/, '');
    raw = extname(path).toLowerCase() === '.json' ? JSON.parse(text) : parseToml(text);
  } catch (error) {
    throw new UserError('recipe.unreadable', `"${basename(path)}" is no job file: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`, { path });
  }
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) throw new UserError('recipe.unreadable', `"${basename(path)}" holds no settings.`, { path });
  return { draft: withoutPlaces(JSON.parse(JSON.stringify(raw)) as Draft), notes: [] };
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

export async function saveRecipe(studio: StudioContext, name: string, draft: Draft): Promise<Recipe> {
  const path = join(ownFolder(studio), `${folderName(name)}.toml`);
  await writeFileAtomic(path, `${tomlText(withoutPlaces(draft))}\n`);
  return { id: studio.ids.of(path), name: basename(path, '.toml'), text: '', isOwn: true };
}

// Where models lie: the folders of ComfyUI, A1111, Forge and InvokeAI, and whatever a user points at.
import { existsSync, readdirSync, realpathSync, statSync, type Stats } from 'node:fs';
import { join, resolve } from 'node:path';

import { programPlaces } from './programs.ts';

/** What is looked at: a model folder as a whole, or a file of weights. */
export interface Place {
  readonly path: string;
  readonly isFolder: boolean;
}

/** Deeper folders are not models any more. */
const MAX_DEPTH = 8;
const PASSED_OVER = /^(\.|node_modules$|venv$|env$|python_embeded$|__pycache__$|custom_nodes$|site-packages$)/;
/** Formats that programs keep models in; those that Adora does not read are listed with the reason. */
const WEIGHTS = /\.(safetensors|sft|ckpt|gguf)$/i;
/** Endings of many other things as well: small ones are embeddings or state of training. */
const PICKLES = /\.(pt|pth|bin)$/i;
const LEAST_PICKLE = 50e6;
const SHARD = /-\d{5}-of-\d{5}(\.\w+)?\.safetensors$/;
const INDEX = /\.safetensors\.index(\.\w+)?\.json$/;

/** What is searched for `root`: of a known program the places with models, any other folder itself. */
export const searchedFolders = (root: string): string[] => programPlaces(resolve(root)) ?? [resolve(root)];

/**
 * Models below `root`, in the order of their names; programs in it are searched as by themselves. What cannot be listed is
 * passed over; what is reached in two ways, by links, is given once.
 */
export function* findPlaces(root: string, seen = new Set<string>()): Generator<Place> {
  const stat = statOf(root);
  if (stat?.isDirectory()) yield* walk(root, 0, seen);
  else if (stat && isNew(root, seen)) yield { path: root, isFolder: false };
}

function* walk(folder: string, depth: number, seen: Set<string>): Generator<Place> {
  if (!isNew(folder, seen)) return;
  const names = namesIn(folder);
  const isModel = isModelFolder(folder, names);
  if (isModel) yield { path: folder, isFolder: true };
  const hasIndex = names.some((name) => INDEX.test(name));
  const folders: string[] = [];
  for (const name of names) {
    const path = join(folder, name);
    const stat = statOf(path);
    if (stat?.isDirectory()) folders.push(name);
    else if (stat?.isFile() && isWeights(name, stat.size) && !name.startsWith('.') && !(hasIndex && SHARD.test(name)) && isNew(path, seen)) yield { path, isFolder: false };
  }
  if (isModel || depth >= MAX_DEPTH) return;
  for (const name of folders.filter((each) => !PASSED_OVER.test(each))) {
    const path = join(folder, name);
    const places = programPlaces(path);
    if (places === null) yield* walk(path, depth + 1, seen);
    else for (const place of places) yield* findPlaces(place, seen);
  }
}

/** Whether this is the first way to it. */
function isNew(path: string, seen: Set<string>): boolean {
  try {
    const real = realpathSync(path);
    if (seen.has(real)) return false;
    seen.add(real);
    return true;
  } catch {
    return false;
  }
}

/** Null for links that lead nowhere, and for what the system does not let one see. */
function statOf(path: string): Stats | null {
  try {
    return statSync(path);
  } catch {
    return null;
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

const isWeights = (name: string, size: number): boolean => WEIGHTS.test(name) || INDEX.test(name) || (PICKLES.test(name) && size >= LEAST_PICKLE);

const isModelFolder = (folder: string, names: readonly string[]): boolean =>
  names.includes('model_index.json') || ['unet', 'transformer'].some((part) => names.includes(part) && existsSync(join(folder, part, 'config.json')));

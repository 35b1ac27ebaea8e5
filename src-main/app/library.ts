// The library: models and adapters in the folders of other programs and in those that the user names. Headers are read once;
// what is known of a file is kept in the cache folder as long as its size and time stay.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';

import { UserError } from '../base/errors.ts';
import { writeFileAtomic } from '../files/atomic-write.ts';
import { appFolders } from '../files/paths.ts';
import { describeFile, describeFolder, type LibraryEntry } from './library/entry.ts';
import { findPlaces, searchedFolders, type Place } from './library/places.ts';
import { desktopPaths } from './library/programs.ts';
import { readObject } from './settings.ts';

export type { AdapterSummary, LibraryEntry, LibraryKind } from './library/entry.ts';

export interface LibraryOptions {
  /** Folder for what is known of files; the app's cache folder when absent. */
  readonly cacheFolder?: string;
  /** Called while files are read for the first time. */
  readonly onProgress?: (done: number, path: string) => void;
  readonly signal?: AbortSignal;
}

export interface Library {
  /** Searched folders, those of known programs resolved. */
  readonly folders: readonly string[];
  readonly entries: readonly LibraryEntry[];
}

/** Counts up when entries of the cache mean something else. */
const CACHE_VERSION = 4;

interface Cached {
  readonly stamp: string;
  readonly entry: LibraryEntry;
}

/**
 * Lists what lies in `folders` (or is one of them). A file that cannot be used is listed with its reason and stops nothing.
 * Error: `library.missing` for a folder that is not there.
 */
export async function listLibrary(folders: readonly string[], options: LibraryOptions = {}): Promise<Library> {
  const cacheFile = join(options.cacheFolder ?? appFolders().cache, 'library.json');
  const cached = readCache(cacheFile);
  const known = new Map(cached);
  const searched = [...new Set(folders.flatMap((folder) => {
    if (!existsSync(folder)) throw new UserError('library.missing', `There is no folder "${folder}": name a folder with models, or the folder of ComfyUI, A1111, Forge or InvokeAI.`, { folder });
    return searchedFolders(folder);
  }))];
  const entries: LibraryEntry[] = [];
  const seen = new Set<string>();
  let read = 0;
  for (const place of searched.flatMap((folder) => [...findPlaces(folder, seen)])) {
    options.signal?.throwIfAborted();
    const stamp = stampOf(place);
    const before = known.get(place.path);
    if (before?.stamp === stamp) {
      entries.push(before.entry);
      continue;
    }
    const entry = place.isFolder ? describeFolder(place.path) : describeFile(place.path);
    known.set(place.path, { stamp, entry });
    entries.push(entry);
    read++;
    options.onProgress?.(read, place.path);
    // Reading is synchronous; a window wants its turn.
    await setImmediate();
  }
  if (read > 0) await writeCache(cacheFile, known);
  return { folders: searched, entries };
}

/** Folders to search where none are named: the user's own, and installations at the usual places. */
export function usualFolders(config = appFolders().config, home = homedir()): string[] {
  const own = readObject(join(config, 'settings.json'))['folders'];
  const named = Array.isArray(own) ? own.filter((folder) => typeof folder === 'string') : [];
  const installed = ['', 'Documents', 'Desktop', 'AI'].map((folder) => join(home, folder)).flatMap((folder) => namesIn(folder).filter((name) => PROGRAM.test(name)).map((name) => join(folder, name)));
  return [...new Set([...named, ...installed, ...desktopPaths(home)].map((folder) => resolve(folder)))].filter((folder) => existsSync(folder));
}

/** Names that people leave the folders of these programs. */
const PROGRAM = /^(comfyui|stable-diffusion-webui|(sd[-.])?webui|invoke-?ai)([-_ ].*)?$/i;

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

/** Changes when a file does; for a folder, when a file in one of its parts does. */
function stampOf({ path, isFolder }: Place): string {
  const stamp = (file: string): string => {
    const stat = statSync(file, { throwIfNoEntry: false });
    return stat ? `${stat.size} ${stat.mtimeMs}` : '-';
  };
  if (!isFolder) return stamp(path);
  const files = namesIn(path).flatMap((part) => [part, ...namesIn(join(path, part)).map((name) => join(part, name))]);
  return files.filter((name) => !/\.(txt|md)$/.test(name)).map((name) => `${name} ${stamp(join(path, name))}`).join(';');
}

function readCache(file: string): Map<string, Cached> {
  const { version, entries } = readObject(file);
  if (version !== CACHE_VERSION || !Array.isArray(entries)) return new Map();
  return new Map((entries as Cached[]).filter((each) => typeof each?.stamp === 'string' && typeof each.entry?.path === 'string').map((each) => [each.entry.path, each]));
}

async function writeCache(file: string, known: ReadonlyMap<string, Cached>): Promise<void> {
  // Files that are gone are forgotten with the next list that finds something new.
  const entries = [...known.values()].filter(({ entry }) => existsSync(entry.path));
  try {
    await writeFileAtomic(file, JSON.stringify({ version: CACHE_VERSION, entries }));
  } catch (error) {
    // A full or read-only disk costs time at the next start, nothing else.
    if (!(error instanceof UserError)) throw error;
  }
}

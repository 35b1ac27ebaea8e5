// The part of the API about files that a person may choose: dialogs on the desktop, listings of allowed folders elsewhere.

import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, sep } from 'node:path';

import { UserError } from '../base/errors.ts';
import { readError } from '../files/file-errors.ts';
import { isOfKind, type FileKind } from './file-kinds.ts';
import type { Handlers } from './rpc.ts';
import type { StudioContext } from './studio-context.ts';

const MOST_ENTRIES = 2000;

export function createFiles(studio: StudioContext, projectsFolder: string): Pick<Handlers, Extract<keyof Handlers, `files.${string}`>> {
  const { ids, settings, desktop, assets } = studio;
  const roots = (): string[] => {
    const own = [...settings.get().folders, homedir(), projectsFolder, ...settings.get().projects.map(({ path }) => dirname(path)), join(assets, 'demo')];
    return [...new Set(own)].filter((path) => existsSync(path));
  };
  /** Links may not lead out of the allowed folders. */
  const isAllowed = (path: string): boolean => {
    const real = realpathSync(path);
    return roots().some((root) => {
      const base = realpathSync(root);
      return real === base || real.startsWith(base.endsWith(sep) ? base : base + sep);
    });
  };
  return {
    'files.pick': async (asked) => {
      if (!desktop) throw new UserError('files.no-dialog', 'There is no file dialog in the browser: choose from the listing.', {});
      return { files: (await desktop.pick(asked)).map((path) => ids.ref(path)) };
    },
    'files.roots': () => ({ roots: roots().map((path) => ids.ref(path)) }),
    'files.browse': ({ id, kind }) => {
      const folder = ids.path(id);
      if (!existsSync(folder) || !statSync(folder).isDirectory() || !isAllowed(folder)) {
        throw new UserError('files.outside', 'This folder cannot be looked into from the browser: add it to the folders in the settings.', {});
      }
      const entries = listed(folder, kind).filter(({ path }) => isAllowed(path));
      const parent = dirname(folder);
      return {
        folder: ids.ref(folder), parent: parent !== folder && isAllowed(parent) ? ids.ref(parent) : null,
        entries: entries.slice(0, MOST_ENTRIES).map(({ path, isFolder, name }) => ({
          id: ids.of(path), name, kind: isFolder ? 'folder' as const : 'file' as const, size: isFolder ? 0 : statSync(path).size,
          pictures: isFolder && entries.length < 200 ? picturesIn(path) : null,
        })),
        truncated: entries.length > MOST_ENTRIES,
      };
    },
    'files.reveal': ({ id }) => {
      const path = ids.path(id);
      desktop?.reveal(path);
      return { shown: desktop !== null, path };
    },
  };
}

function listed(folder: string, kind: FileKind): { path: string; name: string; isFolder: boolean }[] {
  try {
    return readdirSync(folder).filter((name) => !name.startsWith('.')).flatMap((name) => {
      const path = join(folder, name);
      const stat = statSync(path, { throwIfNoEntry: false });
      if (!stat) return [];
      return stat.isDirectory() || (stat.isFile() && isOfKind(name, kind)) ? [{ path, name, isFolder: stat.isDirectory() }] : [];
    }).sort((a, b) => Number(b.isFolder) - Number(a.isFolder) || (a.name < b.name ? -1 : 1));
  } catch (error) {
    throw readError(error, folder, 'the folder');
  }
}

function picturesIn(folder: string): number | null {
  try {
    return readdirSync(folder).filter((name) => isOfKind(name, 'pictures')).length;
  } catch {
    return null;
  }
}

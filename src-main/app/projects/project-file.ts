// A project on disk: a folder with project.json, data.json (decisions about pictures), pictures/ (uploads) and runs/.

import { existsSync } from 'node:fs';
import { isAbsolute, join, relative, resolve } from 'node:path';

import { UserError } from '../../base/errors.ts';
import type { Draft } from '../../contract/api.ts';
import { writeFileAtomic } from '../../files/atomic-write.ts';
import { readObject } from '../settings.ts';

export interface StoredFolder {
  /** Absolute. */
  readonly path: string;
  readonly repeats: number | null;
  readonly regularization: boolean;
}

export interface StoredProject {
  readonly name: string;
  /** Absolute path of the base model. */
  readonly model: string | null;
  readonly dataFolders: readonly StoredFolder[];
  readonly draft: Draft;
}

const FILE = 'project.json';
export const uploadsOf = (folder: string): string => join(folder, 'pictures');
export const runsFolderOf = (folder: string): string => join(folder, 'runs');

export const isProject = (folder: string): boolean => existsSync(join(folder, FILE));

/** Error: `projects.not-a-project`. Values of a wrong kind are left out. */
export function readProject(folder: string): StoredProject {
  const raw = readObject(join(folder, FILE));
  if (typeof raw['name'] !== 'string') {
    throw new UserError('projects.not-a-project', `There is no project of Adora in "${folder}": choose a folder with a ${FILE} in it.`, { folder });
  }
  const folders = Array.isArray(raw['dataFolders']) ? raw['dataFolders'] as unknown[] : [];
  const draft = raw['draft'];
  return {
    name: raw['name'],
    model: typeof raw['model'] === 'string' ? fromStored(folder, raw['model']) : null,
    dataFolders: folders.flatMap((entry): StoredFolder[] => {
      const { path, repeats, regularization } = (entry ?? {}) as Record<string, unknown>;
      if (typeof path !== 'string') return [];
      return [{ path: fromStored(folder, path), repeats: typeof repeats === 'number' ? repeats : null, regularization: regularization === true }];
    }),
    draft: typeof draft === 'object' && draft !== null && !Array.isArray(draft) ? draft as Draft : {},
  };
}

export async function writeProject(folder: string, { name, model, dataFolders, draft }: StoredProject): Promise<void> {
  const stored = {
    version: 1, name, model: model && toStored(folder, model),
    dataFolders: dataFolders.map((entry) => ({ ...entry, path: toStored(folder, entry.path) })), draft,
  };
  await writeFileAtomic(join(folder, FILE), `${JSON.stringify(stored, null, 2)}\n`);
}

/** Paths inside of the project are kept relative, so that a project can be moved. */
export function toStored(folder: string, path: string): string {
  const inside = relative(folder, path);
  return inside !== '' && !inside.startsWith('..') && !isAbsolute(inside) ? `./${inside.replaceAll('\\', '/')}` : path;
}

export const fromStored = (folder: string, path: string): string => resolve(folder, path);

/** A name as a folder's name on every system. */
export function folderName(name: string): string {
  const plain = name.normalize('NFC').replaceAll(/[^\p{L}\p{N} ._-]+/gu, ' ').trim().replaceAll(/\s+/g, '-').replaceAll(/^[.-]+|[.-]+$/g, '').slice(0, 60);
  return plain === '' || /^(con|prn|aux|nul|com\d|lpt\d)$/i.test(plain) ? 'project' : plain;
}

/** `<parent>/<name>`, with the first number that is free. */
export function freeFolder(parent: string, name: string): string {
  let folder = join(parent, name);
  for (let number = 2; existsSync(folder); number++) folder = join(parent, `${name}-${number}`);
  return folder;
}

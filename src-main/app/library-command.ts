// `adora library`: the library as a table.
import { relative } from 'node:path';

import { listLibrary, usualFolders, type LibraryEntry } from './library.ts';

const KINDS: Readonly<Record<LibraryEntry['kind'], string>> = {
  model: 'Models', unet: 'UNets without encoders', autoencoder: 'Autoencoders', 'text-encoder': 'Text encoders', adapter: 'Adapters', other: 'Not usable',
};

/** Errors: those of `listLibrary`. */
export async function libraryCommand({ folders }: { readonly folders: readonly string[] }): Promise<{ text: string; data: unknown }> {
  const library = await listLibrary(folders.length > 0 ? folders : usualFolders());
  const { entries } = library;
  const where = library.folders.length > 0 ? `in ${library.folders.join(', ')}` : 'as there is no folder to search: name one';
  if (entries.length === 0) return { text: `No models ${where}.`, data: library };
  const groups = (Object.keys(KINDS) as LibraryEntry['kind'][]).map((kind) => ({ kind, own: entries.filter((entry) => entry.kind === kind) })).filter(({ own }) => own.length > 0);
  const text = groups.flatMap(({ kind, own }) => [`${KINDS[kind]} (${own.length})`, ...own.flatMap((entry) => rows(entry, library.folders))]).join('\n');
  return { text, data: library };
}

function rows(entry: LibraryEntry, folders: readonly string[]): string[] {
  const root = folders.find((folder) => entry.path.startsWith(folder)) ?? '';
  const name = relative(root, entry.path) || entry.path;
  const { family, dtype, prediction, zeroTerminalSnr, lacks, adapter, layout } = entry;
  const facts = [
    adapter && `${adapter.kind}${adapter.rank === null ? '' : ` of rank ${adapter.rank}`}${adapter.axis ? `, per ${adapter.axis}` : ''}`,
    family, dtype, prediction && `predicts ${prediction}`, zeroTerminalSnr && 'zero terminal SNR', lacks.length > 0 && `without ${lacks.join(' and ')}`, layout === 'folder' && 'folder', size(entry.bytes),
    adapter?.trigger && `"${adapter.trigger}"`,
  ].filter(Boolean);
  return [`  ${name}  ${facts.join(', ')}`, ...(entry.reason ? [`    ${entry.reason}`] : [])];
}

const size = (bytes: number): string => (bytes < 1e9 ? `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB` : `${(bytes / 1e9).toFixed(2)} GB`);

// Where a session finds frozen weights: ONNX Runtime reads external data below one folder, by relative paths.
import * as system from 'node:path';
import type { PlatformPath } from 'node:path';

/** The deepest folder that holds all of these; null when there is none, as for folders on two drives of Windows. */
export function commonFolder(folders: Iterable<string>, path: PlatformPath = system): string | null {
  let common: string | null = null;
  for (const folder of folders) {
    if (common === null) common = folder;
    while (!isInside(folder, common, path)) {
      const above: string = path.dirname(common);
      if (above === common) return null;
      common = above;
    }
  }
  return common;
}

/** The folder in which most files lie, of those that have one in common with it: files elsewhere have to be read. */
export function dataFolder(files: readonly string[], path: PlatformPath = system): string | null {
  const folders = files.map((file) => path.dirname(file));
  const groups = new Map<string, Set<string>>();
  for (const folder of folders) {
    const root = path.parse(folder).root;
    groups.set(root, (groups.get(root) ?? new Set()).add(folder));
  }
  const counts = new Map<string, number>();
  for (const folder of folders) counts.set(path.parse(folder).root, (counts.get(path.parse(folder).root) ?? 0) + 1);
  const [most] = [...counts].sort(([, a], [, b]) => b - a);
  return most ? commonFolder(groups.get(most[0])!, path) : null;
}

/** Path of a file as external data has it, with slashes; null when it is not below the folder. */
export function dataPath(file: string, folder: string, path: PlatformPath = system): string | null {
  const found = path.relative(folder, file);
  return path.isAbsolute(found) || found.split(path.sep)[0] === '..' ? null : found.split(path.sep).join('/');
}

function isInside(folder: string, outer: string, { sep }: PlatformPath): boolean {
  return folder === outer || folder.startsWith(outer.endsWith(sep) ? outer : outer + sep);
}

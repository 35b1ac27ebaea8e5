// Models that InvokeAI uses where they lie: its database knows their places.
import { existsSync } from 'node:fs';
import { isAbsolute } from 'node:path';

/** What is used of a database of `node:sqlite`, which older versions of Node lack. */
interface Database {
  prepare(sql: string): { all(): unknown[] };
  close(): void;
}

type Open = (file: string) => Database | null;

/**
 * Absolute paths of registered models; relative ones lie in InvokeAI's own folder. None where the database is not there or
 * cannot be read: Node has a reader for it since version 22.13.
 */
export function registeredModels(file: string, open: Open = openDatabase): string[] {
  if (!existsSync(file)) return [];
  try {
    const database = open(file);
    if (!database) return [];
    try {
      const rows = database.prepare('SELECT path FROM models').all() as { readonly path: unknown }[];
      return rows.flatMap(({ path }) => (typeof path === 'string' && isAbsolute(path) ? [path] : []));
    } finally {
      database.close();
    }
  } catch {
    // Another version of the program, or one that is at work: what lies in its folder is found all the same.
    return [];
  }
}

function openDatabase(file: string): ReturnType<Open> {
  const sqlite = process.getBuiltinModule('node:sqlite') as { readonly DatabaseSync: new (file: string, options: { readonly readOnly: boolean }) => Database } | undefined;
  return sqlite ? new sqlite.DatabaseSync(file, { readOnly: true }) : null;
}

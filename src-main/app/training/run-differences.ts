// In which settings jobs differ.

import { basename } from 'node:path';

import type { Output } from '../../contract/api.ts';
import type { Job } from '../../contract/job.ts';

type Row = Output<'runs.differences'>['rows'][number];

/** Of the studio, or the same for all that a user chose. */
const OWN = new Set(['version', 'name', 'data.selection']);

/** Rows in the order of the jobs' keys; none when all are alike. */
export function differencesOf(jobs: readonly Job[]): Row[] {
  const tables = jobs.map((job) => flat('', job));
  const paths = [...new Set(tables.flatMap((table) => [...table.keys()]))];
  return paths.flatMap((path) => {
    const values = tables.map((table) => table.get(path) ?? null);
    if (OWN.has(path) || values.every((value) => value === values[0])) return [];
    return [{ path, values }];
  });
}

/** Settings by path, as texts. Lists are one value; places are named without their folders. */
function flat(path: string, value: unknown): Map<string, string> {
  if (path === 'base.model') return new Map([[path, basename(String(value))]]);
  if (path === 'data.folders') return new Map([[path, (value as Job['data']['folders']).map((folder) => basename(folder.path)).join(', ')]]);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return new Map(Object.entries(value).flatMap(([key, own]) => [...flat(path === '' ? key : `${path}.${key}`, own)]));
  }
  return value === undefined ? new Map() : new Map([[path, typeof value === 'string' ? value : JSON.stringify(value)]]);
}

// What a run has written for other programs: the exports that were asked for, and the one that its training ended with.

import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import type { ExportEntry } from '../../contract/api.ts';
import type { TrainEvent } from '../../contract/events.ts';
import { EXPORT, type ExportKind } from '../../contract/export-kinds.ts';
import type { Job } from '../../contract/job.ts';
import { verdictCode } from '../../contract/said-codes.ts';
import { say, type Text } from '../../contract/text.ts';
import { writeFileAtomic } from '../../files/atomic-write.ts';
import type { Ids } from '../ids.ts';
import { readObject } from '../settings.ts';
import { readRunEvents } from './run-record.ts';

/** An export as it is kept in the run's folder. */
export interface StoredExport extends Omit<ExportEntry, 'files' | 'pictures' | 'hasWorkflow' | 'kind' | 'proof' | 'warnings'> {
  /** Lists from before sentences had codes have texts alone. */
  readonly proof: readonly ({ readonly ok: boolean; readonly text: string } & Partial<Text>)[];
  readonly warnings: readonly (Text | string)[];
  /** Lists from before there were whole differences have two flags in its place. */
  readonly kind?: ExportKind;
  readonly merged?: boolean;
  readonly approximate?: boolean;
  readonly files: readonly string[];
  readonly pictures: { readonly trained: string; readonly exported: string; readonly worstDifference: number } | null;
}

const fileOf = (folder: string): string => join(folder, 'exports', 'exports.json');
/** Id of the export that a training ends with. */
const AT_END = 'at-end';

/** Newest first; none whose files were all written again later, because its proof is not theirs any more. */
export function exportsOf(folder: string, job: Job): StoredExport[] {
  const atEnd = exportAtEnd(readRunEvents(folder), job);
  const seen = new Set<string>();
  return [...asked(folder), ...(atEnd === null ? [] : [atEnd])].toSorted((a, b) => b.time - a.time).filter(({ files }) => {
    const isCurrent = files.length === 0 || files.some((file) => !seen.has(file));
    for (const file of files) seen.add(file);
    return isCurrent;
  });
}

function asked(folder: string): StoredExport[] {
  const list = readObject(fileOf(folder))['exports'];
  return Array.isArray(list) ? list as StoredExport[] : [];
}

export const addExport = (folder: string, entry: StoredExport): Promise<void> =>
  writeFileAtomic(fileOf(folder), `${JSON.stringify({ version: 1, exports: [entry, ...asked(folder)] }, null, 1)}\n`);

/** Exports that were asked for later tell their verdicts to the same log, behind the end. */
function exportAtEnd(events: readonly TrainEvent[], job: Job): StoredExport | null {
  const at = events.findLastIndex(({ kind }) => kind === 'finished');
  const end = events[at];
  if (end?.kind !== 'finished' || end.files.length === 0) return null;
  const begun = events.findLastIndex(({ kind }, index) => kind === 'started' && index < at);
  const verdicts = events.slice(begun + 1, at).filter((event) => event.kind === 'verdict');
  const painted = verdicts.findLast(({ name }) => name === 'export-picture')?.data;
  return {
    id: AT_END, step: end.step, tool: job.output.for, kind: isAdapterJob(job) ? EXPORT.asItIs : EXPORT.merged, dtype: job.output.dtype, time: end.time, files: end.files,
    ok: verdicts.every(({ name, ok }) => name !== 'export' || ok),
    proof: verdicts.flatMap(({ name, about, ok, text, data }) => (name === 'export' || name === 'export-picture' ? [{ ok, ...say(verdictCode(name, ok, about), text, data) }] : [])), warnings: [],
    pictures: painted === undefined ? null : { trained: String(painted['trained']), exported: String(painted['exported']), worstDifference: Number(painted['worst']) / 255 },
  };
}

/** As a window gets it. */
export function exportEntry(entry: StoredExport, ids: Ids): ExportEntry {
  const { merged = false, approximate = false, pictures, ...rest } = entry;
  return {
    ...rest,
    kind: entry.kind ?? (merged ? EXPORT.merged : approximate ? EXPORT.plain : EXPORT.asItIs),
    proof: entry.proof.map((line) => ({ ...say('export.proof', line.text), ...line })),
    warnings: entry.warnings.map((warning) => (typeof warning === 'string' ? say('export.warning', warning) : warning)),
    files: entry.files.filter((file) => existsSync(file)).map((file) => ({ ...ids.ref(file), bytes: bytesAt(file) })),
    pictures: pictures && existsSync(pictures.trained) && existsSync(pictures.exported)
      ? { trained: ids.image(pictures.trained), exported: ids.image(pictures.exported), worstDifference: pictures.worstDifference } : null,
    hasWorkflow: workflowOf(entry) !== null,
  };
}

/** Whether a job trains an adapter, and not the weights themselves. */
export const isAdapterJob = ({ task, adapter }: Job): boolean => task === 'adapter' && (adapter as Record<string, unknown>)['rank'] !== undefined;

/** Of a file, or of all files in a folder; 0 when it is gone. */
export function bytesAt(path: string): number {
  const facts = statSync(path, { throwIfNoEntry: false });
  if (!facts?.isDirectory()) return facts?.size ?? 0;
  return readdirSync(path).reduce((sum, name) => sum + bytesAt(join(path, name)), 0);
}

/** Workflows are written beside the adapter or the merged model under its name; null where there is none. */
export function workflowOf({ files }: StoredExport): string | null {
  const beside = files.map((file) => `${file.replace(/\.safetensors$/, '')}.workflow.json`);
  return beside.find((path) => existsSync(path)) ?? null;
}

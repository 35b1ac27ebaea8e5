// From a project and its draft to a whole job.

import { catalogFields } from '../../catalog/index.ts';
import type { Draft } from '../../contract/api.ts';
import { issue, type JobIssue } from '../../contract/issue.ts';
import type { Job } from '../../contract/job.ts';
import { parseJob } from '../../contract/parse-job.ts';
import type { StoredProject } from './project-file.ts';

export type DraftJob =
  | { readonly ok: true; readonly job: Job }
  | { readonly ok: false; readonly issues: readonly JobIssue[] };

/** The project gives what the draft does not have: model, folders, name, device. @param selection file of choices by hand */
export function draftJob(project: StoredProject, draft: Draft, { name, device, selection }: { readonly name?: string; readonly device?: string; readonly selection?: string } = {}): DraftJob {
  const part = (key: string): Record<string, unknown> => {
    const value = draft[key];
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Record<string, unknown> : {};
  };
  const missing = [
    ...(project.model === null ? [issue('base.model', 'no-model', 'Choose a model to train on.')] : []),
    ...(project.dataFolders.length === 0 ? [issue('data.folders', 'no-folders', 'Add a folder with pictures.')] : []),
  ];
  if (missing.length > 0) return { ok: false, issues: missing };
  const folders = project.dataFolders.map(({ path, repeats, regularization }) => ({ path, regularization, ...(repeats === null ? {} : { repeats }) }));
  const result = parseJob({
    version: 1, ...draft, name: name ?? project.name,
    base: { ...part('base'), model: project.model },
    data: { ...part('data'), folders, ...(selection === undefined ? {} : { selection }) },
    train: { ...(device === undefined ? {} : { device }), ...part('train') },
  }, catalogFields());
  return result.ok ? { ok: true, job: result.job } : { ok: false, issues: result.issues };
}

/** The data settings of a draft as far as they are valid; defaults otherwise. */
export function dataSettings(draft: Draft): Job['data'] {
  const blank: StoredProject = { name: 'x', model: 'x', dataFolders: [{ path: 'x', repeats: null, regularization: false }], draft: {} };
  const given = draftJob(blank, typeof draft['data'] === 'object' ? { data: draft['data'] } : {});
  if (given.ok) return given.job.data;
  const plain = draftJob(blank, {});
  if (!plain.ok) throw new Error('Internal error: a job of defaults is not valid');
  return plain.job.data;
}

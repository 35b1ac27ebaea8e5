// Old job files keep working: one numbered step per version of the schema.

import { show } from './fields.ts';
import { issue, type JobIssue } from './issue.ts';

export const jobVersion = 1;

export type RawJob = Readonly<Record<string, unknown>>;

export interface Migration {
  readonly from: number;
  readonly to: number;
  /** What it changes, for the note that the user sees. */
  readonly text: string;
  readonly migrate: (job: RawJob) => RawJob;
}

const isRecord = (value: unknown): value is RawJob =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Moves `from` (a key path) to `to`, making the objects on the way; leaves the job alone when `from` is absent. */
function moveKey(job: RawJob, from: readonly string[], to: readonly string[]): RawJob {
  const copy = structuredClone(job) as Record<string, unknown>;
  const holder = from.slice(0, -1).reduce<unknown>((at, key) => (isRecord(at) ? at[key] : undefined), copy);
  const lastFrom = from.at(-1) ?? '';
  if (!isRecord(holder) || !Object.hasOwn(holder, lastFrom)) return job;
  const value = holder[lastFrom];
  delete (holder as Record<string, unknown>)[lastFrom];
  let target: Record<string, unknown> = copy;
  for (const key of to.slice(0, -1)) {
    const next = Object.hasOwn(target, key) ? target[key] : {};
    if (!isRecord(next)) return job;
    target[key] = next;
    target = next as Record<string, unknown>;
  }
  target[to.at(-1) ?? ''] = value;
  return copy;
}

/** Pre-release jobs: `model` and `network` at the top, one `data.folder`, the learning rate under `train`. */
function fromPreRelease(job: RawJob): RawJob {
  let next = moveKey(job, ['model'], ['base', 'model']);
  next = moveKey(next, ['network'], ['adapter']);
  next = moveKey(next, ['train', 'learningRate'], ['optimizer', 'learningRate']);
  next = moveKey(next, ['data', 'folder'], ['data', 'folders']);
  const data = next['data'];
  if (isRecord(data) && typeof data['folders'] === 'string') {
    next = { ...next, data: { ...data, folders: [{ path: data['folders'] }] } };
  }
  return next;
}

export const migrations: readonly Migration[] = [
  {
    from: 0, to: 1,
    text: "'model' became base.model, 'network' adapter, 'data.folder' data.folders, "
      + "'train.learningRate' optimizer.learningRate",
    migrate: fromPreRelease,
  },
];

/** Brings a raw job to the current version. `notes` says what was changed; `issue` why it cannot be read. */
export function migrateJob(raw: RawJob): { job: RawJob; notes: string[]; issue: JobIssue | null } {
  const version = raw['version'];
  if (version === undefined) {
    return { job: raw, notes: [], issue: issue('version', 'no-version', `missing. Write version: ${jobVersion} at the top of the job.`, { version: jobVersion }) };
  }
  if (typeof version !== 'number' || !Number.isInteger(version) || version < 0) {
    return { job: raw, notes: [], issue: issue('version', 'not-whole', `must be a whole number, not ${show(version)}.`, { value: show(version) }) };
  }
  if (version > jobVersion) {
    const text = `${version} was written by a newer Adora; this one reads up to version ${jobVersion}. Update Adora.`;
    return { job: raw, notes: [], issue: issue('version', 'newer', text, { version, known: jobVersion }) };
  }
  let job = raw;
  const notes: string[] = [];
  for (const migration of migrations) {
    if (job['version'] !== migration.from) continue;
    job = { ...migration.migrate(job), version: migration.to };
    notes.push(`job version ${migration.from} was read as version ${migration.to}: ${migration.text}.`);
  }
  return { job, notes, issue: null };
}

// From a parsed JSON or TOML value to a Job, with messages that a person can act on.

import { z } from 'zod';

import { fieldJsonSchema, parseSettings, show, type Fields, type SettingValue } from './fields.ts';
import { issue, type JobIssue } from './issue.ts';
import { choiceSections, jobSchema, type ChoiceSection, type Job } from './job.ts';
import { migrateJob, type RawJob } from './migrations.ts';
import { nearestName, suggestion } from './nearest.ts';

/** What the catalog knows: for each section the fields of each kind; for the other two the known ids. */
export interface CatalogFields extends Readonly<Record<ChoiceSection, Readonly<Record<string, Fields>>>> {
  readonly objectives: readonly string[];
  readonly samplers: readonly string[];
  /** What an adapter's settings that are 'auto' become for each `output.for`, by setting. */
  readonly adapterFor?: Readonly<Record<string, Readonly<Record<string, SettingValue>>>>;
}

export type JobResult =
  | { readonly ok: true; readonly job: Job; readonly notes: readonly string[] }
  | { readonly ok: false; readonly issues: readonly JobIssue[] };

/**
 * Checks a raw job, migrates it to the current version and fills in every default. With `catalog`, kinds are
 * checked too and their settings completed.
 */
export function parseJob(raw: unknown, catalog?: CatalogFields): JobResult {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    return { ok: false, issues: [issue('', 'no-object', `a job is an object with the keys ${Object.keys(jobSchema.shape).join(', ')}.`, { keys: Object.keys(jobSchema.shape) })] };
  }
  const migrated = migrateJob(raw as Record<string, unknown>);
  if (migrated.issue !== null) return { ok: false, issues: [migrated.issue] };
  const parsed = jobSchema.safeParse(migrated.job, { reportInput: true });
  if (!parsed.success) {
    const issues = parsed.error.issues.flatMap(issuesOf);
    return { ok: false, issues: [...issues, ...(catalog === undefined ? [] : choiceIssues(migrated.job, catalog, issues))].map((found) => withPlace(found, catalog)) };
  }
  const issues = relations(parsed.data);
  const job = catalog === undefined ? parsed.data : completed(parsed.data, catalog, issues);
  return issues.length === 0 ? { ok: true, job, notes: migrated.notes } : { ok: false, issues: issues.map((found) => withPlace(found, catalog)) };
}

/** The JSON Schema of job files, with the settings of every catalog kind. */
export function jobJsonSchema(catalog?: CatalogFields): Record<string, unknown> {
  const schema = z.toJSONSchema(jobSchema, { io: 'input' }) as Record<string, unknown>;
  schema['title'] = 'Adora job';
  if (catalog === undefined) return schema;
  const properties = schema['properties'] as Record<string, { properties: Record<string, Record<string, unknown>> }>;
  for (const section of sectionNames) {
    const sectionSchema = properties[section];
    if (sectionSchema === undefined) continue;
    const defaultKind = sectionSchema.properties['kind']?.['default'];
    Object.assign(sectionSchema, {
      properties: {
        ...sectionSchema.properties,
        kind: { ...sectionSchema.properties['kind'], enum: Object.keys(catalog[section]) },
      },
      allOf: Object.entries(catalog[section]).map(([kind, fields]) => ({
        if: { properties: { kind: { const: kind } }, ...(kind === defaultKind ? {} : { required: ['kind'] }) },
        then: {
          properties: {
            ...Object.fromEntries(choiceSections[section].map((key) => [key, true])),
            ...Object.fromEntries(Object.entries(fields).map(([key, field]) => [key, fieldJsonSchema(field)])),
          },
          additionalProperties: false,
        },
      })),
    });
  }
  Object.assign(properties['objective']?.properties['kind'] ?? {}, { enum: ['auto', ...catalog.objectives] });
  Object.assign(properties['preview']?.properties['sampler'] ?? {}, { enum: catalog.samplers });
  return schema;
}

const sectionNames = Object.keys(choiceSections) as ChoiceSection[];

/** Fills in the settings of the catalog kinds; what is wrong is added to `issues`. */
function completed(job: Job, catalog: CatalogFields, issues: JobIssue[]): Job {
  const result: Job = { ...job };
  const complete = <Section extends ChoiceSection>(section: Section): Job[Section] => completeSection(section, job[section], catalog, issues);
  result.adapter = decided(complete('adapter'), catalog.adapterFor?.[job.output.for] ?? {});
  result.optimizer = complete('optimizer');
  result.schedule = complete('schedule');
  checkObjective(job.objective.kind, catalog, issues);
  checkSampler(job.preview.sampler, catalog, issues);
  return result;
}

/** What is wrong with the catalog choices of a job that is no whole job: nobody wants to hear of it only the next time. */
function choiceIssues(raw: RawJob, catalog: CatalogFields, known: readonly JobIssue[]): JobIssue[] {
  const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
  const named = new Set(known.map(({ path }) => path));
  const issues: JobIssue[] = [];
  for (const section of sectionNames) {
    const value = raw[section] ?? {};
    const schema = jobSchema.shape[section].unwrap();
    if (!isRecord(value)) continue;
    // The keys that the schema has refused are known; the rest is completed as in a whole job.
    const good = Object.fromEntries(Object.entries(value).filter(([key]) => !named.has(`${section}.${key}`)));
    const parsed = schema.safeParse(good);
    if (parsed.success) completeSection(section, parsed.data as Job[typeof section], catalog, issues);
  }
  const { objective, preview } = raw;
  if (isRecord(objective) && typeof objective['kind'] === 'string') checkObjective(objective['kind'], catalog, issues);
  if (isRecord(preview) && typeof preview['sampler'] === 'string') checkSampler(preview['sampler'], catalog, issues);
  return issues;
}

function checkObjective(kind: string, { objectives }: CatalogFields, issues: JobIssue[]): void {
  if (kind !== 'auto' && !objectives.includes(kind)) issues.push(unknownKind('objective.kind', kind, ['auto', ...objectives]));
}

function checkSampler(sampler: string, { samplers }: CatalogFields, issues: JobIssue[]): void {
  if (!samplers.includes(sampler)) issues.push(unknownKind('preview.sampler', sampler, samplers));
}

function completeSection<Section extends ChoiceSection>(section: Section, value: Job[Section], catalog: CatalogFields, issues: JobIssue[]): Job[Section] {
  const kinds = catalog[section];
  const fields = Object.hasOwn(kinds, value.kind) ? kinds[value.kind] : undefined;
  if (fields === undefined) {
    issues.push(unknownKind(`${section}.kind`, value.kind, Object.keys(kinds)));
    return value;
  }
  const common: readonly string[] = choiceSections[section];
  const own = Object.fromEntries(Object.entries(value).filter(([key]) => !common.includes(key)));
  const parsed = parseSettings(fields, own, section);
  // A misspelt common key lands among the settings, so they are offered as names too.
  issues.push(...parsed.issues.map((found) => {
    const key = found.path.slice(section.length + 1);
    return Object.hasOwn(fields, key) ? found : unknownKey(found.path, key, [...common, ...Object.keys(fields)]);
  }));
  return { ...value, ...parsed.settings };
}

/** Settings that are 'auto' where the program that shall read the adapter decides them. */
const decided = (adapter: Job['adapter'], choices: Readonly<Record<string, SettingValue>>): Job['adapter'] => ({
  ...adapter, ...Object.fromEntries(Object.entries(choices).filter(([key]) => adapter[key] === 'auto')),
});

const unknownKind = (path: string, kind: string, known: readonly string[]): JobIssue =>
  issue(path, 'unknown-kind', `'${kind}' is not known.${suggestion(kind, known)}`, { kind, known });

const unknownKey = (path: string, key: string, known: readonly string[]): JobIssue =>
  issue(path, 'unknown-key', `unknown key.${suggestion(key, known)}`, { key, known });

/** A key that is known in other sections, and like none where it stands, is told where it belongs. */
function withPlace(found: JobIssue, catalog?: CatalogFields): JobIssue {
  const { key, known } = found.data as { readonly key?: string; readonly known?: readonly string[] };
  if (found.code !== 'job.unknown-key' || key === undefined || nearestName(key, known ?? []) !== null) return found;
  const inKinds = sectionNames.filter((section) => Object.values(catalog?.[section] ?? {}).some((fields) => Object.hasOwn(fields, key)));
  const inSections = Object.keys(jobSchema.shape).filter((section) => knownKeys([section]).includes(key));
  const places = [...new Set<string>([...inSections, ...inKinds])].map((section) => `${section}.${key}`);
  return places.length === 0 ? found : issue(found.path, 'misplaced-key', `unknown key. Did you mean ${places.map((place) => `'${place}'`).join(' or ')}?`, { key, places });
}

/** Conditions between keys. */
function relations(job: Job): JobIssue[] {
  const issues: JobIssue[] = [];
  const { noise, schedule, train } = job;
  if (noise.maxTimestep !== undefined && noise.maxTimestep < noise.minTimestep) {
    issues.push(issue('noise.maxTimestep', 'timesteps', 'must not be below noise.minTimestep.'));
  }
  if (schedule.warmup >= train.steps && schedule.warmup > 0) {
    issues.push(issue('schedule.warmup', 'warmup', `${schedule.warmup} steps of warm-up must be fewer than train.steps (${train.steps}).`, { warmup: schedule.warmup, steps: train.steps }));
  }
  if (job.adapter.from !== undefined && job.task !== 'adapter') {
    issues.push(issue('adapter.from', 'from-task', `goes with task = "adapter", not "${job.task}"; leave it out.`, { task: job.task }));
  }
  if (job.data.folders.every((folder) => folder.regularization)) {
    issues.push(issue('data.folders', 'only-regularization', 'every folder is a regularization folder; at least one must hold images to learn from.'));
  }
  return issues;
}

function issuesOf(found: z.core.$ZodIssue): JobIssue[] {
  const path = pathText(found.path);
  if (found.code === 'unrecognized_keys') {
    const known = knownKeys(found.path);
    return found.keys.map((key) => unknownKey(path === '' ? key : `${path}.${key}`, key, known));
  }
  const value = show(found.input);
  if (found.code === 'invalid_value') {
    const nearest = typeof found.input === 'string' ? suggestion(found.input, found.values.map(String)) : '';
    const hint = nearest.startsWith(' Did') ? nearest : '';
    const values = found.values.map(String);
    return [issue(path, 'not-one-of', `must be ${values.length > 1 ? 'one of ' : ''}${values.join(', ')}, not ${value}.${hint}`, { value, values })];
  }
  if (found.input === undefined && found.code === 'invalid_type') return [issue(path, 'missing', 'missing.')];
  if (found.code === 'invalid_union') {
    const inner = found.errors.flat();
    // Of the kind that was given, but not of its range: the other kinds are of no interest.
    const near = inner.find(({ code }) => code !== 'invalid_type' && code !== 'invalid_value');
    if (near) return [wrongValue(path, near.message, value)];
    const wanted = [...new Set(inner.flatMap(wantedBy))];
    return [issue(path, 'does-not-fit', `must be ${wanted.slice(0, -1).join(', ')}${wanted.length > 1 ? ' or ' : ''}${wanted.at(-1)}, not ${value}.`, { value, wanted })];
  }
  return [wrongValue(path, found.message, value)];
}

const wrongValue = (path: string, message: string, value: string): JobIssue =>
  issue(path, 'wrong-value', `${message.replace(/^./, (letter) => letter.toLowerCase())}; found ${value}.`, { value, wanted: message });

/** What one kind of a union would have taken, in words. */
function wantedBy(found: z.core.$ZodIssue): string[] {
  if (found.code === 'invalid_value') return found.values.map((value) => `'${String(value)}'`);
  if (found.code !== 'invalid_type') return [];
  const names: Readonly<Record<string, string>> = { int: 'a whole number', string: 'text', boolean: 'true or false', tuple: 'a list', array: 'a list', object: 'a group of keys' };
  return [names[found.expected] ?? `a ${found.expected}`];
}

function pathText(path: readonly PropertyKey[]): string {
  return path.map((part, at) => (typeof part === 'number' ? `[${part}]` : `${at === 0 ? '' : '.'}${String(part)}`)).join('');
}

/** The keys that the schema knows at `path`. */
function knownKeys(path: readonly PropertyKey[]): string[] {
  let at: z.core.$ZodType | undefined = jobSchema;
  for (const part of path) {
    const inner = unwrapped(at);
    if (inner instanceof z.ZodObject) at = inner.shape[String(part)] as z.core.$ZodType | undefined;
    else if (inner instanceof z.ZodArray) at = inner.element;
    else return [];
  }
  const object = unwrapped(at);
  return object instanceof z.ZodObject ? Object.keys(object.shape) : [];
}

function unwrapped(schema: z.core.$ZodType | undefined): z.core.$ZodType | undefined {
  let inner = schema;
  while (inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault || inner instanceof z.ZodOptional) {
    inner = inner.unwrap();
  }
  return inner;
}

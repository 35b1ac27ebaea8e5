// Settings that ask for something that a job does not do. Nothing is worse than a setting that is taken and has no effect. Beside
// what each counts stands in its own definition.
import { catalogFields } from '../catalog/index.ts';
import { whyIgnored, type Counts } from '../contract/counts.ts';
import type { Fields } from '../contract/fields.ts';
import { choiceSections, jobSchema, type ChoiceSection, type Job } from '../contract/job.ts';
import { jobVersion } from '../contract/migrations.ts';
import { jobJsonSchema } from '../contract/parse-job.ts';

interface Schema {
  readonly counts?: Counts;
  readonly properties?: Readonly<Record<string, Schema>>;
}

interface Setting {
  readonly path: string;
  /** Its own conditions, and those of the parts that it stands in. */
  readonly counts: readonly Counts[];
}

function settingsOf(path: string, schema: Schema, above: readonly Counts[] = []): Setting[] {
  const counts = [...above, ...(schema.counts === undefined ? [] : [schema.counts])];
  return schema.properties === undefined ? [{ path, counts }]
    : Object.entries(schema.properties).flatMap(([key, child]) => settingsOf(path === '' ? key : `${path}.${key}`, child, counts));
}

/** Those of all jobs; what single kinds have besides comes with the job. */
const common = settingsOf('', jobJsonSchema() as Schema).filter(({ counts }) => counts.length > 0);

const minimal = jobSchema.parse({ version: jobVersion, base: { model: 'none' }, data: { folders: [{ path: 'none' }] } });

const valueAt = (holder: unknown, path: string): unknown =>
  path.split('.').reduce<unknown>((value, key) => (value as Readonly<Record<string, unknown>> | undefined)?.[key], holder);

/** The fields of the kind that a job has chosen in a section. */
function fieldsOf(job: Job, section: ChoiceSection): Fields {
  const kinds = catalogFields()[section];
  const { kind } = job[section];
  return Object.hasOwn(kinds, kind) ? kinds[kind]! : {};
}

/** A warning for each setting that is not at its default and has no effect. */
export function ignoredSettings(job: Job): { readonly code: string; readonly text: string; readonly data: { readonly setting: string } }[] {
  const own = (Object.keys(choiceSections) as ChoiceSection[]).flatMap((section) => Object.entries(fieldsOf(job, section)).map(([key, { counts, default: standard }]) =>
    ({ path: `${section}.${key}`, counts: counts === undefined ? [] : [counts], standard: standard as unknown })));
  const standards = new Map(own.map(({ path, standard }) => [path, standard]));
  const settings = [...common.filter(({ path }) => !standards.has(path)), ...own.map(({ path, counts }) => ({ path, counts: [...common.find((one) => one.path === path)?.counts ?? [], ...counts] }))];
  return settings.flatMap(({ path, counts }) => {
    const standard = standards.has(path) ? standards.get(path) : valueAt(minimal, path);
    if (JSON.stringify(valueAt(job, path)) === JSON.stringify(standard)) return [];
    const why = counts.map((one) => whyIgnored(one, job)).find((one) => one !== null);
    return why === undefined ? [] : [{ code: 'job.ignored', text: `${path} has no effect: ${why}.`, data: { setting: path } }];
  });
}

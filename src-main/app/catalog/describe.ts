// Every setting of a job as a form can show it, from the schema of jobs and the fields of the catalog. No second list:
// what is added there appears here.

import { adapters } from '../../catalog/adapters/index.ts';
import { consumers } from '../../catalog/consumers/index.ts';
import { catalogFields } from '../../catalog/index.ts';
import { objectives } from '../../catalog/objectives/index.ts';
import { optimizers } from '../../catalog/optimizers/index.ts';
import { samplers } from '../../catalog/samplers/index.ts';
import { schedules } from '../../catalog/schedules/index.ts';
import type { Output, SettingDescription } from '../../contract/api.ts';
import { deviceTexts } from '../../contract/devices.ts';
import type { Field } from '../../contract/fields.ts';
import { jobJsonSchema } from '../../contract/parse-job.ts';

type Described = SettingDescription['field'];
type Choice = Output<'catalog.describe'>['adapters'][number];

interface Schema {
  /** What people call it; the key in words where there is none. */
  readonly title?: string;
  readonly type?: string;
  readonly description?: string;
  readonly why?: string;
  readonly unit?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMaximum?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
}

/** Headings, in the order of the form. Other groups of the schema follow. */
const GROUPS: Readonly<Record<string, string>> = {
  adapter: 'Adapter', optimizer: 'Optimizer', schedule: 'Learning rate course', train: 'Training', data: 'Pictures', preview: 'Previews',
  output: 'Export', objective: 'Objective', noise: 'Noise', base: 'Base model', autoencoder: 'Autoencoder',
};

/** Settings that most people want to see. */
const COMMON = new Set([
  'adapter.kind', 'adapter.targets', 'adapter.rank', 'adapter.alpha', 'adapter.textEncoder', 'optimizer.kind', 'optimizer.learningRate',
  'schedule.kind', 'schedule.warmup', 'train.steps', 'train.batch', 'train.seed', 'train.saveEvery', 'train.device', 'data.resolution',
  'data.crop', 'data.flip', 'data.caption.prefix', 'data.caption.dropout', 'preview.every', 'preview.prompts', 'preview.guidance', 'output.for', 'output.dtype',
]);

/** Come from the project, or are written by the studio itself. */
const OWN = new Set(['base.model', 'data.folders', 'data.selection', 'version', 'name', 'task', 'init']);

export function describeCatalog(): Output<'catalog.describe'> {
  const catalog = catalogFields();
  const schema = jobJsonSchema(catalog) as Schema;
  const names = [...new Set([...Object.keys(GROUPS), ...Object.keys(schema.properties ?? {})])];
  const settings = names.flatMap((group) => {
    const part = schema.properties?.[group];
    if (part?.properties === undefined) return [];
    const common = settingsOf(group, part, group);
    const fields = (catalog as unknown as Readonly<Record<string, unknown>>)[group];
    const own = typeof fields === 'object' && !Array.isArray(fields) && fields !== null ? kindSettings(group, fields as Readonly<Record<string, Readonly<Record<string, Field>>>>) : [];
    return [...common, ...own];
  });
  return {
    settings,
    adapters: choices('adapter', adapters), optimizers: choices('optimizer', optimizers), schedules: choices('schedule', schedules), objectives: choices('objective', objectives), samplers: choices('sampler', samplers),
    consumers: [...choices('consumer', consumers), ALL],
    jobSchema: JSON.parse(JSON.stringify(schema)) as Record<string, unknown>,
  };
}

const ALL = { id: 'all', code: 'consumer.all', label: 'All of them', help: 'One file for each layout.' };

/** @param kind of the choice: the code of each is `<kind>.<id>` */
const choices = (kind: string, list: object): Choice[] =>
  Object.entries(list as Readonly<Record<string, { readonly label?: string; readonly help?: string }>>).map(([id, { label, help }]) => ({ id, code: `${kind}.${id}`, label: label ?? labelOf(id), help: help ?? '' }));

/** @param above what settings of a part are called by, as `Caption: ` */
function settingsOf(path: string, { properties = {} }: Schema, group: string, above = ''): SettingDescription[] {
  return Object.entries(properties).flatMap(([key, schema]) => {
    const own = `${path}.${key}`;
    if (OWN.has(own)) return [];
    if (schema.properties !== undefined && schema.enum === undefined) return settingsOf(own, schema, group, `${labelOf(key)}: `);
    const field = fieldOf(own, schema, schema.title ?? (above === '' ? labelOf(key) : `${above}${labelOf(key).toLowerCase()}`));
    return field ? [setting(own, group, field, null)] : [];
  });
}

/** Settings of single kinds; what two kinds share is described for each. */
function kindSettings(group: string, kinds: Readonly<Record<string, Readonly<Record<string, Field>>>>): SettingDescription[] {
  return Object.entries(kinds).flatMap(([kind, fields]) => Object.entries(fields).map(([key, field]) =>
    setting(`${group}.${key}`, group, plain(field, `setting.${group}.${kind}.${key}`), { path: `${group}.kind`, is: kind })));
}

function plain(field: Field, code: string): Described {
  const options = field.kind === 'choice' ? { options: field.options.map((option) => ({ ...option, code: `${code}.${option.value}` })) } : {};
  return JSON.parse(JSON.stringify({ code, ...field, ...options, counts: undefined })) as Described;
}

const setting = (path: string, group: string, field: Described, when: SettingDescription['when']): SettingDescription =>
  ({ path, group, code: `setting.${group}`, groupLabel: GROUPS[group] ?? labelOf(group), field, when, advanced: !COMMON.has(path) });

/** `learningRate` as `Learning rate`. */
function labelOf(key: string): string {
  const text = key.replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2').replaceAll(/[_-]/g, ' ').toLowerCase();
  return text.replace(/^./, (letter) => letter.toUpperCase());
}

/** Names such as f16 stay as they are. */
const nameOf = (value: string): string => (/\d/.test(value) ? value : labelOf(value));

const LARGEST = 100_000_000;

function fieldOf(path: string, schema: Schema, label: string): Described | null {
  const text = { code: `setting.${path}`, label, help: schema.description ?? '', ...(schema.why === undefined ? {} : { why: schema.why }) };
  const known = listed(path);
  const values = schema.enum ?? known?.map(({ id }) => id);
  if (values) {
    const options = values.map((value) => {
      const one = known?.find(({ id }) => id === value);
      return { code: one?.code ?? `setting.${path}.${String(value)}`, value: String(value), label: one?.label ?? nameOf(String(value)), help: one?.help ?? '' };
    });
    return { kind: 'choice', ...text, options, default: String(schema.default ?? options[0]?.value ?? '') };
  }
  switch (schema.type) {
    case 'boolean': return { kind: 'flag', ...text, default: schema.default === true };
    case 'integer':
    case 'number': return {
      kind: 'number', ...text, default: typeof schema.default === 'number' ? schema.default : null,
      min: Math.max(schema.minimum ?? 0, -LARGEST), max: Math.min(schema.maximum ?? LARGEST, LARGEST), ...(schema.type === 'integer' ? { integer: true } : {}), ...(schema.unit === undefined ? {} : { unit: schema.unit }),
    };
    case 'string': return { kind: 'text', ...text, default: typeof schema.default === 'string' ? schema.default : null };
    case 'array':
      if (schema.items?.type === 'string') return { kind: 'texts', ...text, default: Array.isArray(schema.default) ? schema.default.map(String) : [] };
      return null;
    default: return { kind: 'free', ...text, default: schema.default ?? null, example: JSON.stringify(schema.default ?? 'auto') };
  }
}

function listed(path: string): Choice[] | null {
  switch (path) {
    case 'adapter.kind': return choices('adapter', adapters);
    case 'optimizer.kind': return choices('optimizer', optimizers);
    case 'schedule.kind': return choices('schedule', schedules);
    case 'objective.kind': return [{ id: 'auto', code: 'objective.auto', label: 'As the model', help: 'What the base model predicts.' }, ...choices('objective', objectives)];
    case 'preview.sampler': return choices('sampler', samplers);
    case 'train.device': return choices('device', deviceTexts);
    case 'output.for': return [...choices('consumer', consumers), ALL];
    default: return null;
  }
}

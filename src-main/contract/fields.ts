// A Field describes one setting of a catalog choice: it drives the form in the window, the check of a job
// file and its documentation.

import type { Counts } from './counts.ts';
import { issue, issueAt, type JobIssue } from './issue.ts';
import { suggestion } from './nearest.ts';
import { say, type Text } from './text.ts';

interface FieldText {
  readonly label: string;
  readonly help: string;
  /** When and why one would change it; longer than `help`. */
  readonly why?: string;
  readonly counts?: Counts;
}

export interface NumberField extends FieldText {
  readonly kind: 'number';
  readonly default: number;
  readonly min: number;
  readonly max: number;
  readonly integer?: boolean;
  readonly step?: number;
  readonly unit?: string;
  readonly scale?: 'log';
}

export interface ChoiceOption<Value extends string = string> {
  readonly value: Value;
  readonly label: string;
  readonly help: string;
}

export interface ChoiceField<Value extends string = string> extends FieldText {
  readonly kind: 'choice';
  readonly options: readonly ChoiceOption<Value>[];
  readonly default: NoInfer<Value>;
}

export interface FlagField extends FieldText {
  readonly kind: 'flag';
  readonly default: boolean;
}

export interface TextField extends FieldText {
  readonly kind: 'text';
  readonly default: string;
}

export type Field = NumberField | ChoiceField | FlagField | TextField;
export type Fields = Readonly<Record<string, Field>>;
export type SettingValue = number | string | boolean;

type ValueOf<F> = F extends { readonly kind: 'number' } ? number
  : F extends { readonly kind: 'flag' } ? boolean
  : F extends { readonly kind: 'choice'; readonly options: readonly { readonly value: infer Value }[] } ? Value
  : string;

/** The settings object that `fields` describe: numbers, booleans, strings, and unions of a choice's values. */
export type SettingsOf<F extends Fields> = { -readonly [Key in keyof F]: ValueOf<F[Key]> };

/** Returns its argument with literal types kept, so that `SettingsOf<typeof fields>` knows a choice's values. */
export function defineFields<const F extends Fields>(fields: F): F {
  return fields;
}

/** Every field at its default. */
export function defaultSettings<F extends Fields>(fields: F): SettingsOf<F> {
  return Object.fromEntries(Object.entries(fields).map(([key, field]) => [key, field.default])) as SettingsOf<F>;
}

/**
 * Checks raw settings against `fields`: defaults filled in, types and ranges checked, unknown keys refused with
 * the nearest known name. `where` (for example `optimizer`) starts every path. The key `kind`, which names
 * the choice itself, is skipped. With issues the returned settings hold the default of each bad value.
 */
export function parseSettings<F extends Fields>(
  fields: F, raw: Readonly<Record<string, unknown>>, where: string,
): { settings: SettingsOf<F>; issues: JobIssue[] } {
  const settings: Record<string, SettingValue> = defaultSettings(fields);
  const issues: JobIssue[] = [];
  for (const [key, value] of Object.entries(raw)) {
    if (key === 'kind') continue;
    const field = Object.hasOwn(fields, key) ? fields[key] : undefined;
    if (field === undefined) {
      issues.push(issue(`${where}.${key}`, 'unknown-setting', `unknown setting.${suggestion(key, Object.keys(fields))}`, { key, known: Object.keys(fields) }));
      continue;
    }
    const problem = checkField(field, value);
    if (problem === null) settings[key] = value as SettingValue;
    else issues.push(issueAt(`${where}.${key}`, problem));
  }
  return { settings: settings as SettingsOf<F>, issues };
}

/** Says what is wrong with `value` for `field`, or null. */
export function checkField(field: Field, value: unknown): Text | null {
  switch (field.kind) {
    case 'number': return checkNumber(field, value);
    case 'choice': {
      const values = field.options.map((option) => option.value);
      if (typeof value === 'string' && values.includes(value)) return null;
      return say('job.not-one-of', `must be one of ${values.join(', ')}, not ${show(value)}.${typeof value === 'string' ? nearOnly(value, values) : ''}`, { value: show(value), values });
    }
    case 'flag': return typeof value === 'boolean' ? null : say('job.no-flag', `must be true or false, not ${show(value)}.`, { value: show(value) });
    case 'text': return typeof value === 'string' ? null : say('job.no-text', `must be text, not ${show(value)}.`, { value: show(value) });
    default: return field satisfies never;
  }
}

/** The JSON Schema of one field. */
export function fieldJsonSchema(field: Field): Record<string, unknown> {
  const text = { title: field.label, description: field.help, default: field.default, ...(field.counts === undefined ? {} : { counts: field.counts }) };
  switch (field.kind) {
    case 'number': return {
      type: field.integer === true ? 'integer' : 'number', minimum: field.min, maximum: field.max, ...text,
    };
    case 'choice': return { enum: field.options.map((option) => option.value), ...text };
    case 'flag': return { type: 'boolean', ...text };
    case 'text': return { type: 'string', ...text };
    default: return field satisfies never;
  }
}

function checkNumber(field: NumberField, value: unknown): Text | null {
  const unit = field.unit === undefined ? '' : ` ${field.unit}`;
  if (typeof value !== 'number' || !Number.isFinite(value)) return say('job.no-number', `must be a number, not ${show(value)}.`, { value: show(value) });
  if (field.integer === true && !Number.isInteger(value)) return say('job.not-whole', `must be a whole number, not ${value}.`, { value });
  if (value < field.min) return say('job.too-small', `${value}${unit} is below the smallest allowed value ${field.min}${unit}.`, { value, least: field.min, unit });
  if (value > field.max) return say('job.too-large', `${value}${unit} is above the largest allowed value ${field.max}${unit}.`, { value, most: field.max, unit });
  return null;
}

function nearOnly(value: string, values: readonly string[]): string {
  const text = suggestion(value, values);
  return text.startsWith(' Did') ? text : '';
}

/** A value as it would stand in a job file, shortened. */
export function show(value: unknown): string {
  const text = typeof value === 'bigint' ? String(value) : JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

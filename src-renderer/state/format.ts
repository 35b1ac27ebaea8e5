// Numbers and names as people read them, in the language of the window.
import type { SettingDescription } from '../../src-main/contract/api.ts';
import { locale, t } from '../messages.ts';

const units = ['B', 'kB', 'MB', 'GB', 'TB'];

export function bytes(value: number): string {
  let at = 0;
  let amount = value;
  while (amount >= 1000 && at < units.length - 1) {
    amount /= 1000;
    at += 1;
  }
  return `${at === 0 ? amount : amount.toPrecision(3)} ${units[at]}`;
}

export function duration(seconds: number): string {
  if (seconds < 1) return t.parts.time.moment;
  if (seconds < 90) return t.parts.time.seconds(Math.round(seconds));
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? t.parts.time.minutes(minutes) : t.parts.time.hours(Math.floor(minutes / 60), minutes % 60);
}

export const compact = (value: number): string => new Intl.NumberFormat(locale, { notation: 'compact', maximumFractionDigits: 1 }).format(value);

/** Four digits that matter; small ones as powers of ten. */
export function short(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  return value !== 0 && Math.abs(value) < 0.001 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

export function day(time: number): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' }).format(time);
}

/** A setting's value as text; `field` is what knows what its choices are called. */
export function show(value: unknown, field?: SettingDescription['field']): string {
  if (value === undefined || value === null || value === '') return t.parts.field.default;
  if (typeof value === 'boolean') return value ? t.parts.field.on : t.parts.field.off;
  const chosen = field?.kind === 'choice' ? field.options.find((option) => option.value === value) : undefined;
  if (chosen) return chosen.label;
  return typeof value === 'number' ? short(value) : typeof value === 'string' ? value : JSON.stringify(value);
}

/** A setting's value as text, where only its path is at hand. */
export const showAt = (settings: readonly SettingDescription[], path: string, value: unknown): string => show(value, settings.find((setting) => setting.path === path)?.field);

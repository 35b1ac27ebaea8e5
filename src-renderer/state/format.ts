// Numbers and names as people read them. The locale is the browser's.
import { t } from '../messages.ts';

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

export const compact = (value: number): string => new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 }).format(value);

/** Four digits that matter; small ones as powers of ten. */
export function short(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  return value !== 0 && Math.abs(value) < 0.001 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

export function day(time: number): string {
  return new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' }).format(time);
}

/** A setting's value as text. */
export function show(value: unknown): string {
  if (value === undefined || value === null || value === '') return 'default';
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  return typeof value === 'number' ? short(value) : typeof value === 'string' ? value : JSON.stringify(value);
}

/** A device as people call it; one without words of its own keeps its name. */
export const deviceName = (name: string): string => (t.settings.devices as Record<string, string>)[name] ?? name;

// Naming files in messages: short, on one line, not too many.
import { basename, dirname } from 'node:path';

const MOST_NAMES = 10;

/** `"folder/name.png"`, quoted; line breaks and the like in the name are escaped. */
export const shortName = (path: string): string =>
  JSON.stringify(`${basename(dirname(path))}/${basename(path)}`);

/** The first 10 of them separated by commas, and how many more there are. */
export function listNames(names: readonly string[]): string {
  const more = names.length - MOST_NAMES;
  return names.slice(0, MOST_NAMES).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

export const countOf = (count: number, singular: string, plural = `${singular}s`): string =>
  `${count} ${count === 1 ? singular : plural}`;

/** Order by Unicode code points, the same on every system (and not by UTF-16 units or a locale). */
export const byCodePoint = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

// What `inspect` tells: a line of the command and a row of the window's table from the same place.
import { say, type Fact, type Text } from '../contract/text.ts';

export interface InspectResult {
  readonly text: string;
  readonly data: unknown;
  /** The same for a table; layers and programs have tables of their own. */
  readonly facts: readonly Fact[];
}

export interface Told {
  readonly fact: Fact;
  readonly line: string;
}

const wordsOf = (value: Text | string): string => (typeof value === 'string' ? value : value.text);

/** @param value plain where it is a name or what the file says itself @param line unless it is `label: value` */
export const told = (name: string, label: string, value: Text | string, data: Record<string, unknown> = {}, line = `${label}: ${wordsOf(value)}`): Told =>
  ({ fact: { ...say(`inspect.${name}`, label, data), value }, line });

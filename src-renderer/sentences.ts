// What the app says (errors, verdicts, labels of settings and tasks), in the language of the window. English is written by the app
// itself, but for sentences that name the command line; another language has a table by the codes that come along, and what it lacks
// stays English.

import { phaseCode, verdictCode } from '../src-main/contract/said-codes.ts';

type Data = Readonly<Record<string, unknown>>;
/**
 * By code; labels of settings also have `<code>.help`, `<code>.why` and `<code>.unit`. A function gets the sentence's data, and gives
 * null where the app's own words do.
 */
export type Sentences = Readonly<Record<string, string | ((data: Data) => string | null)>>;

/** The sentence of a code, or `fallback`, the app's own English. */
export function sentence(sentences: Sentences, code: string, data: Data, fallback: string): string {
  const found = Object.hasOwn(sentences, code) ? sentences[code] : undefined;
  return (typeof found === 'function' ? found(data) : found) ?? fallback;
}

/** What an object with a code may have in words, and what follows the code in the table. */
const PARTS: Readonly<Record<string, string>> = { text: '', message: '', label: '', groupLabel: '', help: '.help', why: '.why', unit: '.unit' };

/** The value with everything said in it put into the language. Without a table it is the value itself. */
export function inLanguage<Value>(value: Value, sentences: Sentences | undefined): Value {
  return sentences === undefined ? value : translated(value, sentences) as Value;
}

function translated(value: unknown, sentences: Sentences): unknown {
  if (Array.isArray(value)) return value.map((one: unknown) => translated(one, sentences));
  if (typeof value !== 'object' || value === null) return value;
  const given = value as Data;
  const code = codeOf(given);
  return Object.fromEntries(Object.entries(given).map(([key, own]) => {
    // A phase is called by its name; other names are names.
    const part = key === 'name' && given['kind'] === 'phase' ? '' : PARTS[key];
    // Beside a sentence a label is a name.
    const isName = /label/i.test(key) && ('text' in given || 'message' in given);
    if (code !== null && part !== undefined && !isName && typeof own === 'string') return [key, sentence(sentences, `${code}${part}`, dataOf(given), own)];
    return [key, translated(own, sentences)];
  }));
}

/** Events of a run are lines of its log, whose kind and name are the code. */
function codeOf({ code, kind, name, ok, about, verdict }: Data): string | null {
  if (typeof code === 'string') return code;
  if (kind === 'verdict' && typeof name === 'string') return verdictCode(name, ok === true, typeof about === 'string' ? about : undefined);
  if (kind === 'phase' && typeof name === 'string') return phaseCode(name);
  return kind === 'forecast' && typeof verdict === 'string' ? `forecast.${verdict}` : null;
}

const dataOf = (given: Data): Data => {
  const data = given['data'] ?? given['details'] ?? given;
  return typeof data === 'object' && data !== null ? data as Data : given;
};

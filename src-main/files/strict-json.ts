// A JSON parser for files from strangers. Unlike JSON.parse it refuses repeated keys and lone surrogates, limits the
// depth, keeps objects as Maps (so that "__proto__" is a key like any other) and tells integers from other numbers.

/** A number as it is written; `integer` is set when it is a non-negative safe integer in plain digits. */
export interface JsonNumber {
  readonly literal: string;
  readonly integer: number | undefined;
}
export type JsonObject = ReadonlyMap<string, JsonValue>;
export type JsonValue = string | boolean | null | JsonNumber | readonly JsonValue[] | JsonObject;

/** What is wrong, as a phrase to be put into a sentence. `duplicate` is the repeated key where that is the fault. */
export class JsonFault extends Error {
  readonly duplicate: string | undefined;

  constructor(message: string, duplicate?: string) {
    super(message);
    this.duplicate = duplicate;
  }
}

const MAX_DEPTH = 64;
/** Longer than any number that means something. */
const MAX_NUMBER = 400;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const NUMBER_CHARACTERS = '+-.0123456789Ee';
/** Whole numbers of so many digits are safe integers. */
const SAFE_DIGITS = 15;
/** By their first letter. */
const WORDS: Readonly<Record<string, { readonly text: string; readonly meaning: boolean | null } | undefined>> =
  { t: { text: 'true', meaning: true }, f: { text: 'false', meaning: false }, n: { text: 'null', meaning: null } };

export const isObject = (value: JsonValue | undefined): value is JsonObject => value instanceof Map;
export const isArray = (value: JsonValue | undefined): value is readonly JsonValue[] => Array.isArray(value);
/** The non-negative safe integer that `value` is, or undefined. */
export const integerOf = (value: JsonValue | undefined): number | undefined =>
  typeof value === 'object' && value !== null && 'literal' in value ? value.integer : undefined;

/** Parses one JSON value with nothing but white space around it. Throws JsonFault. */
export function parseStrictJson(text: string): JsonValue {
  let at = 0;

  const fault = (what: string): JsonFault => new JsonFault(`${what} at character ${at}`);
  // Texts are scanned by hand: a regular expression runs out of stack on one of some megabytes.
  const skipSpace = (): void => {
    for (let code = text.charCodeAt(at); code === 32 || code === 10 || code === 13 || code === 9;) {
      code = text.charCodeAt(++at);
    }
  };
  const accept = (character: string): boolean => {
    skipSpace();
    if (text[at] !== character) return false;
    at++;
    return true;
  };
  const expect = (character: string): void => {
    if (!accept(character)) throw fault(`"${character}" is missing`);
  };

  function string(): string {
    skipSpace();
    if (text[at] !== '"') throw fault('a text is missing');
    let end = at;
    let backslashes: number;
    do {
      end = text.indexOf('"', end + 1);
      if (end < 0) throw fault('a text does not end');
      backslashes = 0;
      while (text[end - 1 - backslashes] === '\\') backslashes++;
    } while (backslashes % 2 === 1);
    let value: string;
    try {
      value = JSON.parse(text.slice(at, end + 1)) as string;
    } catch {
      throw fault('a text is malformed');
    }
    if (/\p{Surrogate}/u.test(value)) throw fault('a text contains half a character');
    at = end + 1;
    return value;
  }

  function number(): JsonNumber {
    const start = at;
    // Headers are full of plain whole numbers.
    let plain = 0;
    for (let code = text.charCodeAt(at); code >= 48 && code <= 57 && at - start < SAFE_DIGITS; code = text.charCodeAt(++at)) plain = plain * 10 + code - 48;
    const isPlain = at > start && (text[start] !== '0' || at === start + 1) && !NUMBER_CHARACTERS.includes(text[at] ?? ' ');
    if (isPlain) return { literal: text.slice(start, at), integer: plain };
    while (at < text.length && at - start <= MAX_NUMBER && NUMBER_CHARACTERS.includes(text[at]!)) at++;
    const literal = text.slice(start, at);
    if (at - start > MAX_NUMBER || !NUMBER.test(literal)) throw fault('a value is missing or malformed');
    const value = Number(literal);
    return { literal, integer: /^\d+$/.test(literal) && Number.isSafeInteger(value) ? value : undefined };
  }

  function value(depth: number): JsonValue {
    if (depth > MAX_DEPTH) throw fault('values are nested too deeply');
    if (accept('{')) return object(depth);
    if (accept('[')) return list(depth);
    if (text[at] === '"') return string();
    const word = WORDS[text[at] ?? ''];
    if (!word || !text.startsWith(word.text, at)) return number();
    at += word.text.length;
    return word.meaning;
  }

  function object(depth: number): JsonObject {
    const entries = new Map<string, JsonValue>();
    if (accept('}')) return entries;
    do {
      const key = string();
      if (entries.has(key)) throw new JsonFault(`the key "${key}" is there twice`, key);
      expect(':');
      entries.set(key, value(depth + 1));
    } while (accept(','));
    expect('}');
    return entries;
  }

  function list(depth: number): readonly JsonValue[] {
    const items: JsonValue[] = [];
    if (accept(']')) return items;
    do items.push(value(depth + 1)); while (accept(','));
    expect(']');
    return items;
  }

  const result = value(0);
  skipSpace();
  if (at < text.length) throw fault('something follows the end');
  return result;
}

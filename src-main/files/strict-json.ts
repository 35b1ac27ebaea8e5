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
const SPACE = /[ \t\n\r]*/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;

export const isObject = (value: JsonValue | undefined): value is JsonObject => value instanceof Map;
export const isArray = (value: JsonValue | undefined): value is readonly JsonValue[] => Array.isArray(value);
/** The non-negative safe integer that `value` is, or undefined. */
export const integerOf = (value: JsonValue | undefined): number | undefined =>
  typeof value === 'object' && value !== null && 'literal' in value ? value.integer : undefined;

/** Parses one JSON value with nothing but white space around it. Throws JsonFault. */
export function parseStrictJson(text: string): JsonValue {
  let at = 0;

  const fault = (what: string): JsonFault => new JsonFault(`${what} at character ${at}`);
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  const accept = (character: string): boolean => {
    match(SPACE);
    if (text[at] !== character) return false;
    at++;
    return true;
  };
  const expect = (character: string): void => {
    if (!accept(character)) throw fault(`"${character}" is missing`);
  };

  function string(): string {
    match(SPACE);
    const literal = match(STRING);
    if (literal === undefined) throw fault('a text is missing or malformed');
    const value = literal.includes('\\') ? JSON.parse(literal) as string : literal.slice(1, -1);
    if (/\p{Surrogate}/u.test(value)) throw fault('a text contains half a character');
    return value;
  }

  function value(depth: number): JsonValue {
    if (depth > MAX_DEPTH) throw fault('values are nested too deeply');
    if (accept('{')) return object(depth);
    if (accept('[')) return list(depth);
    if (text[at] === '"') return string();
    const literal = match(NUMBER);
    if (literal !== undefined) {
      const number = Number(literal);
      return { literal, integer: /^\d+$/.test(literal) && Number.isSafeInteger(number) ? number : undefined };
    }
    const word = match(WORD);
    if (word === undefined) throw fault('a value is missing or malformed');
    return word === 'null' ? null : word === 'true';
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
  match(SPACE);
  if (at < text.length) throw fault('something follows the end');
  return result;
}

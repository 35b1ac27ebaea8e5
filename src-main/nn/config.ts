// Typed access to a config.json. A value that the code would not honour is an error, never silently ignored.
import { UserError } from '../base/errors.ts';

export type RawConfig = Readonly<Record<string, unknown>>;

/**
 * Reads keys of the configuration of one part of a model. An absent key has the default of the format; an explicit
 * `null` is accepted only where a default of `null` is given. All methods throw `model.config`, naming key and value.
 */
export class ConfigReader {
  private readonly raw: RawConfig;
  private readonly part: string;

  /** @param part folder of the component, for messages */
  constructor(part: string, raw: RawConfig) {
    this.part = part;
    this.raw = raw;
  }

  fail(key: string, expected: string): never {
    throw new UserError(
      'model.config',
      `${this.part}/config.json: "${key}" is ${JSON.stringify(this.raw[key])}, which is not supported; it must be ${expected}.`,
      { part: this.part, key, value: this.raw[key] },
    );
  }

  has(key: string): boolean {
    return this.raw[key] !== undefined && this.raw[key] !== null;
  }

  /** A whole number of at least `least`. */
  int(key: string, fallback: number, least = 1): number {
    const value = this.value(key, fallback);
    return isInt(value, least) ? value : this.fail(key, `a whole number of at least ${least}`);
  }

  number(key: string, fallback: number): number {
    const value = this.value(key, fallback);
    return typeof value === 'number' && Number.isFinite(value) ? value : this.fail(key, 'a number');
  }

  flag(key: string, fallback: boolean): boolean {
    const value = this.value(key, fallback);
    return typeof value === 'boolean' ? value : this.fail(key, 'true or false');
  }

  choice<T extends string>(key: string, options: readonly T[], fallback: T): T {
    const value = this.value(key, fallback);
    return options.find((option) => option === value) ?? this.fail(key, `one of ${options.join(', ')}`);
  }

  /** A list of choices. */
  choices<T extends string>(key: string, options: readonly T[], fallback: readonly T[]): T[] {
    const list = this.value(key, fallback);
    if (!Array.isArray(list) || list.length === 0) return this.fail(key, 'a list');
    return list.map((value) => options.find((option) => option === value) ?? this.fail(key, `a list of ${options.join(', ')}`));
  }

  /** A list of whole numbers. */
  ints(key: string, fallback: readonly number[]): number[] {
    const list = this.value(key, fallback);
    if (Array.isArray(list) && list.length > 0 && list.every((value) => isInt(value, 1))) return list as number[];
    return this.fail(key, 'a list of whole numbers');
  }

  /** One whole number for all of `count` levels, or a list of one each. */
  perLevel(key: string, count: number, fallback: number): number[] {
    if (!Array.isArray(this.value(key, fallback))) return new Array<number>(count).fill(this.int(key, fallback));
    const list = this.ints(key, []);
    return list.length === count ? list : this.fail(key, `a number or a list of ${count}`);
  }

  /** Keys whose other values change the computation in ways that are not implemented. */
  only(allowed: Readonly<Record<string, readonly (string | number | boolean | null)[]>>): void {
    for (const [key, values] of Object.entries(allowed)) {
      if (!this.has(key) || values.some((value) => value === this.raw[key])) continue;
      this.fail(key, values.length === 0 ? 'null' : values.map((value) => JSON.stringify(value)).join(' or '));
    }
  }

  /** The value itself; `fallback` when the key is absent, or null and `fallback` is null. */
  value(key: string, fallback: unknown): unknown {
    return this.raw[key] === undefined ? fallback : this.raw[key];
  }
}

const isInt = (value: unknown, least: number): value is number => Number.isInteger(value) && (value as number) >= least;

// What an importer works with: the other program's settings, each used once, and the job that grows from them.

export type Raw = Readonly<Record<string, unknown>>;
export type Section = Record<string, unknown>;

export interface Imported {
  /** As a person would write it; sections of a job. */
  readonly job: Record<string, unknown>;
  /** Settings without a counterpart, as `name = value`. */
  readonly left: readonly string[];
  /** What was computed or has to be filled in. */
  readonly notes: readonly string[];
}

export interface Importer {
  readonly label: string;
  /** Whether the file looks like this program's. */
  detect(raw: Raw): boolean;
  convert(raw: Raw): Imported;
}

/** Takes settings out of an object and remembers which were never asked for. */
export class Settings {
  readonly #raw: Raw;
  readonly #used = new Set<string>();

  constructor(raw: Raw) {
    this.#raw = raw;
  }

  get(name: string): unknown {
    this.#used.add(name);
    return this.#raw[name];
  }

  number(name: string): number | undefined {
    const value = this.get(name);
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    return typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value)) ? Number(value) : undefined;
  }

  flag(name: string): boolean {
    const value = this.get(name);
    return value === true || value === 'True' || value === 'true';
  }

  text(name: string): string | undefined {
    const value = this.get(name);
    return typeof value === 'string' && value !== '' ? value : undefined;
  }

  object(name: string): Raw {
    const value = this.get(name);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Raw) : {};
  }

  /** What nobody asked for and is not simply switched off. */
  left(prefix = ''): string[] {
    return Object.entries(this.#raw).filter(([name, value]) => !this.#used.has(name) && !isOff(value)).map(([name, value]) => `${prefix}${name} = ${JSON.stringify(value)}`);
  }
}

const isOff = (value: unknown): boolean => value === undefined || value === null || value === '' || value === false || value === 'None';

/** `name=value` words, as kohya's scripts take them. */
export function wordsOf(value: unknown): Record<string, string> {
  const words = Array.isArray(value) ? value.map(String) : typeof value === 'string' ? value.split(/\s+/).filter(Boolean) : [];
  return Object.fromEntries(words.map((word) => [word.slice(0, Math.max(0, word.indexOf('='))), word.slice(word.indexOf('=') + 1)]));
}

/** Without what has no value. */
export const given = (section: Section): Section => Object.fromEntries(Object.entries(section).filter(([, value]) => value !== undefined));

/** An optimizer of the catalog for another program's name, or null. */
export function optimizerKind(name: string): 'adamw' | 'lion' | 'prodigy' | 'adafactor' | null {
  const plain = name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
  if (/^(?:paged)?adamw?(?:8bit)?$/.test(plain)) return 'adamw';
  if (/^(?:paged)?lion(?:8bit)?$/.test(plain)) return 'lion';
  if (plain === 'prodigy') return 'prodigy';
  return plain === 'adafactor' ? 'adafactor' : null;
}

/** A schedule of the catalog for another program's name, or null. */
export function scheduleKind(name: string): string | null {
  const plain = name.toLowerCase();
  const known: Readonly<Record<string, string>> = { constant: 'constant', constant_with_warmup: 'constant', linear: 'linear', cosine: 'cosine', cosine_with_restarts: 'cosine-restarts', cosine_with_hard_restarts: 'cosine-restarts', rex: 'rex' };
  return Object.hasOwn(known, plain) ? known[plain]! : null;
}

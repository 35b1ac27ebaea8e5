// What an importer works with: the other program's settings, each used once, and the job that grows from them.

import { say, type Text } from '../../contract/text.ts';

export type Raw = Readonly<Record<string, unknown>>;
export type Section = Record<string, unknown>;

export interface Imported {
  /** As a person would write it; sections of a job. */
  readonly job: Record<string, unknown>;
  /** Settings without a counterpart, as `name = value`. */
  readonly left: readonly string[];
  /** What was computed or has to be filled in. */
  readonly notes: readonly Text[];
}

export interface Importer {
  readonly label: string;
  /** Whether the file looks like this program's. */
  detect(raw: Raw): boolean;
  /** A second file that the settings name, and without which they are half of it; null without. */
  beside?(raw: Raw): string | null;
  /** @param beside contents of the second file; null when there is none or it was not found */
  convert(raw: Raw, beside: unknown): Imported;
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

  /** What nobody asked for and is not simply switched off. @param elsewhere names that decide nothing about what is learnt */
  left(prefix = '', elsewhere?: RegExp): string[] {
    return this.#rest().filter(([name]) => !elsewhere?.test(name)).map(([name, value]) => `${prefix}${name} = ${shortText(value)}`);
  }

  /** How many of the rest decide nothing about what is learnt. */
  countElsewhere(elsewhere: RegExp): number {
    return this.#rest().filter(([name]) => elsewhere.test(name)).length;
  }

  #rest(): [string, unknown][] {
    return Object.entries(this.#raw).filter(([name, value]) => !this.#used.has(name) && !isOff(value));
  }
}

const MOST_TEXT = 120;
function shortText(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT)}…` : text;
}

const isOff = (value: unknown): boolean =>
  value === undefined || value === null || value === '' || value === false || value === 'None' || value === 0 || value === '0' || value === 'false' || value === 'False'
  || (typeof value === 'object' && Object.keys(value).length === 0);

/** A setting that is not given, and what it counts as. @param like where */
export const absentNote = (setting: string, value: number | string, like: string): Text =>
  say('import.absent', `${setting} is not given and counts as ${value}, as in ${like}.`, { setting, value, like });

/** The note about a rate that rises over a share of steps that are not known yet. */
export const warmupNote = (share: number): Text => {
  const percent = +(100 * share).toPrecision(4);
  return say('import.warmup', `The rate rises over ${percent} % of all steps: set schedule.warmup once train.steps is known.`, { percent });
};

/** The note about settings of how the other program works. */
export const elsewhereNote = (count: number): Text[] =>
  (count === 0 ? [] : [say('import.elsewhere', `${count} settings about caches, number formats, devices, logging and places of files are left out: they do not decide what is learnt.`, { count })]);

/** The note about steps that depend on the number of pictures. */
export const epochsNote = (epochs: number, subject = 'The file'): Text =>
  say('import.epochs', `${subject} counts ${epochs} epochs. Steps = epochs × pictures × repeats / (batch × accumulate); the pictures are not known here, so set train.steps.`, { epochs });

/** `name=value` words, as kohya's scripts take them. */
export function wordsOf(value: unknown): Record<string, string> {
  const words = (Array.isArray(value) ? value.map(String) : typeof value === 'string' ? value.replaceAll('"', '').split(/\s+/) : []).map((word) => word.replaceAll(/^["']|["']$/g, '')).filter(Boolean);
  return Object.fromEntries(words.map((word) => [word.slice(0, Math.max(0, word.indexOf('='))), word.slice(word.indexOf('=') + 1)]));
}

/** `--name value --flag` of a command line, as settings. */
export function optionsOf(text: string): Raw {
  const words = (text.match(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g) ?? []).map((word) => word.replaceAll(/["']/g, ''));
  const options: Record<string, unknown> = {};
  for (let at = 0; at < words.length; at++) {
    const [, name, value] = /^--([\w-]+)(?:=(.*))?$/s.exec(words[at]!) ?? [];
    if (name === undefined) continue;
    const values = value === undefined ? [] : [value];
    while (words[at + 1] !== undefined && !words[at + 1]!.startsWith('--')) values.push(words[++at]!);
    options[name.replaceAll('-', '_')] = values.length === 0 ? true : values.length === 1 ? values[0] : values;
  }
  return options;
}

/** Without what has no value. */
export const given = (section: Section): Section => Object.fromEntries(Object.entries(section).filter(([, value]) => value !== undefined));

export type KnownOptimizer = 'adamw' | 'lion' | 'prodigy' | 'adafactor';

/** The name by itself of `bitsandbytes.optim.AdamW8bit` and the like. */
const plainName = (name: string): string => name.split('.').at(-1)!.toLowerCase().replaceAll(/[^a-z0-9]/g, '');

/** An optimizer of the catalog for another program's name, or null. Those that find their rate by themselves are near to Prodigy. */
export function optimizerKind(name: string): KnownOptimizer | null {
  const plain = plainName(name);
  if (/^(?:paged)?adamw?(?:8|8bit|32bit)?$/.test(plain)) return 'adamw';
  if (/^(?:paged)?lion(?:8bit)?$/.test(plain)) return 'lion';
  if (/^(?:prodigy|dadapt)/.test(plain)) return 'prodigy';
  return plain === 'adafactor' ? 'adafactor' : null;
}

/** What an optimizer is called there, as notes for what becomes of it. */
export function optimizerNotes(name: string, kind: KnownOptimizer | null): Text[] {
  if (kind === null) return [];
  const plain = plainName(name);
  const isSmall = /8(?:bit)?$|paged/.test(plain);
  const isCoupled = /^adam(?:8|8bit)?$/.test(plain);
  const isNear = kind === 'prodigy' && !/^prodigy(?:8|8bit)?$/.test(plain);
  return [
    ...(isSmall ? [say('import.small-states', `${name} becomes ${kind} with states in full precision.`, { name, kind })] : []),
    ...(isCoupled ? [say('import.coupled-decay', `${name} adds its weight decay to the gradient; ${kind} takes it apart from it.`, { name, kind })] : []),
    ...(isNear ? [say('import.near-optimizer', `${name} becomes ${kind}, which finds its rate by itself in a similar way; what else it does has no counterpart.`, { name, kind })] : []),
  ];
}

/** Rates above this are for optimizers that scale them by what they find; plain ones diverge. */
const MOST_PLAIN_RATE = 0.05;

/** What is missing where an optimizer is not known, and its rate if AdamW can use it. */
export function unknownOptimizer(setting: string, name: string, rate: number | undefined): { readonly left: string; readonly rate: number | undefined } {
  const isPlain = rate === undefined || rate <= MOST_PLAIN_RATE;
  return { left: `${setting} = ${name} (the job has AdamW${isPlain ? ': check the learning rate' : ` at its usual rate in place of ${rate}`})`, rate: isPlain ? rate : undefined };
}

/** Settings that the libraries of PyTorch use where nothing is said; our own defaults may be others. */
const usual: Readonly<Record<KnownOptimizer, Section>> = {
  adamw: { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 },
  lion: { beta1: 0.9, beta2: 0.99, weightDecay: 0 },
  prodigy: { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0, decouple: true, biasCorrection: false, safeguardWarmup: false, startDistance: 1e-6, distanceFactor: 1 },
  adafactor: { weightDecay: 0, scaleParameter: true, relativeStep: true, relativeWarmup: false, clipThreshold: 1 },
};

/**
 * The section `optimizer` of a job from arguments under the names that the libraries of PyTorch have for them.
 * @param own what the other program uses where nothing is said, if not what the library does
 */
export function optimizerSection(kind: KnownOptimizer, learningRate: number | undefined, args: Settings, own: Partial<Record<KnownOptimizer, Section>> = {}): Section {
  const [first, second] = betasOf(args);
  const flag = (name: string): boolean | undefined => (args.get(name) === undefined || args.get(name) === null ? undefined : args.flag(name));
  const said: Section = {
    beta1: first, beta2: second, eps: args.number('eps'), weightDecay: args.number('weight_decay'),
    decouple: flag('decouple'), biasCorrection: flag('use_bias_correction'), safeguardWarmup: flag('safeguard_warmup'), startDistance: args.number('d0'), distanceFactor: args.number('d_coef'),
    scaleParameter: flag('scale_parameter'), relativeStep: flag('relative_step'), relativeWarmup: flag('warmup_init'), clipThreshold: args.number('clip_threshold'),
  };
  const all = { ...usual[kind], ...own[kind], ...given(said) };
  const names = new Set(Object.keys(usual[kind]));
  return given({ kind, learningRate, ...Object.fromEntries(Object.entries(all).filter(([name]) => names.has(name))) });
}

function betasOf(args: Settings): (number | undefined)[] {
  const value = args.get('betas');
  const list = Array.isArray(value) ? value.map(Number) : typeof value === 'string' ? value.split(',').map((text) => Number(text.replaceAll(/[^\d.e-]/gi, ''))) : [];
  const [first, second] = list.filter((each) => each > 0);
  return [first ?? args.number('beta1'), second ?? args.number('beta2')];
}

/** A schedule of the catalog for another program's name, or null. */
export function scheduleKind(name: string): string | null {
  const plain = name.split('.').at(-1)!.toLowerCase();
  if (plain.startsWith('rex')) return 'rex';
  const known: Readonly<Record<string, string>> = { constant: 'constant', constant_with_warmup: 'constant', linear: 'linear', cosine: 'cosine', cosine_with_restarts: 'cosine-restarts', cosine_with_hard_restarts: 'cosine-restarts' };
  return Object.hasOwn(known, plain) ? known[plain]! : null;
}

// What one file or model folder of the library is, from headers alone.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, extname, join } from 'node:path';

import { UserError } from '../../base/errors.ts';
import { adapterHeader, axisOfHeader, familyOfHeader, isDora, isOfRun, rankOfHeader } from '../../catalog/adapter-header.ts';
import { otherAdapter } from '../../catalog/define/foreign-keys.ts';
import type { DoraAxis } from '../../catalog/define/format.ts';
import { otherFamily } from '../../catalog/define/other-families.ts';
import { hasWeights, summariseCheckpoint, summariseFolder, type FolderPart } from '../../catalog/families/index.ts';
import { say, type Text } from '../../contract/text.ts';
import { modelName } from '../../files/paths.ts';
import { openSafetensors } from '../../files/safetensors.ts';
import { shown } from '../../files/safetensors-header.ts';
import { openWeights } from '../../files/sharded.ts';
import type { WeightFile } from '../../files/weight-file.ts';

export type LibraryKind = 'model' | 'unet' | 'autoencoder' | 'text-encoder' | 'adapter' | 'other';

/** Plain data. Texts from files are cut to one short line; they are not escaped. */
export interface LibraryEntry {
  readonly path: string;
  readonly name: string;
  readonly kind: LibraryKind;
  readonly layout: 'folder' | 'single-file';
  /** Of all weights. */
  readonly bytes: number;
  /** "Stable Diffusion XL", or null when it is not known. */
  readonly family: string | null;
  /** Element types of the weights, the most frequent first: "F16". */
  readonly dtype: string;
  readonly prediction: 'epsilon' | 'v' | null;
  readonly zeroTerminalSnr: boolean;
  /** Parts that must come from other files, such as "vae". */
  readonly lacks: readonly string[];
  /** Whether Adora can train on it or, for other kinds, use it. */
  readonly isUsable: boolean;
  /** Why it cannot be used; empty when it can. */
  readonly reason: string;
  /** The reason with its code. */
  readonly why: Text | null;
  readonly adapter: AdapterSummary | null;
}

export interface AdapterSummary {
  readonly kind: string;
  /** Layout in the catalog; null for one that Adora does not read. */
  readonly layout: string | null;
  readonly rank: number | null;
  readonly axis: DoraAxis | null;
  /** What the file says of its base model and of the words that call it up. */
  readonly base: string | null;
  readonly trigger: string | null;
}

/** Never throws for what is wrong with a file: such an entry has a reason. */
export function describeFile(path: string): LibraryEntry {
  const bytes = sizeOf(path);
  const blank = { path, name: basename(path, extname(path)), layout: 'single-file' as const, bytes, family: null, dtype: '', prediction: null, zeroTerminalSnr: false, lacks: [], adapter: null };
  return guarded(blank, () => {
    const file = path.endsWith('.json') ? openWeights(path) : openSafetensors(path);
    const known = { ...blank, bytes: file.files.reduce((sum, each) => sum + sizeOf(each.path), 0), dtype: dtypesOf([file]) };
    return guarded(known, () => {
      const adapter = adapterOf(file);
      if (adapter) return { ...known, kind: 'adapter', family: adapter.family, ...refusal(adapter.why), adapter: adapter.summary };
      if (isOfRun(file.metadata)) return { ...known, kind: 'other', ...refusal(say('library.of-run', 'It is a checkpoint of a run, or what a run began with: continue the run instead.')) };
      const { label, prediction, zeroTerminalSnr, components, lacks } = summariseCheckpoint(file);
      const kind = components.includes('unet') ? (components.length > 1 ? 'model' : 'unet') : components.includes('vae') ? 'autoencoder' : 'text-encoder';
      return { ...known, kind, family: label, prediction: nameOf(prediction), zeroTerminalSnr, lacks, ...refusal(null) };
    });
  });
}

/** A folder in the diffusers layout. */
export function describeFolder(path: string): LibraryEntry {
  const blank = { path, name: modelName(path), layout: 'folder' as const, bytes: 0, family: null, dtype: '', prediction: null, zeroTerminalSnr: false, lacks: [], adapter: null };
  return guarded(blank, () => {
    const parts = readdirSync(path).flatMap((name): FolderPart & { file: WeightFile | null } | [] => {
      const where = ['config.json', 'scheduler_config.json'].map((file) => join(path, name, file)).find((file) => existsSync(file));
      return where === undefined ? [] : { name, where, config: readFileSync(where, 'utf8'), file: hasWeights(name) ? weightsOf(join(path, name)) : null };
    });
    const all = parts.flatMap(({ file }) => file ?? []);
    const known = { ...blank, bytes: all.flatMap((file) => file.files).reduce((sum, file) => sum + sizeOf(file.path), 0), dtype: dtypesOf(all) };
    return guarded(known, () => {
      const { label, prediction, zeroTerminalSnr, lacks } = summariseFolder(parts);
      const missing = parts.find(({ name, file }) => file === null && hasWeights(name));
      return {
        ...known, kind: 'model', family: label, prediction: nameOf(prediction), zeroTerminalSnr, lacks,
        ...refusal(missing ? say('library.no-weights', `Its folder "${missing.name}" has no weights in .safetensors.`, { folder: missing.name }) : null),
      };
    });
  });
}

type Blank = Omit<LibraryEntry, 'kind' | 'isUsable' | 'reason' | 'why'>;

const unreadable = (error: string): Text => say('library.unreadable', `It cannot be read: ${error}.`, { error });

/** Usable without a reason against it. */
const refusal = (why: Text | null): Pick<LibraryEntry, 'isUsable' | 'reason' | 'why'> => ({ isUsable: why === null, reason: why?.text ?? '', why });

function guarded(blank: Blank, work: () => LibraryEntry): LibraryEntry {
  try {
    return work();
  } catch (error) {
    const why = error instanceof UserError ? say(error.code, error.message.replace(`"${blank.path}" `, 'It '), { ...error.data }) : unreadable(error instanceof Error ? shown(error.message) : 'unknown');
    return { ...blank, kind: 'other', ...refusal(why) };
  }
}

const nameOf = (prediction: 'epsilon' | 'v_prediction' | null): LibraryEntry['prediction'] => (prediction === 'v_prediction' ? 'v' : prediction);

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}

function weightsOf(folder: string): WeightFile | null {
  try {
    return openWeights(folder);
  } catch (error) {
    if (error instanceof UserError && error.code === 'files.no-weights') return null;
    throw error;
  }
}

/** Types that hold more than a hundredth of the bytes. */
function dtypesOf(files: readonly WeightFile[]): string {
  const bytes = new Map<string, number>();
  let total = 0;
  for (const { dtype, begin, end } of files.flatMap(({ tensors }) => [...tensors.values()])) {
    bytes.set(dtype, (bytes.get(dtype) ?? 0) + end - begin);
    total += end - begin;
  }
  const named = [...bytes].sort(([, a], [, b]) => b - a).filter(([, size]) => size > total / 100);
  return named.map(([dtype]) => dtype.toUpperCase()).join(', ');
}

const NOT_ADAPTERS = ['embedding'];

/** What an adapter file is; null for another file. */
function adapterOf(file: WeightFile): AdapterFound | null {
  const { tensors, metadata } = file;
  if (isOfRun(metadata)) return null;
  const header = adapterHeader(file);
  const foreign = otherFamily(tensors.keys());
  const other = otherAdapter(tensors.keys());
  if (!header && foreign === null && (other === null || NOT_ADAPTERS.includes(other.label))) return null;
  const why = foreign !== null ? say('library.other-family', `It is an adapter for ${foreign}, which Adora does not load so far.`, { family: foreign })
    : header ? null : say('library.other-adapter', `It is ${other!.text}, which Adora cannot apply.`, { kind: other!.label });
  const text = (...names: string[]): string | null => names.flatMap((name) => metadata.get(name) ?? []).filter((value) => value !== '' && value !== 'None').map(shown)[0] ?? null;
  return {
    family: foreign ?? (header && familyOfHeader(header, file)), why,
    summary: {
      kind: header ? (isDora(header) ? 'DoRA' : 'LoRA') : other?.label ?? 'LoRA',
      layout: header?.layout ?? null, rank: header && rankOfHeader(header, file), axis: header && axisOfHeader(header, file),
      base: text('adora.base', 'ss_sd_model_name', 'modelspec.architecture', 'ss_base_model_version'),
      trigger: text('modelspec.trigger_phrase', 'modelspec.usage_hint'),
    },
  };
}

interface AdapterFound {
  readonly family: string | null;
  /** Why it cannot be used. */
  readonly why: Text | null;
  readonly summary: AdapterSummary;
}

// Adapter files of every layout, in Adora's names, checked against the model they are for.
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { UserError } from '../base/errors.ts';
import { sameShape, showShape, sizeOf, type Shape } from '../base/shape.ts';
import { adapterHeader, familyOfHeader, familyOfLayers, isOfRun, statedAxis, type AdapterHeader } from '../catalog/adapter-header.ts';
import { otherKind, vectorAxis } from '../catalog/define/foreign-keys.ts';
import { otherFamily } from '../catalog/define/other-families.ts';
import { formats } from '../catalog/formats/index.ts';
import { DORA_SCALE, magnitudeShape, type AdapterFormat, type AdapterPart, type DoraAxis, type NamedModel } from '../catalog/define/format.ts';
import { openSafetensors } from '../files/safetensors.ts';
import { ADAPTER_LIMITS, shown } from '../files/safetensors-header.ts';
import type { WeightFile } from '../files/weight-file.ts';
import { DOWN, lowRankShapes, MAGNITUDE, UP } from '../nn/low-rank.ts';
import { f32, type HostTensor } from '../runtime/runtime.ts';
import { foldMiddle } from './adapter-tools/tucker.ts';
import type { TrainedValues } from './trained.ts';

/** An adapter file as its header shows it; no model is needed. */
export interface AdapterFile extends AdapterHeader {
  readonly path: string;
  readonly file: WeightFile;
  /** What PEFT says in the file beside it (adapter_config.json); empty without one. */
  readonly config: Readonly<Record<string, unknown>>;
}

export interface ReadLayer {
  readonly path: string;
  readonly rank: number;
  /** alpha / rank of the file, which `values` have in B. */
  readonly scale: number;
  readonly hasMagnitude: boolean;
}

export interface ReadAdapter {
  readonly layout: string;
  /** Axis of the magnitudes; null for an adapter without them. */
  readonly axis: DoraAxis | null;
  readonly layers: readonly ReadLayer[];
  /** `<layer path>.lora_A.weight` and so on, f32, in the shapes that training uses, alpha = rank. */
  readonly values: TrainedValues;
  /** Name in the file of each tensor of `values`. */
  readonly keys: ReadonlyMap<string, string>;
  readonly metadata: ReadonlyMap<string, string>;
}

/** Names in a folder that PEFT's save_pretrained writes. */
const PEFT_FILE = 'adapter_model.safetensors';
const PEFT_CONFIG = 'adapter_config.json';

/** The adapter file in a folder of PEFT; any other path as it is. */
export const adapterPath = (path: string): string => (existsSync(join(path, PEFT_FILE)) ? join(path, PEFT_FILE) : path);

/**
 * Opens an adapter file (or a folder of PEFT) and takes its keys apart.
 * Errors: those of safetensors; `adapter.of-run`, `adapter.other-family`, `adapter.other-kind`, `adapter.unknown-layout` when no key is that of an adapter.
 */
export function openAdapter(named: string): AdapterFile {
  const path = adapterPath(named);
  const file = openSafetensors(path, ADAPTER_LIMITS, 'the adapter file');
  const found = adapterOfFile(path, file);
  if (found) return found;
  if (isOfRun(file.metadata)) throw new UserError('adapter.of-run', `"${path}" is a file of a run's own, and no adapter: take one from the folder "exports" of the run, or make one with "adora export RUN".`, { path });
  refuseOtherFamily(path, file);
  const kind = otherKind(file.tensors.keys());
  if (kind !== null) throw new UserError('adapter.other-kind', `"${path}" is ${kind}, which Adora cannot apply: choose a LoRA or DoRA file.`, { path, kind });
  throw new UserError('adapter.unknown-layout', `"${path}" is no adapter that Adora can read (${namesOf([...file.tensors.keys()])}): ` +
    'choose a LoRA or DoRA file in the layout of kohya or of diffusers.', { path });
}

/** Error: `adapter.other-family`. */
export function refuseOtherFamily(path: string, { tensors }: Pick<WeightFile, 'tensors'>): void {
  const stranger = otherFamily(tensors.keys());
  if (stranger !== null) throw new UserError('adapter.other-family', `"${path}" is an adapter for ${stranger}, which Adora does not load so far: choose one for Stable Diffusion 1.x, 2.x or XL.`, { path, family: stranger });
}

/** The adapter in an opened file, or null when it holds something else. */
export function adapterOfFile(path: string, file: WeightFile): AdapterFile | null {
  const header = adapterHeader(file);
  return header && { ...header, path, file, config: header.format.hasAlpha ? {} : peftConfig(path) };
}

function peftConfig(path: string): Readonly<Record<string, unknown>> {
  const file = join(dirname(path), PEFT_CONFIG);
  return basename(path) === PEFT_FILE && existsSync(file) ? parseObject(readFileSync(file, 'utf8')) : {};
}

/** A layout that has a place for magnitudes of this axis. */
export const formatFor = (axis: DoraAxis): AdapterFormat => Object.values(formats).find(({ axes }) => axes.includes(axis))!;

/**
 * Reads an adapter for a model. Every tensor must find its place.
 * @param asked axis of magnitudes where the file leaves it open
 * Errors: `adapter.unknown-layout`, `adapter.other-family`, `adapter.other-kind`, `adapter.unknown-keys`, `adapter.other-model`, `adapter.twice`, `adapter.incomplete`, `adapter.shape`,
 * `adapter.ranks`, `adapter.axis`, `adapter.alpha`, `adapter.not-finite`.
 */
export function readAdapter(path: string, model: NamedModel, asked?: DoraAxis): ReadAdapter {
  const adapter = openAdapter(path);
  refuseOtherFamily(adapter.path, adapter.file);
  if (adapter.unknown.length > 0) {
    const kind = otherKind(adapter.unknown);
    if (kind !== null) throw new UserError('adapter.other-kind', `"${path}" is in part ${kind} (${namesOf(adapter.unknown)}), which Adora cannot apply: choose a LoRA or DoRA file.`, { path, kind });
    throw new UserError('adapter.unknown-keys', `"${path}" holds tensors that Adora cannot apply (${namesOf(adapter.unknown)}), so the result ` +
      'would not be what the file means: choose a LoRA or DoRA file.', { path, keys: adapter.unknown.slice(0, 100) });
  }
  const modules = layersInModel(adapter, model);
  const axis = axisOf(adapter, modules, model, asked);
  const values = new Map<string, HostTensor>();
  const keys = new Map<string, string>();
  const layers = [...modules].map(([layerPath, parts]) => {
    const layer = readLayer(adapter, layerPath, parts, model.layers.get(layerPath)!, axis);
    for (const [part, tensor] of layer.tensors) {
      values.set(`${layerPath}.${part}`, tensor);
      keys.set(`${layerPath}.${part}`, parts.get(part)!);
    }
    return { path: layerPath, rank: layer.rank, scale: layer.scale, hasMagnitude: parts.has(MAGNITUDE) };
  });
  return { layout: adapter.layout, axis, layers, values, keys, metadata: adapter.file.metadata };
}

type Parts = ReadonlyMap<AdapterPart, string>;

/**
 * The layers under their paths in the model, in the model's order.
 * Errors: `adapter.other-model`, `adapter.twice`, `adapter.incomplete`.
 */
export function layersInModel(adapter: AdapterFile, model: NamedModel): Map<string, Parts> {
  const { path, format, modules } = adapter;
  const [theirs, ours] = [familyOfHeader(adapter, adapter.file), familyOfLayers(model)];
  const families = theirs !== null && ours !== null && theirs !== ours ? ` (it is for ${theirs}, and this is ${ours})` : '';
  const found = new Map<string, Parts>();
  const used = new Set<string>();
  for (const layer of model.layers.keys()) {
    const [spelling, second] = format.modulesOf(layer, model).filter((module) => modules.has(module));
    if (spelling === undefined) continue;
    if (second !== undefined) throw new UserError('adapter.twice', `"${path}" holds the layer "${layer}" twice, as "${shown(spelling)}" and as "${shown(second)}": programs differ in which of them they take, so get the file again, or make it anew with the program that joined the two.`, { path, layer });
    found.set(layer, modules.get(spelling)!);
    used.add(spelling);
  }
  const strangers = [...modules.keys()].filter((module) => !used.has(module));
  if (strangers.length > 0 && families === '' && model.textEncoders.length === 0 && strangers.every((module) => /^(?:lora_te|text_encoder)/.test(module))) {
    throw new UserError('adapter.other-model', `"${path}" also changes text encoders (${strangers.length} layers), and this model has none: choose a model that is complete.`, { path, layers: strangers.slice(0, 100) });
  }
  if (strangers.length > 0) {
    throw new UserError('adapter.other-model', `"${path}" was made for another model${families}: ${strangers.length} of its ${modules.size} layers are not ` +
      `in this one (${namesOf(strangers)}). Choose the base model that the adapter was trained on.`, { path, layers: strangers.slice(0, 100) });
  }
  // Kinds of models with the same names of layers differ in their shapes.
  if (families !== '') throw new UserError('adapter.other-model', `"${path}" was made for another model${families}: choose the base model that the adapter was trained on.`, { path, layers: [] });
  const incomplete = [...found].filter(([, parts]) => !parts.has(DOWN) || !parts.has(UP)).map(([layer]) => layer);
  if (incomplete.length > 0) {
    throw new UserError('adapter.incomplete', `"${path}" has only one of the two matrices of ${incomplete.length} layers (${namesOf(incomplete)}): ` +
      'get the file again.', { path, layers: incomplete.slice(0, 100) });
  }
  return found;
}

/** The one axis that fits all magnitudes. Square layers leave it open when they are stored as plain vectors. */
function axisOf({ path, file, format }: AdapterFile, modules: ReadonlyMap<string, Parts>, model: NamedModel, asked?: DoraAxis): DoraAxis | null {
  let possible: readonly DoraAxis[] | null = null;
  for (const [layer, parts] of modules) {
    const key = parts.get(MAGNITUDE);
    if (key === undefined) continue;
    const { shape } = file.tensors.get(key)!;
    const weight = model.layers.get(layer)!;
    // PEFT's vectors belong to rows; `dora_scale` says what it belongs to by its shape, under dotted names too.
    const own = (key.endsWith(`.${DORA_SCALE}`) ? formatFor('input') : format).axesOf(shape, weight).filter((axis) => axis === (vectorAxis(key) ?? axis));
    if (own.length === 0) throw wrongShape(path, key, shape, [...new Set((['output', 'input'] as const).map((axis) => showShape(format.magnitudeShape(weight, axis))))].join(' or '));
    possible = possible === null ? own : possible.filter((axis) => own.includes(axis));
  }
  if (possible === null) return null;
  const stated = asked ?? statedAxis(file.metadata);
  const axis = possible.length === 1 ? possible[0] : possible.find((one) => one === stated);
  if (axis) return axis;
  throw new UserError('adapter.axis', possible.length === 0
    ? `"${path}" has magnitudes of rows in some layers and of columns in others: it cannot be applied as one DoRA.`
    : `"${path}" does not say whether its magnitudes belong to rows or columns of the weights: say it with --axis output (rows) or --axis input (columns), or export it again with a newer version of the program that made it.`, { path, possible });
}

interface LayerTensors {
  readonly rank: number;
  readonly scale: number;
  readonly tensors: ReadonlyMap<AdapterPart, HostTensor>;
}

function readLayer(adapter: AdapterFile, layer: string, parts: Parts, weight: Shape, axis: DoraAxis | null): LayerTensors {
  const { path, file } = adapter;
  const rank = file.tensors.get(parts.get(DOWN)!)!.shape[0] ?? 0;
  if (rank === 0) throw new UserError('adapter.ranks', `"${shown(parts.get(DOWN)!)}" in "${path}" has the rank 0, so that there is nothing to apply in "${layer}": the file is damaged, get it again.`, { path, layer });
  const { down, up } = lowRankShapes(weight, rank);
  const ofUp = file.tensors.get(parts.get(UP)!)!.shape;
  if (ofUp[0] === up[0] && ofUp[1] !== rank) {
    throw new UserError('adapter.ranks', `"${path}" has matrices of different ranks for "${layer}" (${rank} in "${shown(parts.get(DOWN)!)}", ${ofUp[1] ?? 'none'} in "${shown(parts.get(UP)!)}"), so they cannot be multiplied: the file is damaged, get it again.`, { path, layer });
  }
  const spelling = [...adapter.modules].find(([, own]) => own === parts)![0];
  const middle = adapter.middles.get(spelling);
  const scale = scaleOf(adapter, layer, parts, rank);
  const tensors = new Map<AdapterPart, HostTensor>();
  const read = (part: AdapterPart, wanted: Shape, isFree = false): void => {
    const key = parts.get(part)!;
    const { shape } = file.tensors.get(key)!;
    const fits = part === DOWN && middle !== undefined ? sameShape(file.tensors.get(middle)!.shape, [rank, rank, ...wanted.slice(2)]) && shape[1] === wanted[1] : isFree ? sizeOf(shape) === sizeOf(wanted) : sameShape(withoutOnes(shape), withoutOnes(wanted));
    if (!fits) throw wrongShape(path, key, shape, showShape(wanted));
    const data = part === DOWN && middle !== undefined ? foldMiddle(file, key, middle) : file.readF32(key);
    if (!isAllFinite(data)) {
      throw new UserError('adapter.not-finite', `"${shown(key)}" in "${path}" holds values that are not numbers: the training that made it failed, use an earlier file.`, { path, key });
    }
    tensors.set(part, f32(part === UP && scale !== 1 ? data.map((value) => value * scale) : data, wanted));
  };
  read(DOWN, down);
  read(UP, up);
  // Its shape was checked with the axis.
  if (axis && parts.has(MAGNITUDE)) read(MAGNITUDE, magnitudeShape(weight, axis), true);
  return { rank, scale, tensors };
}

function isAllFinite(values: Float32Array): boolean {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return false;
  return true;
}

/** A 1x1 convolution and a linear layer store the same numbers. */
const withoutOnes = (shape: Shape): Shape => (shape.length === 4 && shape[2] === 1 && shape[3] === 1 ? shape.slice(0, 2) : shape);

/** alpha / rank: from the layer's alpha, else from metadata, else 1. */
export function scaleOf({ path, file, config }: Pick<AdapterFile, 'path' | 'file' | 'config'>, layer: string, parts: Parts, rank: number): number {
  const key = parts.get('alpha');
  if (key === undefined) return scaleOfMetadata(path, file.metadata, config, layer, rank);
  const { shape } = file.tensors.get(key)!;
  const alpha = sizeOf(shape) === 1 ? file.readF32(key)[0]! : NaN;
  if (!Number.isFinite(alpha)) {
    throw new UserError('adapter.alpha', `"${shown(key)}" in "${path}" is not one number: the file is damaged, get it again.`, { path, key, shape });
  }
  return alpha / rank;
}

/** What PEFT's configuration says, beside the file or where diffusers has put it into the file; or a plain `alpha`. Error: `adapter.alpha`. */
function scaleOfMetadata(path: string, metadata: ReadonlyMap<string, string>, beside: Readonly<Record<string, unknown>>, layer: string, rank: number): number {
  const plain = Number(metadata.get('alpha') ?? metadata.get('lora_alpha') ?? NaN);
  let alpha = Number.isFinite(plain) ? plain : rank;
  let divisor = rank;
  const config = parseObject(metadata.get('lora_adapter_metadata'));
  const component = layer.slice(0, layer.indexOf('.'));
  const setting = (name: string): unknown => config[`${component}.${name}`] ?? beside[name];
  if (typeof setting('lora_alpha') === 'number') alpha = setting('lora_alpha') as number;
  const pattern = setting('alpha_pattern');
  if (typeof pattern === 'object' && pattern !== null) {
    const own = Object.entries(pattern).find(([name]) => isNamedBy(layer.slice(component.length + 1), name, path));
    if (typeof own?.[1] === 'number') alpha = own[1];
  }
  if (setting('use_rslora') === true) divisor = Math.sqrt(rank);
  return alpha / divisor;
}

/**
 * As PEFT matches (utils/other.py: get_pattern_key): an expression that names the module or the end of its path.
 * Error: `adapter.alpha` for one that could take forever, which comes with the file.
 */
function isNamedBy(module: string, pattern: string, path: string): boolean {
  if (/\)[*+?{]/.test(pattern) || (pattern.match(/[*+{]/g) ?? []).length > 4) throw badPattern(path, pattern);
  try {
    return new RegExp(`^(?:.*\\.)?(?:${pattern})$`).test(module);
  } catch {
    throw badPattern(path, pattern);
  }
}

const badPattern = (path: string, pattern: string): UserError =>
  new UserError('adapter.alpha', `The configuration of "${path}" gives an alpha to layers by the expression "${shown(pattern)}", which is wrong or too intricate to follow: write the names of the layers out in alpha_pattern.`, { path, pattern });

function parseObject(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text ?? '{}');
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

const wrongShape = (path: string, key: string, shape: Shape, wanted: string): UserError =>
  new UserError('adapter.shape', `"${shown(key)}" in "${path}" has the shape ${showShape(shape)}, and this model wants ${wanted}: choose the base model that the adapter was trained on.`, { path, key, shape });

/** The first of some names, for a message. */
const namesOf = (names: readonly string[]): string =>
  `${names.slice(0, 3).map((name) => `"${shown(name)}"`).join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''}` || 'it is empty';

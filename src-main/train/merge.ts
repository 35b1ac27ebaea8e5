// The merged model: the base with what was learnt in its weights, in the layout that the base has.
import { createHash, type Hash } from 'node:crypto';
import { basename, dirname, join, resolve } from 'node:path';
import { disposeAll } from '../base/dispose.ts';
import { assert, UserError } from '../base/errors.ts';
import { sameShape, type Shape } from '../base/shape.ts';
import type { Model } from '../catalog/define/family.ts';
import { makeFolder } from '../files/atomic-write.ts';
import { decodeF32, encodeTensor } from '../files/convert.ts';
import { openSafetensors } from '../files/safetensors.ts';
import { writeChangedCopy, type ChangedTensor } from '../files/safetensors-copy.ts';
import { openWeights } from '../files/sharded.ts';
import { DOWN, UP } from '../nn/low-rank.ts';
import { putParameter } from '../nn/tensor-layout.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { asAdapter } from './export-picture.ts';
import { MAGNITUDE, type ExportSource } from './export-source.ts';
import { roundTrained, trainedScale, type FileDType } from './export-values.ts';
import { canMergeRows, RowMerger, type LayerToMerge, type StoredRows } from './merge-rows.ts';
import { Merger, readLayer, type ValueOf } from './merged-weights.ts';
import type { OpenModel } from './open-model.ts';
import type { OpenRun } from './run-job.ts';
import type { TrainedValues } from './trained.ts';
import { checkSpace, replacedParts, saveModel, type NewTensor } from './save-model.ts';
import { storedFiles, type StoredFile, type StoredTensor } from './stored-files.ts';

const ALL_PARTS = [DOWN, UP, MAGNITUDE] as const;

/** A weight that differs from the base. */
export interface MergeWeight {
  readonly path: string;
  readonly shape: Shape;
  readonly merge: () => Promise<Float32Array>;
  /** Writes it some rows at a time, in the element type of a file; false, with nothing written, where that is not possible. */
  readonly mergeRows?: (stored: StoredRows) => Promise<boolean>;
}

export interface MergeSettings {
  /** Without ending: a folder, or a file and `.safetensors`. */
  readonly target: string;
  /** `stored` keeps the type that each weight has in the base. */
  readonly dtype: FileDType | 'stored';
  readonly title: string;
  /** More texts for the header. */
  readonly texts?: Readonly<Record<string, string>>;
  readonly onProgress?: (done: number, total: number) => void;
  /** Between pieces of work; may throw to stop. */
  readonly pause?: () => Promise<void>;
}

export interface MergedModel {
  readonly path: string;
  /** Parameters that differ from the base. */
  readonly changed: number;
  /** Parts that the run took from other files and that are not in what was written, by component. */
  readonly elsewhere: readonly string[];
  /** Of the change of a weight, the largest share that the element type of the file has taken (of some weights); 0 for f32. */
  readonly worstRounding: number;
}

/** The weights of a source; `dispose` when they are written. Rounded as adapter files round it, so that both render the same. */
export function weightsOfSource(source: ExportSource, runtime: Runtime, adapterDType: FileDType): { weights: MergeWeight[]; dispose: () => Promise<void> } {
  return weightsOf(source.baseModel, runtime, source.layers.map(({ path, shape, rank }) => ({
    path, shape,
    layer: () => {
      // Layer by layer: a second copy of all values would be as large as the adapter.
      const own = asAdapter({ ...source, values: roundTrained(ofLayer(source.values, path), source.scale, adapterDType) });
      return readLayer(own, { path, rank, scale: 1, hasMagnitude: source.values.has(`${path}.${MAGNITUDE}`) }, shape);
    },
  })));
}

interface LayerOfAdapter {
  readonly path: string;
  readonly shape: Shape;
  /** With its values, made anew each time. */
  readonly layer: () => LayerToMerge;
}

function weightsOf(baseModel: OpenModel, runtime: Runtime, layers: readonly LayerOfAdapter[]): { weights: MergeWeight[]; dispose: () => Promise<void> } {
  const [merger, rowMerger] = [new Merger(baseModel, runtime), new RowMerger(baseModel.weights, runtime)];
  const weights = layers.map(({ path, shape, layer }): MergeWeight => ({
    path: `${path}.weight`, shape,
    merge: () => {
      const made = layer();
      return merger.merge(made.layer, made.adapter, made.settings, made.values);
    },
    mergeRows: async (stored) => {
      const made = layer();
      if (!canMergeRows(made.layer, made.adapter)) return false;
      await rowMerger.merge(made, stored);
      return true;
    },
  }));
  return { weights, dispose: () => disposeAll([merger, rowMerger]) };
}

function ofLayer(values: TrainedValues, path: string): TrainedValues {
  return new Map(ALL_PARTS.flatMap((part) => {
    const value = values.get(`${path}.${part}`);
    return value ? [[`${path}.${part}`, value] as const] : [];
  }));
}

/** The weights of a run's adapter, of any kind; `dispose` when they are written. Rounded as adapter files round it. */
export function weightsOfAdapter({ job, plan, baseModel, runtime }: Pick<OpenRun, 'job' | 'plan' | 'baseModel' | 'runtime'>, saved: ValueOf): { weights: MergeWeight[]; dispose: () => Promise<void> } {
  const [adapter, settings] = [plan.adapter!, job.adapter as never];
  return weightsOf(baseModel, runtime, plan.layers.map((layer) => ({
    path: layer.path, shape: layer.shape,
    layer: () => {
      const names = adapter.parameters(layer, settings).map(({ name }) => `${layer.path}.${name}`);
      const rounded = roundTrained(new Map(names.map((name) => [name, saved(name)])), trainedScale(job), job.output.dtype);
      return { layer, adapter, settings, values: (name) => rounded.get(name)! };
    },
  })));
}

/** The weights that a run has trained themselves. */
export const weightsOfRun = ({ plan }: Pick<OpenRun, 'plan'>, values: ValueOf): MergeWeight[] =>
  plan.tensors.map(({ name, shape }) => ({ path: name, shape, merge: async () => values(name).data as Float32Array }));

/**
 * Writes a model folder, or a file for a base that is one, weight by weight; reads some of it again.
 * Errors: `export.no-space`, `export.damaged`, `result.not-ours`, `safetensors.f16-overflow`, `files.*`.
 */
export async function saveMerged(base: { readonly baseModel: OpenModel; readonly model: Model }, weights: readonly MergeWeight[], settings: MergeSettings): Promise<MergedModel> {
  const check = new SpotCheck(base.baseModel, weights);
  const isFile = base.baseModel.root.endsWith('.safetensors');
  const path = isFile ? await saveFiles(base, weights, settings, check) : await saveFolder(base, weights, settings, check);
  return { path, changed: weights.length, worstRounding: check.worst, elsewhere: isFile ? partsElsewhere(base.baseModel, weights) : [] };
}

const mergedTexts = (root: string, { title, texts }: MergeSettings): Record<string, string> =>
  ({ 'modelspec.merged_from': basename(root).replace(/\.safetensors$/, ''), 'adora.merged': title, ...texts });

async function saveFolder({ baseModel }: { readonly baseModel: OpenModel }, weights: readonly MergeWeight[], settings: MergeSettings, check: SpotCheck): Promise<string> {
  const { target, dtype, onProgress, pause } = settings;
  let done = 0;
  const tensors = new Map(weights.map(({ path, shape, merge }): [string, NewTensor] => [path, {
    shape,
    data: async () => {
      onProgress?.(done++, weights.length);
      await pause?.();
      return merge();
    },
  }]));
  await saveModel(tensors, { base: baseModel.root, replaced: replacedParts(baseModel), target, dtype, metadata: mergedTexts(baseModel.root, settings), onWritten: (path, wanted, written) => check.note(path, wanted, written) });
  onProgress?.(weights.length, weights.length);
  checkFolder(baseModel, target, weights, check);
  return target;
}

/** The written model must have the tensors of its base, in the same shapes, and the values that were written. */
function checkFolder({ files }: OpenModel, target: string, weights: readonly MergeWeight[], check: SpotCheck): void {
  for (const component of new Set(weights.map(({ path }) => path.slice(0, path.indexOf('.'))))) {
    const file = openWeights(join(target, component));
    for (const [key, { shape }] of files.get(component)!.tensors) {
      const found = file.tensors.get(key);
      assert(found && sameShape(found.shape, shape), `the merged model lost "${component}.${key}"`);
    }
    check.compare(target, (path) => (path.startsWith(`${component}.`) ? file.readF32(path.slice(component.length + 1)) : null));
  }
}

/** The base in one file, and each file beside it in which something changes. */
async function saveFiles({ baseModel, model }: { readonly baseModel: OpenModel; readonly model: Model }, weights: readonly MergeWeight[], settings: MergeSettings, check: SpotCheck): Promise<string> {
  const byPath = new Map(weights.map((weight) => [weight.path, weight]));
  const stored = storedFiles(baseModel.stored).filter(({ tensors }) => tensors.some(({ parameters }) => parameters.some(({ path }) => byPath.has(path))));
  const main = resolve(baseModel.root);
  const folder = dirname(resolve(settings.target));
  await makeFolder(folder);
  checkSpace(stored.flatMap(({ tensors }) => tensors).reduce((sum, { length }) => sum + length, 0), folder);
  const targetOf = ({ path }: StoredFile): string => (stored.length === 1 || resolve(path) === main ? `${settings.target}.safetensors` : `${settings.target}-${basename(path)}`);
  for (const file of stored) {
    if (resolve(targetOf(file)) === resolve(file.path)) throw new UserError('result.not-ours', `"${file.path}" is the base model itself: choose another folder with --out.`, { path: file.path });
    const metadata = { ...Object.fromEntries(file.metadata), ...modelTexts(model, settings.title), ...mergedTexts(file.path, settings) };
    await writeChangedCopy(targetOf(file), file.path, file.tensors, changedTensors(file, byPath, settings, check), {
      metadata, hashKey: 'modelspec.hash_sha256',
      ...(settings.onProgress ? { onProgress: settings.onProgress } : {}), ...(settings.pause ? { pause: settings.pause } : {}),
    });
    checkFile(file, targetOf(file), byPath, check);
  }
  return `${settings.target}.safetensors`;
}

/** A checkpoint keeps its own parts; a part from another file in which nothing changed stays there. */
function partsElsewhere({ root, stored }: OpenModel, weights: readonly MergeWeight[]): string[] {
  const main = resolve(root);
  return [...stored].filter(([component, { file }]) => resolve(file.path) !== main && !weights.some(({ path }) => path.startsWith(`${component}.`))).map(([component]) => component);
}

/** ModelSpec of a checkpoint. */
function modelTexts({ knownAs, noise, nativeSide }: Model, title: string): Record<string, string> {
  const isVelocity = noise.prediction === 'v_prediction';
  return {
    format: 'pt', 'modelspec.sai_model_spec': '1.0.1', 'modelspec.architecture': knownAs.architecture, 'modelspec.implementation': knownAs.implementation,
    'modelspec.title': title, 'modelspec.resolution': `${nativeSide}x${nativeSide}`, 'modelspec.prediction_type': isVelocity ? 'v' : 'epsilon', 'modelspec.predict_key': isVelocity ? 'v' : 'epsilon',
  };
}

function changedTensors({ path: file, tensors }: StoredFile, weights: ReadonlyMap<string, MergeWeight>, { dtype }: MergeSettings, check: SpotCheck): Map<string, ChangedTensor> {
  const source = openWeights(file);
  return new Map(tensors.flatMap((tensor): [string, ChangedTensor][] => {
    const own = tensor.parameters.filter(({ path }) => weights.has(path));
    if (own.length === 0) return [];
    const to = dtype === 'stored' ? storedType(tensor) : dtype;
    const isWhole = own.length === 1 && (own[0]!.form === 'same' || own[0]!.form === 'reshaped');
    const weight = weights.get(own[0]!.path)!;
    const { name, dtype: from } = tensor;
    const mergeRows = isWhole && isComputed(from) && weight.mergeRows ? (rest: Omit<StoredRows, 'name' | 'from' | 'to'>) => weight.mergeRows!({ name, from, to, ...rest }) : null;
    return [[name, {
      dtype: to, wantsStored: mergeRows !== null,
      write: async (base, output) => {
        const digest = check.digestOf(name);
        const onRounded = isWhole && check.looksAt(weight.path) ? { onRounded: (share: number) => check.rounded(share) } : {};
        if (await mergeRows?.({ base, output, onRows: (bytes) => void digest?.update(bytes), ...onRounded })) return;
        // A tensor that joins parameters keeps those that do not change.
        const all = isWhole ? await weight.merge() : source.readF32(name);
        if (!isWhole) for (const place of own) putParameter(all, place, await weights.get(place.path)!.merge());
        const bytes = encodeTensor(all, to, name);
        digest?.update(bytes);
        if (isWhole && check.looksAt(weight.path)) check.note(weight.path, all, to === 'f32' ? all : decodeF32(bytes as Uint8Array<ArrayBuffer>, to));
        await output.write(bytes);
      },
    }]];
  }));
}

const isComputed = (dtype: StoredTensor['dtype']): dtype is FileDType => dtype === 'f16' || dtype === 'bf16' || dtype === 'f32';

const storedType = ({ dtype }: StoredTensor): FileDType => (isComputed(dtype) ? dtype : 'f32');

/** Every tensor in its place, and some of them byte for byte. */
function checkFile({ path: basePath, tensors }: StoredFile, target: string, weights: ReadonlyMap<string, MergeWeight>, check: SpotCheck): void {
  const [base, found] = [openWeights(basePath), openSafetensors(target)];
  const damaged = (name: string): never => {
    throw new UserError('export.damaged', `"${target}" does not hold what was written to it ("${name}" differs): check the disk and export again.`, { target, name });
  };
  const untouched = tensors.filter(({ parameters }) => !parameters.some(({ path }) => weights.has(path)));
  for (const { name, shape } of tensors) if (!found.tensors.has(name) || !sameShape(found.tensors.get(name)!.shape, shape)) damaged(name);
  for (const { name } of spread(untouched, SAMPLE)) if (Buffer.compare(base.read(name).bytes, found.read(name).bytes) !== 0) damaged(name);
  for (const [name, digest] of check.digestsOnce()) if (digestOf(found.read(name).bytes) !== digest) damaged(name);
}

/** Weights that are looked at again. */
const SAMPLE = 24;

const spread = <T>(items: readonly T[], count: number): T[] => (items.length <= count ? [...items] : Array.from({ length: count }, (_, i) => items[Math.floor((i * items.length) / count)]!));

const DIGEST = 'sha1';
const digestOf = (bytes: Uint8Array): string => createHash(DIGEST).update(bytes).digest('hex');

/** What was written of some weights, to be compared with what is read again; and what rounding took of their changes. */
class SpotCheck {
  worst = 0;
  private readonly digests = new Map<string, Hash>();
  private readonly chosen: ReadonlySet<string>;
  private readonly written = new Map<string, string>();
  private readonly folder: OpenModel;
  private readonly every: number;
  private count = 0;

  constructor(folder: OpenModel, weights: readonly MergeWeight[]) {
    this.folder = folder;
    this.chosen = new Set(spread(weights, SAMPLE).map(({ path }) => path));
    this.every = Math.max(1, Math.floor(weights.length / SAMPLE));
  }

  /** What takes the bytes of a tensor of the file at hand, for those that are read again. */
  digestOf(name: string): Hash | null {
    if (this.count++ % this.every !== 0) return null;
    const hash = createHash(DIGEST);
    this.digests.set(name, hash);
    return hash;
  }

  /** Of the tensors written since the last call, by name. */
  digestsOnce(): [name: string, digest: string][] {
    const all = [...this.digests].map(([name, hash]): [string, string] => [name, hash.digest('hex')]);
    this.digests.clear();
    return all;
  }

  /** @param share of a change that the element type has taken */
  rounded(share: number): void {
    this.worst = Math.max(this.worst, share);
  }

  looksAt(path: string): boolean {
    return this.chosen.has(path);
  }

  note(path: string, wanted: Float32Array, written: Float32Array): void {
    if (!this.chosen.has(path)) return;
    this.written.set(path, digestOf(new Uint8Array(written.buffer, written.byteOffset, written.byteLength)));
    if (written === wanted) return;
    const cut = path.indexOf('.');
    const hasBase = this.folder.files.get(path.slice(0, cut))?.tensors.has(path.slice(cut + 1)) ?? false;
    const base = hasBase ? this.folder.readF32(path) : new Float32Array(wanted.length);
    let lost = 0;
    let change = 0;
    for (let i = 0; i < wanted.length; i++) {
      lost += (written[i]! - wanted[i]!) ** 2;
      change += (wanted[i]! - base[i]!) ** 2;
    }
    if (change > 0) this.rounded(Math.sqrt(lost / change));
  }

  /** @param read values of a path, or null when it is elsewhere. Error: `export.damaged`. */
  compare(target: string, read: (path: string) => Float32Array | null): void {
    for (const [path, digest] of this.written) {
      const found = read(path);
      if (found === null || digestOf(new Uint8Array(found.buffer, found.byteOffset, found.byteLength)) === digest) continue;
      throw new UserError('export.damaged', `"${target}" does not hold what was written to it ("${path}" differs): check the disk and export again.`, { target, path });
    }
  }
}

// The merged model: the base with what was learnt in its weights, in the layout that the base has.
import { rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { disposeAll } from '../base/dispose.ts';
import { UserError } from '../base/errors.ts';
import type { Model } from '../catalog/define/family.ts';
import { makeFolder, renameOver, writeFileAtomic } from '../files/atomic-write.ts';
import { modelName } from '../files/paths.ts';
import { encodeTensor } from '../files/convert.ts';
import { openSafetensors } from '../files/safetensors.ts';
import { writeChangedCopy, type ChangedTensor } from '../files/safetensors-copy.ts';
import { openWeights } from '../files/sharded.ts';
import type { WeightFile } from '../files/weight-file.ts';
import { DOWN, UP } from '../nn/low-rank.ts';
import { placed, putParameter } from '../nn/tensor-layout.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { asAdapter } from './export-picture.ts';
import { axisOfRun, ifThere, MAGNITUDE, type ExportSource, type SourceLayer } from './export-source.ts';
import { isComputed, roundTrained, trainedScale, type FileDType } from './export-values.ts';
import { changedNames, MergeProver, proveUntouched, type MergeProof, type WeightToProve } from './merge-proof.ts';
import { canMergeRows, RowMerger, type LayerToMerge, type StoredRows } from './merge-rows.ts';
import { Merger, readLayer, type ValueOf } from './merged-weights.ts';
import type { OpenModel } from './open-model.ts';
import type { OpenRun } from './run-job.ts';
import { trainedWeight } from './trained-weight.ts';
import type { TrainedValues } from './trained.ts';
import { checkSpace, replacedParts, saveModel, statedNoise, type NewTensor } from './save-model.ts';
import { storedFiles, type StoredComponent, type StoredFile, type StoredTensor } from './stored-files.ts';
import { unprovedPath } from './write-adapter.ts';

const ALL_PARTS = [DOWN, UP, MAGNITUDE] as const;

/** A weight that differs from the base. */
export interface MergeWeight extends WeightToProve {
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
  /** While weights are written. */
  readonly onProgress?: (done: number, total: number) => void;
  /** While they are read again; in weights. */
  readonly onProved?: (done: number, total: number) => void;
  /** Between pieces of work; may throw to stop. */
  readonly pause?: () => Promise<void>;
}

export interface MergedModel {
  readonly path: string;
  /** Parameters that differ from the base. */
  readonly changed: number;
  /** Parts that the run took from other files and that are not in what was written, by component. */
  readonly elsewhere: readonly string[];
  /** Files that were written, by the path of the file that each was made from; empty for a folder. */
  readonly written: ReadonlyMap<string, string>;
  readonly proof: MergeProof;
}

/** The weights of a source; `dispose` when they are written. Rounded as adapter files round it, so that both render the same. */
export function weightsOfSource(source: ExportSource, runtime: Runtime, adapterDType: FileDType): { weights: MergeWeight[]; dispose: () => Promise<void> } {
  return weightsOf(source.baseModel, runtime, source.layers.map(({ path, shape, kind, rank }) => {
    // Layer by layer: a second copy of all values would be as large as the adapter.
    const values = (): TrainedValues => roundTrained(ofLayer(source.values, path), source.scale, adapterDType);
    return {
      path, shape, kind, rank, values, scale: source.scale, axis: source.axis,
      layer: () => readLayer(asAdapter({ ...source, values: values() }), { path, rank, scale: 1, hasMagnitude: source.values.has(`${path}.${MAGNITUDE}`) }, shape),
    };
  }));
}

interface LayerOfAdapter extends SourceLayer, Pick<ExportSource, 'scale' | 'axis'> {
  /** As they are merged. */
  readonly values: () => TrainedValues;
  /** With its values, made anew each time. */
  readonly layer: () => LayerToMerge;
}

function weightsOf(baseModel: OpenModel, runtime: Runtime, layers: readonly LayerOfAdapter[]): { weights: MergeWeight[]; dispose: () => Promise<void> } {
  const [merger, rowMerger] = [new Merger(baseModel, runtime), new RowMerger(baseModel.weights, runtime)];
  const weights = layers.map(({ layer, values, ...own }): MergeWeight => ({
    path: `${own.path}.weight`, shape: own.shape, axis: own.axis ?? 'output', cost: 2 * own.rank,
    exact: () => {
      const source = { values: values(), scale: own.scale, axis: own.axis };
      return (part, base) => trainedWeight(source, own, part, base);
    },
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
  const [scale, axis] = [trainedScale(job), axisOfRun({ plan, job })];
  return weightsOf(baseModel, runtime, plan.layers.map((layer) => {
    const names = adapter.parameters(layer, settings).map(({ name }) => `${layer.path}.${name}`);
    const values = (): TrainedValues => roundTrained(new Map(names.map((name) => [name, saved(name)])), scale, job.output.dtype);
    return {
      ...layer, rank: (settings as { readonly rank: number }).rank, scale, axis, values,
      layer: () => {
        const rounded = values();
        return { layer, adapter, settings, values: (name) => rounded.get(name)! };
      },
    };
  }));
}

/** The weights that a run has trained themselves. */
export const weightsOfRun = ({ plan }: Pick<OpenRun, 'plan'>, values: ValueOf): MergeWeight[] => plan.tensors.map(({ name, shape }) => {
  const data = (): Float32Array => values(name).data as Float32Array;
  return {
    path: name, shape, axis: 'output', cost: 1, merge: async () => data(),
    exact: () => {
      const trained = data();
      return (part) => part.takeWeight(trained);
    },
  };
});

/**
 * Writes a model folder, or a file for a base that is one, weight by weight, and proves it before it gets its name.
 * Errors: `export.no-space`, `export.damaged`, `export.not-trained`, `result.not-ours`, `safetensors.f16-overflow`, `files.*`.
 */
export async function saveMerged(base: { readonly baseModel: OpenModel; readonly model: Model }, weights: readonly MergeWeight[], settings: MergeSettings): Promise<MergedModel> {
  const prover = new MergeProver(weights, { ...(settings.onProved ? { onProgress: settings.onProved } : {}), ...(settings.pause ? { pause: settings.pause } : {}) });
  const isFile = base.baseModel.isFile;
  const written = isFile ? await saveFiles(base, weights, settings, prover) : new Map<string, string>();
  const path = isFile ? written.get(resolve(base.baseModel.root))! : await saveFolder(base, weights, settings, prover);
  return { path, changed: weights.length, proof: prover.result(), elsewhere: isFile ? partsElsewhere(base.baseModel, weights) : [], written };
}

const mergedTexts = (root: string, { title, texts }: MergeSettings): Record<string, string> =>
  ({ 'modelspec.merged_from': modelName(root), 'adora.merged': title, ...texts });

async function saveFolder({ baseModel, model }: { readonly baseModel: OpenModel; readonly model: Model }, weights: readonly MergeWeight[], settings: MergeSettings, prover: MergeProver): Promise<string> {
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
  await saveModel(tensors, {
    base: baseModel.root, replaced: replacedParts(baseModel), target, dtype, metadata: mergedTexts(baseModel.root, settings), config: ifThere(() => statedNoise(model, baseModel.files)) ?? {},
    prove: (folder) => proveFolder(baseModel, folder, weights, prover, target),
  });
  onProgress?.(weights.length, weights.length);
  return target;
}

/** Whatever the layout of the base, a folder has the parameters themselves. */
async function proveFolder({ stored }: OpenModel, folder: string, weights: readonly MergeWeight[], prover: MergeProver, target: string): Promise<void> {
  for (const component of new Set(weights.map(({ path }) => path.slice(0, path.indexOf('.'))))) {
    const [base, file] = [stored.get(component), openWeights(join(folder, component))];
    const written = { file, parameters: new Map([...file.tensors].map(([key, { shape }]) => [key, placed(key, shape)])) };
    const own = weights.filter(({ path }) => path.startsWith(`${component}.`));
    const changed = new Set(own.map(({ path }) => path.slice(component.length + 1)));
    if (base) proveUntouched(asParameters(base), file, (name) => changed.has(name), target);
    await prover.weights(own.map((weight) => ({ weight, base: base?.parameters.has(weight.path.slice(component.length + 1)) ? base : null, written })), target);
  }
}

/** The tensors of a component that lie in its file as the diffusers layout has them. */
function asParameters({ file, parameters }: StoredComponent): Pick<WeightFile, 'tensors' | 'read'> {
  const plain = [...parameters].filter(([, { form }]) => form === 'same');
  const tensors = new Map(plain.map(([key, { tensor }]) => [key, file.tensors.get(tensor)!]));
  return { tensors, read: (key, rows) => file.read(parameters.get(key)!.tensor, rows) };
}

/** The base in one file, and each file beside it in which something changes. Gives what was written by the file it was made from. */
async function saveFiles({ baseModel, model }: { readonly baseModel: OpenModel; readonly model: Model }, weights: readonly MergeWeight[], settings: MergeSettings, prover: MergeProver): Promise<Map<string, string>> {
  const byPath = new Map(weights.map((weight) => [weight.path, weight]));
  const main = resolve(baseModel.root);
  const index = [...baseModel.stored.values()].find(({ file }) => file.files.length > 0 && file.files[0] !== file && resolve(file.path) === main)?.file;
  const shards = new Set(index?.files.map(({ path }) => resolve(path)));
  const stored = storedFiles(baseModel.stored).filter(({ path: file, tensors }) => shards.has(resolve(file)) || tensors.some(({ parameters }) => parameters.some(({ path }) => byPath.has(path))));
  const folder = dirname(resolve(settings.target));
  await makeFolder(folder);
  checkSpace(stored.flatMap(({ tensors }) => tensors).reduce((sum, { length }) => sum + length, 0), folder);
  const places = stored.map((file) => {
    const target = resolve(file.path) === main || (stored.length === 1 && !index) ? `${settings.target}.safetensors` : `${settings.target}-${basename(file.path)}`;
    if (resolve(target) === resolve(file.path)) throw new UserError('result.not-ours', `"${file.path}" is the base model itself: choose another folder with --out.`, { path: file.path });
    return { file, target, unproved: unprovedPath(target) };
  });
  try {
    for (const { file, target, unproved } of places) {
      const metadata = { ...Object.fromEntries(file.metadata), ...modelTexts(model, settings.title), ...mergedTexts(file.path, settings) };
      await writeChangedCopy(unproved, file.path, file.tensors, changedTensors(file, byPath, settings), {
        metadata, hashKey: 'modelspec.hash_sha256',
        ...(settings.onProgress ? { onProgress: settings.onProgress } : {}), ...(settings.pause ? { pause: settings.pause } : {}),
        prove: (path) => proveTensors(baseModel, file, path, byPath, prover, target),
      });
    }
    for (const { unproved, target } of places) await renameOver(unproved, target);
    if (index) await writeIndex(`${settings.target}.safetensors.index.json`, places.filter(({ file }) => shards.has(resolve(file.path))));
  } finally {
    for (const { unproved } of places) await rm(unproved, { force: true });
  }
  const written = new Map(places.map(({ file, target }) => [resolve(file.path), target]));
  if (!written.has(main)) written.set(main, index ? `${settings.target}.safetensors.index.json` : `${settings.target}.safetensors`);
  return written;
}

/** The index of a base that is one, for its shards as they were written: after them, so that it never names what is not there. */
async function writeIndex(path: string, shards: readonly { readonly file: StoredFile; readonly target: string }[]): Promise<void> {
  const files = shards.flatMap(({ file: { tensors }, target }) => tensors.map(({ name }) => [name, basename(target)] as const));
  const size = shards.reduce((sum, { target }) => sum + [...openSafetensors(target).tensors.values()].reduce((all, { begin, end }) => all + end - begin, 0), 0);
  await writeFileAtomic(path, `${JSON.stringify({ metadata: { total_size: size }, weight_map: Object.fromEntries(files) }, null, 1)}\n`);
}

async function proveTensors({ stored }: OpenModel, base: StoredFile, path: string, weights: ReadonlyMap<string, MergeWeight>, prover: MergeProver, target: string): Promise<void> {
  const file = openSafetensors(path);
  const changed = changedNames(base, new Set(weights.keys()));
  proveUntouched(base.file, file, (name) => changed.has(name), target);
  await prover.weights(base.tensors.flatMap(({ parameters }) => parameters.flatMap((parameter) => {
    const weight = weights.get(parameter.path);
    const component = stored.get(parameter.path.slice(0, parameter.path.indexOf('.')));
    return weight && component ? [{ weight, base: component, written: { file, parameters: component.parameters } }] : [];
  })), target);
}

/** A checkpoint keeps its own parts; a part from another file in which nothing changed stays there. */
function partsElsewhere({ root, stored }: OpenModel, weights: readonly MergeWeight[]): string[] {
  const main = resolve(root);
  return [...stored].filter(([component, { file }]) => resolve(file.path) !== main && !weights.some(({ path }) => path.startsWith(`${component}.`))).map(([component]) => component);
}

/** ModelSpec of a checkpoint; a denoiser by itself does not tell all of it. */
function modelTexts(model: Model, title: string): Record<string, string> {
  const [prediction, side] = [ifThere(() => model.noise.prediction), ifThere(() => model.nativeSide)];
  const told = prediction === 'v_prediction' ? 'v' : 'epsilon';
  return {
    format: 'pt', 'modelspec.sai_model_spec': '1.0.1', 'modelspec.architecture': model.knownAs.architecture, 'modelspec.implementation': model.knownAs.implementation, 'modelspec.title': title,
    ...(side === null ? {} : { 'modelspec.resolution': `${side}x${side}` }), ...(prediction === null ? {} : { 'modelspec.prediction_type': told, 'modelspec.predict_key': told }),
  };
}

function changedTensors({ file, tensors }: StoredFile, weights: ReadonlyMap<string, MergeWeight>, { dtype }: MergeSettings): Map<string, ChangedTensor> {
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
        if (await mergeRows?.({ base, output })) return;
        // A tensor that joins parameters keeps those that do not change.
        const all = isWhole ? await weight.merge() : file.readF32(name);
        if (!isWhole) for (const place of own) putParameter(all, place, await weights.get(place.path)!.merge());
        await output.write(encodeTensor(all, to, name));
      },
    }]];
  }));
}

const storedType = ({ dtype }: StoredTensor): FileDType => (isComputed(dtype) ? dtype : 'f32');

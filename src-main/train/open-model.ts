// A base model as the trainer sees it, wherever it lies: a folder in the diffusers layout, one checkpoint, or a file per part.
// Parameters have the keys and shapes of the diffusers layout; their bytes stay where they are.
import { existsSync, statSync } from 'node:fs';
import { isFloat, type StoredDType } from '../base/dtype.ts';
import { UserError } from '../base/errors.ts';
import { f16ToF32 } from '../base/half.ts';
import type { Component, Model, ModelFiles } from '../catalog/define/family.ts';
import { predictionOfJob } from '../catalog/define/prediction.ts';
import { detectModel } from '../catalog/families/index.ts';
import type { Job } from '../contract/job.ts';
import { shown } from '../files/safetensors-header.ts';
import { rowsOf } from '../files/safetensors.ts';
import { readParameter } from '../nn/checkpoint-parts.ts';
import { transposed, typesOf, type Placed } from '../nn/tensor-layout.ts';
import type { WeightLocation, WeightSource } from '../runtime/runtime.ts';
import { openModelFile, type BaseFiles, type OpenComponent, type OpenedFiles } from './model-file.ts';
import { openModelFolder } from './model-folder.ts';
import type { StoredComponent } from './stored-files.ts';

export interface OpenModel {
  /** The path that was named: a folder or a file. */
  readonly root: string;
  readonly files: ModelFiles;
  /** The parts with weights, and where each parameter lies in its file. */
  readonly stored: ReadonlyMap<string, StoredComponent>;
  /** Element type of a parameter `<component>.<key>` as the graph sees it. */
  storedDType(path: string): 'f32' | 'f16';
  readonly weights: WeightSource;
  /** The values of a parameter as f32. */
  readF32(path: string): Float32Array;
  /** Contents of a small file of a component's folder, or null. */
  readText(component: string, name: string): string | null;
  /** Whether it is a file and no folder: a layout without a place for tokenizers. */
  readonly isFile: boolean;
  /** Changes when a weight file of the component does. */
  identity(component: string): string;
  /** Names of tensors that no part of the model uses, though nothing says that they are superfluous. */
  readonly unused: readonly string[];
}

/**
 * Opens a model; reads headers only. With `isRandom`, missing weights are allowed in a folder: parts are known by their
 * configuration alone. Errors: `model.missing`, `model.not-a-model`, those of `openModelFolder`, `openModelFile` and of the
 * weight files.
 */
export function openModel(base: string | BaseFiles, isRandom = false): OpenModel {
  const named = typeof base === 'string' ? { model: base } : base;
  const root = named.model;
  if (!existsSync(root)) {
    throw new UserError('model.missing', `There is no model at "${root}": give a checkpoint (.safetensors) or a folder in the diffusers layout, with "unet" in it.`, { root });
  }
  const isFolder = statSync(root).isDirectory();
  return modelOf(root, isFolder ? openModelFolder(named, isRandom) : openModelFile(named), !isFolder);
}

/** The base model of a job, and what it is. */
export function openBase({ base, init, noise }: Pick<Job, 'base' | 'init'> & { readonly noise: Pick<Job['noise'], 'zeroTerminalSnr'> }): { readonly baseModel: OpenModel; readonly model: Model } {
  const baseModel = openModel(filesOf(base), init === 'random');
  const { clipSkip } = base;
  const prediction = predictionOfJob(base.prediction);
  return { baseModel, model: detectModel(baseModel.files, { ...(clipSkip === undefined ? {} : { clipSkip }), ...(prediction === null ? {} : { prediction }), zeroTerminalSnr: noise.zeroTerminalSnr }) };
}

const filesOf = ({ model, vae, textEncoders }: Job['base']): BaseFiles =>
  ({ model, ...(vae === undefined ? {} : { vae }), ...(textEncoders === undefined ? {} : { textEncoders }) });

interface Found extends StoredComponent {
  readonly key: string;
  readonly place: Placed;
}

function modelOf(root: string, { components, unused, readText }: OpenedFiles, isFile: boolean): OpenModel {
  const stored = new Map<string, StoredComponent>();
  for (const [name, { file, parameters }] of components) if (file) stored.set(name, { file, parameters });
  const find = (path: string): Found => {
    const cut = path.indexOf('.');
    const component = path.slice(0, cut);
    const found = stored.get(component);
    if (!found) throw new UserError('model.no-component', `The model at "${root}" has no weights of the part "${component}", which this needs.`, { root, component });
    const key = path.slice(cut + 1);
    return { ...found, key, place: found.parameters.get(key) ?? { tensor: key, shape: [], form: 'same', firstRow: 0 } };
  };
  return {
    root,
    files: new Map([...components].map(([name, component]) => [name, componentOf(component)])),
    stored,
    unused,
    isFile,
    storedDType: (path) => {
      const { file, place } = find(path);
      return file.tensors.get(place.tensor)?.dtype === 'f16' ? 'f16' : 'f32';
    },
    weights: (path) => locate(find(path)),
    readF32: (path) => {
      const { file, parameters, key } = find(path);
      return readParameter(file, parameters, key);
    },
    readText: (component, name) => readText(`${component}/${name}`),
    identity: (component) => {
      const found = stored.get(component);
      if (!found) return 'none';
      const stamps = found.file.files.map(({ path }) => {
        const { size, mtimeMs } = statSync(path);
        return `${path}:${size}:${mtimeMs}`;
      });
      return `${component} ${stamps.join(' ')}`;
    },
  };
}

/** Byte ranges for what lies as the graph wants it; memory for what does not. */
function locate({ file, parameters, key, place }: Found): WeightLocation {
  const { dtype, shape, ...location } = rowsOf(file.locate(place.tensor), place.form === 'rows' ? { first: place.firstRow, count: place.shape[0]! } : undefined);
  const isHere = dtype === 'f32' || dtype === 'f16' || dtype === 'bf16';
  if (isHere && place.form !== 'transposed') return { kind: 'file', ...location, ...(dtype === 'bf16' ? { isBf16: true } : {}) };
  if (dtype !== 'f16') return { kind: 'memory', data: readParameter(file, parameters, key) };
  const { bytes } = file.read(place.tensor);
  return { kind: 'memory', data: transposed(new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2), shape) };
}

function componentOf({ config, file, parameters }: OpenComponent): Component {
  if (!file) return { config, tensors: new Map() };
  for (const [key, { tensor }] of parameters) {
    const { dtype } = file.tensors.get(tensor)!;
    if (isIndexTable(key) || isFloat(dtype as StoredDType)) continue;
    throw new UserError('model.dtype', `"${shown(tensor)}" in "${file.path}" is stored as ${dtype}; Adora trains on f32, f16 or bf16 weights, so use the unquantised model.`, { tensor, dtype, file: file.path });
  }
  return { config, tensors: typesOf(parameters, file.tensors) as Component['tensors'] };
}

const isIndexTable = (key: string): boolean => key === 'position_ids' || key.endsWith('.position_ids');

/** f32 view of weights that the runtime gave back. */
export const toF32 = (data: Float32Array | Uint16Array): Float32Array => (data instanceof Float32Array ? data : f16ToF32(data));

// A model in the diffusers folder layout: configurations and headers of its parts, and where each weight's bytes are.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isFloat, type StoredDType } from '../base/dtype.ts';
import { UserError } from '../base/errors.ts';
import { f16ToF32 } from '../base/half.ts';
import type { Component, ModelFiles } from '../catalog/define/family.ts';
import { openWeights } from '../files/sharded.ts';
import type { WeightFile } from '../files/weight-file.ts';
import type { WeightLocation, WeightSource } from '../runtime/runtime.ts';

export interface ModelFolder {
  readonly root: string;
  readonly files: ModelFiles;
  /** Element type of a parameter `<component>.<key>` as stored. */
  storedDType(path: string): 'f32' | 'f16';
  readonly weights: WeightSource;
  /** The values of a parameter as f32. */
  readF32(path: string): Float32Array;
  /** Contents of a file of a component's folder, or null. */
  readText(component: string, name: string): string | null;
  /** Changes when a weight file of the component does. */
  identity(component: string): string;
}

/**
 * Opens a model. With `isRandom`, missing weights are allowed: parts are known by their configuration alone.
 * Errors: `model.missing`, `model.not-a-model`, those of the weight files.
 */
export function openModelFolder(root: string, isRandom = false): ModelFolder {
  if (existsSync(root) && !statSync(root).isDirectory()) {
    throw new UserError('model.single-file', `"${root}" is a file: single-file checkpoints are not read yet, so give a folder in the diffusers layout, with "unet" in it.`, { root });
  }
  if (!existsSync(root)) {
    throw new UserError('model.missing', `There is no model folder at "${root}": give a folder in the diffusers layout, with "unet" in it.`, { root });
  }
  const components = new Map<string, Component & { weights: WeightFile | null }>();
  for (const entry of readdirSync(root, { withFileTypes: true })) {
    const folder = join(root, entry.name);
    if (!entry.isDirectory()) continue;
    const configFile = ['config.json', 'scheduler_config.json'].map((name) => join(folder, name)).find((file) => existsSync(file));
    if (!configFile) continue;
    const config = parseConfig(configFile);
    const weights = configFile.endsWith('scheduler_config.json') ? null : openIfPresent(folder, isRandom);
    components.set(entry.name, { config, weights, tensors: weights ? tensorTypes(weights, folder) : new Map() });
  }
  if (components.size === 0) {
    throw new UserError('model.not-a-model', `"${root}" is not a model in the diffusers layout: it has no folder such as "unet" with a config.json.`, { root });
  }
  return folderOf(root, components);
}

function folderOf(root: string, components: ReadonlyMap<string, Component & { weights: WeightFile | null }>): ModelFolder {
  const find = (path: string): { file: WeightFile; key: string } => {
    const cut = path.indexOf('.');
    const component = path.slice(0, cut);
    const file = components.get(component)?.weights;
    if (!file) throw new UserError('model.no-component', `The model at "${root}" has no weights in a folder "${component}", which this needs.`, { root, component });
    return { file, key: path.slice(cut + 1) };
  };
  return {
    root,
    files: components,
    storedDType: (path) => {
      const { file, key } = find(path);
      return file.tensors.get(key)?.dtype === 'f16' ? 'f16' : 'f32';
    },
    weights: (path): WeightLocation => {
      const { file, key } = find(path);
      const { dtype, ...location } = file.locate(key);
      // bf16 is not computed in; its values are exact in f32.
      return dtype === 'f32' || dtype === 'f16' ? { kind: 'file', ...location } : { kind: 'memory', data: file.readF32(key) };
    },
    readF32: (path) => {
      const { file, key } = find(path);
      return file.readF32(key);
    },
    readText: (component, name) => {
      const file = join(root, component, name);
      return existsSync(file) ? readFileSync(file, 'utf8') : null;
    },
    identity: (component) => {
      const file = components.get(component)?.weights;
      if (!file) return 'none';
      const { size, mtimeMs } = statSync(file.path);
      return `${file.path}:${size}:${mtimeMs}`;
    },
  };
}

function parseConfig(file: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Falls through to the one message for both faults.
  }
  throw new UserError('model.bad-config', `"${file}" is not a JSON object: download the model's configuration again.`, { file });
}

function openIfPresent(folder: string, isRandom: boolean): WeightFile | null {
  try {
    return openWeights(folder);
  } catch (error) {
    if (error instanceof UserError && error.code === 'files.no-weights') {
      const isTokenizer = existsSync(join(folder, 'tokenizer_config.json'));
      if (isRandom || isTokenizer) return null;
    }
    throw error;
  }
}

function tensorTypes(weights: WeightFile, folder: string): Component['tensors'] {
  return new Map([...weights.tensors].map(([key, { dtype, shape }]) => {
    if (key !== 'position_ids' && !key.endsWith('.position_ids') && !isFloat(dtype as StoredDType)) {
      throw new UserError('model.dtype', `"${key}" in "${folder}" is stored as ${dtype}; Adora trains on f32, f16 or bf16 weights, so use the unquantised model.`, { key, dtype, folder });
    }
    return [key, { dtype: dtype as StoredDType, shape }] as const;
  })) as Component['tensors'];
}

/** f32 view of weights that the runtime gave back. */
export const toF32 = (data: Float32Array | Uint16Array): Float32Array => (data instanceof Float32Array ? data : f16ToF32(data));

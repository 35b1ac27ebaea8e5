// Weights in several files with an index, and the choice of the right file in a folder of the diffusers layout.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UserError } from '../base/errors.ts';
import { readError } from './file-errors.ts';
import { missingTensor, openSafetensors } from './safetensors.ts';
import type { SafetensorsFile } from './safetensors.ts';
import { MAX_HEADER_BYTES, shown } from './safetensors-header.ts';
import type { HeaderLimits } from './safetensors-header.ts';
import { isObject, JsonFault, parseStrictJson } from './strict-json.ts';
import type { JsonObject } from './strict-json.ts';
import type { RawTensor, Rows, TensorInfo, TensorLocation, WeightFile } from './weight-file.ts';

const FILE_NAMES = ['diffusion_pytorch_model', 'model'];

class ShardedFile implements WeightFile {
  readonly path: string;
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #homes: ReadonlyMap<string, SafetensorsFile>;

  constructor(path: string, homes: ReadonlyMap<string, SafetensorsFile>, metadata: ReadonlyMap<string, string>) {
    this.path = path;
    this.metadata = metadata;
    this.#homes = homes;
    this.tensors = new Map([...homes].map(([name, shard]) => [name, shard.tensors.get(name)!]));
  }

  #home(name: string): SafetensorsFile {
    const shard = this.#homes.get(name);
    if (shard === undefined) throw missingTensor(this.path, name);
    return shard;
  }

  get files(): readonly WeightFile[] {
    return [...new Set(this.#homes.values())];
  }

  read(name: string, rows?: Rows): RawTensor {
    return this.#home(name).read(name, rows);
  }

  readF32(name: string, rows?: Rows): Float32Array<ArrayBuffer> {
    return this.#home(name).readF32(name, rows);
  }

  locate(name: string): TensorLocation {
    return this.#home(name).locate(name);
  }
}

/**
 * Opens the weights that an index (`*.safetensors.index.json`: `{"metadata": ..., "weight_map": {key: file}}`) lists.
 * Errors: `safetensors.index-invalid`, `safetensors.index-name` (a file name with a folder in it),
 * `safetensors.index-missing-key`, `files.not-found` for a missing shard, and those of `openSafetensors`.
 */
export function openSharded(path: string, limits?: HeaderLimits): WeightFile {
  const shards = new Map<string, SafetensorsFile>();
  const homes = new Map<string, SafetensorsFile>();
  for (const [key, fileName] of weightMap(path)) {
    if (typeof fileName !== 'string') throw invalid(path, `gives no file name for "${shown(key)}"`);
    if (!/^[^/\\:\u0000]+\.safetensors$/.test(fileName)) {
      throw new UserError('safetensors.index-name', `"${path}" points to "${shown(fileName)}", which is not the name ` +
        'of a .safetensors file in the same folder: get the model from another source.', { path, key });
    }
    let shard = shards.get(fileName);
    if (shard === undefined) {
      shard = openSafetensors(join(dirname(path), fileName), limits);
      shards.set(fileName, shard);
    }
    if (!shard.tensors.has(key)) {
      throw new UserError('safetensors.index-missing-key', `"${shard.path}" has no tensor "${shown(key)}", though ` +
        `"${path}" says so: the files do not belong together, download all of them again.`,
      { path, shard: shard.path, key });
    }
    homes.set(key, shard);
  }
  const metadata = new Map([...shards.values()].flatMap((shard) => [...shard.metadata]));
  return new ShardedFile(path, homes, metadata);
}

const invalid = (path: string, problem: string): UserError =>
  new UserError('safetensors.index-invalid', `"${path}" is not a proper index of weight files (it ${problem}): ` +
    'download it again.', { path });

function weightMap(path: string): JsonObject {
  let text: string;
  try {
    if (statSync(path).size > MAX_HEADER_BYTES) throw invalid(path, 'is far too large');
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw readError(error, path, 'the index of the weights');
  }
  try {
    const json = parseStrictJson(text);
    const map = isObject(json) ? json.get('weight_map') : undefined;
    if (!isObject(map)) throw invalid(path, 'has no "weight_map"');
    return map;
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    throw invalid(path, `is not JSON: ${shown(error.message)}`);
  }
}

/**
 * Opens weights by any of the paths a person may name: a .safetensors file, an index, or a folder of the diffusers
 * layout (such as `unet/`), where full-precision files are preferred to `.fp16` ones.
 * Error: `files.no-weights` when a folder holds none.
 */
export function openWeights(path: string, limits?: HeaderLimits): WeightFile {
  let isFolder: boolean;
  try {
    isFolder = statSync(path).isDirectory();
  } catch (error) {
    throw readError(error, path, 'the model');
  }
  if (!isFolder) return path.endsWith('.json') ? openSharded(path, limits) : openSafetensors(path, limits);
  const found = FILE_NAMES.flatMap((stem) => [
    `${stem}.safetensors`, `${stem}.safetensors.index.json`, `${stem}.fp16.safetensors`,
    `${stem}.safetensors.index.fp16.json`,
  ]).find((name) => existsSync(join(path, name)));
  if (found === undefined) {
    throw new UserError('files.no-weights', `The folder "${path}" holds no weights (` +
      `${FILE_NAMES.map((stem) => `${stem}.safetensors`).join(' or ')}): choose the folder of one part of a model, ` +
      'such as its "unet".', { path });
  }
  return found.endsWith('.json') ? openSharded(join(path, found), limits) : openSafetensors(join(path, found), limits);
}

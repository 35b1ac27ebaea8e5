// Weights in several files with an index, and the choice of the right file in a folder of the diffusers layout.
import { readdirSync, readFileSync, statSync } from 'node:fs';
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

/** Weights of a part of a model in the diffusers layout: whole or as an index, of the usual numbers or of a variant. */
const WEIGHTS = /^(diffusion_pytorch_model|model)(?:\.(\w+))?\.safetensors(?:\.index(?:\.(\w+))?\.json)?$/;
/** Variants from the best to the worst; those of other names come last. */
const VARIANTS = ['', 'fp32', 'fp16', 'bf16'];
/** Weights in formats that can run programs, or that other libraries read. */
const OTHER_WEIGHTS = /\.(bin|ckpt|pt|pth|msgpack|h5|onnx|gguf)$/i;

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
 * layout (such as `unet/`), where full-precision files are preferred to variants such as `.fp16` ones.
 * Error: `files.no-weights` when a folder holds none.
 */
export function openWeights(path: string, limits?: HeaderLimits): WeightFile {
  let names: string[] | null;
  try {
    names = statSync(path).isDirectory() ? readdirSync(path) : null;
  } catch (error) {
    throw readError(error, path, 'the model');
  }
  if (names === null) return path.endsWith('.json') ? openSharded(path, limits) : openSafetensors(path, limits);
  const found = weightsAmong(names);
  if (found !== undefined) return found.endsWith('.json') ? openSharded(join(path, found), limits) : openSafetensors(join(path, found), limits);
  const other = names.find((name) => OTHER_WEIGHTS.test(name));
  const advice = other === undefined ? ': choose the folder of one part of a model, such as its "unet".' :
    `, only "${shown(other)}", a format that Adora does not open: get the model as .safetensors.`;
  throw new UserError('files.no-weights', `The folder "${path}" holds no weights (diffusion_pytorch_model.safetensors or ` +
    `model.safetensors)${advice}`, { path, other: other ?? null });
}

/** The best of the weight files with these names. */
function weightsAmong(names: readonly string[]): string | undefined {
  const rank = ([name, stem, before, after]: readonly (string | undefined)[]): string => {
    const variant = before ?? after ?? '';
    const place = VARIANTS.indexOf(variant);
    return [stem, place < 0 ? VARIANTS.length : place, name!.endsWith('.json') ? 1 : 0, variant].join(' ');
  };
  const known = names.flatMap((name) => {
    const match = WEIGHTS.exec(name);
    return match ? [{ name, rank: rank([...match]) }] : [];
  });
  return known.sort((a, b) => (a.rank < b.rank ? -1 : 1))[0]?.name;
}

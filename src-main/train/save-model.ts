// Writes a model with other weights in some places as a folder in the diffusers layout: a copy of the base, the new tensors
// put in one after the other, so that memory holds one of them at a time.
import { copyFileSync, cpSync, createReadStream, existsSync, mkdirSync, readdirSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { UserError } from '../base/errors.ts';
import type { Shape } from '../base/shape.ts';
import type { Model, ModelFiles } from '../catalog/define/family.ts';
import { detectModel } from '../catalog/families/index.ts';
import { makeFolder, writeFileAtomic } from '../files/atomic-write.ts';
import { encodeTensor } from '../files/convert.ts';
import { openWeights } from '../files/sharded.ts';
import { writeSafetensors, type TensorToWrite } from '../files/safetensors-write.ts';
import type { TensorLocation } from '../files/weight-file.ts';
import { readParameter } from '../nn/checkpoint-parts.ts';
import { placed } from '../nn/tensor-layout.ts';
import type { HostData } from '../runtime/runtime.ts';
import type { FileDType } from './export-values.ts';
import { makeResultFolder } from './result-folder.ts';
import type { StoredComponent } from './stored-files.ts';

const WEIGHT_FILE: Readonly<Record<string, string>> = { text_encoder: 'model.safetensors', text_encoder_2: 'model.safetensors' };
const CONFIG_FILE: Readonly<Record<string, string>> = { scheduler: 'scheduler_config.json' };
const isWeight = (name: string): boolean => /\.(safetensors|bin|ckpt|pt|onnx|msgpack|h5|index(\.\w+)?\.json)$/.test(name);
const isHidden = (name: string): boolean => name.startsWith('.');

/** Values of a tensor, f32, or a function that makes them when their turn comes. */
export interface NewTensor {
  readonly shape: Shape;
  readonly data: HostData | (() => Promise<Float32Array>);
}

export interface SaveModelSettings {
  readonly base: string;
  /** Components whose weights are not those in the base's folder, by name. */
  readonly replaced?: ReadonlyMap<string, StoredComponent>;
  /** An earlier model there is replaced when the new one is complete. */
  readonly target: string;
  /** Element type of the new tensors; `stored` is that which the base has in their place. */
  readonly dtype: FileDType | 'stored';
  /** Changes to a component's configuration. */
  readonly config?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** For the headers of the files with new tensors. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Looks at the new model before it takes its place; may throw. @param folder where it is until then */
  readonly prove?: (folder: string) => Promise<void>;
}

/**
 * Untouched tensors keep their bytes; components without a new tensor are copied as they are. Single-file checkpoints beside
 * the components are left out. Errors: `result.not-ours`, `export.no-space`, `safetensors.f16-overflow`, `files.*`.
 */
export async function saveModel(values: ReadonlyMap<string, NewTensor>, settings: SaveModelSettings): Promise<void> {
  const { base, target } = settings;
  const entries = readdirSync(base).filter((name) => !isHidden(name) && !isWeight(name));
  const [first = ''] = values.keys();
  const mark = entries.includes('model_index.json') ? 'model_index.json' : first.slice(0, first.indexOf('.'));
  await makeFolder(dirname(resolve(target)));
  checkSpace(entries.reduce((sum, name) => sum + sizeOf(join(base, name)), 0), dirname(resolve(target)));
  await makeResultFolder(target, mark, async (folder) => {
    for (const name of entries) {
      const from = join(base, name);
      const to = join(folder, name);
      if (!statSync(from).isDirectory()) copyFileSync(from, to);
      else if (!settings.replaced?.has(name) && ![...values.keys()].some((key) => key.startsWith(`${name}.`))) cpSync(from, to, { recursive: true, dereference: true });
      else await saveComponent(values, name, from, to, settings);
      const changes = settings.config?.[name];
      if (changes) await changeConfig(join(to, CONFIG_FILE[name] ?? 'config.json'), changes);
    }
    await settings.prove?.(folder);
  });
}

async function saveComponent(values: ReadonlyMap<string, NewTensor>, component: string, from: string, to: string, { dtype, replaced, metadata = {} }: SaveModelSettings): Promise<void> {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) if (!isWeight(name) && !isHidden(name)) cpSync(join(from, name), join(to, name), { recursive: true, dereference: true });
  const prefix = `${component}.`;
  const fresh = new Map([...values].filter(([name]) => name.startsWith(prefix)).map(([name, value]) => [name.slice(prefix.length), value]));
  const part = replaced?.get(component) ?? openIfThere(from);
  const kept = [...(part?.parameters.keys() ?? [])].filter((key) => !fresh.has(key)).map((key) => keptTensor(part!, key));
  const written: TensorToWrite[] = [...fresh].map(([key, { shape, data }]) => {
    const own = dtype === 'stored' ? storedDType(part, key) : dtype;
    return {
      name: key, dtype: own, shape,
      data: async () => encodeTensor(typeof data === 'function' ? await data() : (data as Float32Array), own, `${prefix}${key}`),
    };
  });
  await writeSafetensors(join(to, WEIGHT_FILE[component] ?? 'diffusion_pytorch_model.safetensors'), [...kept, ...written], { ...metadata, format: 'pt' });
}

/** A tensor's bytes, a few megabytes at a time. */
async function* chunksOf({ file, offset, length }: TensorLocation): AsyncGenerator<Uint8Array> {
  if (length > 0) yield* createReadStream(file, { start: offset, end: offset + length - 1, highWaterMark: 1 << 23 }) as AsyncIterable<Uint8Array>;
}

/** A parameter as it lies in its file, or as the diffusers layout has it where the file has it another way. */
function keptTensor({ file, parameters }: StoredComponent, key: string): TensorToWrite {
  const { tensor, form, shape } = parameters.get(key)!;
  const { dtype } = file.tensors.get(tensor)!;
  if (form === 'same' || form === 'reshaped') return { name: key, dtype, shape, data: () => chunksOf(file.locate(tensor)) };
  const own = floatDType(dtype);
  return { name: key, dtype: own, shape, data: async () => encodeTensor(readParameter(file, parameters, key), own, key) };
}

const floatDType = (stored: string | undefined): FileDType => (stored === 'f16' || stored === 'bf16' ? stored : 'f32');

const storedDType = (part: StoredComponent | null, key: string): FileDType => floatDType(part?.file.tensors.get(part.parameters.get(key)?.tensor ?? '')?.dtype);

function openIfThere(folder: string): StoredComponent | null {
  if (!existsSync(folder) || !readdirSync(folder).some(isWeight)) return null;
  const file = openWeights(folder);
  return { file, parameters: new Map([...file.tensors].map(([key, { shape }]) => [key, placed(key, shape)])) };
}

/** Components of a model folder that a job takes from elsewhere (base.vae, base.textEncoders). */
export const replacedParts = ({ root, stored }: { readonly root: string; readonly stored: ReadonlyMap<string, StoredComponent> }): Map<string, StoredComponent> =>
  new Map([...stored].filter(([, { file }]) => relative(resolve(root), resolve(file.path)).startsWith('..')));

/** What a job says of the noise of its model and its folder does not; nothing where the folder says the same. */
export function statedNoise({ noise: { prediction, zeroTerminalSnr } }: Model, files: ModelFiles): NonNullable<SaveModelSettings['config']> {
  const own = detectModel(files).noise;
  if (own.prediction === prediction && own.zeroTerminalSnr === zeroTerminalSnr) return {};
  // Sampling has to begin at the last timestep where that is pure noise.
  return { scheduler: { prediction_type: prediction, rescale_betas_zero_snr: zeroTerminalSnr, ...(zeroTerminalSnr ? { timestep_spacing: 'trailing' } : {}) } };
}

/** A model of gigabytes should not fail after minutes. @param wanted bytes. Error: `export.no-space`. */
export function checkSpace(wanted: number, folder: string): void {
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize >= wanted) return;
  const gigabytes = (bytes: number): string => (bytes < 1e8 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`);
  throw new UserError('export.no-space', `A merged model needs ${gigabytes(wanted)} in "${folder}", and ${gigabytes(bavail * bsize)} are free: free some space or choose a folder on another disk.`, { folder, wanted, free: bavail * bsize });
}

function sizeOf(path: string): number {
  const stat = statSync(path);
  return stat.isDirectory() ? readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0) : stat.size;
}

async function changeConfig(file: string, changes: Readonly<Record<string, unknown>>): Promise<void> {
  const config = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  await writeFileAtomic(file, `${JSON.stringify({ ...config, ...changes }, null, 2)}\n`);
}

// Writes a model whose own weights were trained as a folder in the diffusers layout: a copy of the base with the trained
// tensors in place.
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../files/atomic-write.ts';
import { encodeTensor } from '../files/convert.ts';
import { openWeights } from '../files/sharded.ts';
import type { WeightFile } from '../files/weight-file.ts';
import { writeSafetensors, type TensorToWrite } from '../files/safetensors-write.ts';
import type { TrainedValues } from './trained.ts';

const WEIGHT_FILE: Readonly<Record<string, string>> = { text_encoder: 'model.safetensors', text_encoder_2: 'model.safetensors' };
const isWeight = (name: string): boolean => /\.(safetensors|bin|ckpt|index\.json)$/.test(name);

export interface SaveModelSettings {
  readonly base: string;
  readonly target: string;
  readonly dtype: 'f32' | 'f16' | 'bf16';
  /** Changes to a component's config.json. */
  readonly config?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** Untouched tensors keep their bytes; components without a trained tensor are copied as they are. */
export async function saveModel(values: TrainedValues, { base, target, dtype, config = {} }: SaveModelSettings): Promise<void> {
  mkdirSync(target, { recursive: true });
  for (const entry of readdirSync(base, { withFileTypes: true })) {
    const from = join(base, entry.name);
    const to = join(target, entry.name);
    if (!entry.isDirectory()) copyFileSync(from, to);
    else if (![...values.keys()].some((name) => name.startsWith(`${entry.name}.`))) cpSync(from, to, { recursive: true });
    else await saveComponent(values, entry.name, from, to, dtype);
    const changes = config[entry.name];
    if (changes) await changeConfig(join(to, 'config.json'), changes);
  }
}

async function saveComponent(values: TrainedValues, component: string, from: string, to: string, dtype: SaveModelSettings['dtype']): Promise<void> {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) if (!isWeight(name)) cpSync(join(from, name), join(to, name), { recursive: true });
  const prefix = `${component}.`;
  const trained = new Map([...values].filter(([name]) => name.startsWith(prefix)).map(([name, value]) => [name.slice(prefix.length), value]));
  const file = openIfThere(from);
  const kept: TensorToWrite[] = [...(file?.tensors ?? [])].filter(([key]) => !trained.has(key)).map(([key, { dtype: stored, shape }]) => ({
    name: key, dtype: stored, shape, data: () => file!.read(key).bytes,
  }));
  const written: TensorToWrite[] = [...trained].map(([key, { shape, data }]) => ({ name: key, dtype, shape, data: () => encodeTensor(data as Float32Array, dtype, key) }));
  await writeSafetensors(join(to, WEIGHT_FILE[component] ?? 'diffusion_pytorch_model.safetensors'), [...kept, ...written], { format: 'pt' });
}

function openIfThere(folder: string): WeightFile | null {
  return existsSync(folder) && readdirSync(folder).some(isWeight) ? openWeights(folder) : null;
}

async function changeConfig(file: string, changes: Readonly<Record<string, unknown>>): Promise<void> {
  const config = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  await writeFileAtomic(file, `${JSON.stringify({ ...config, ...changes }, null, 2)}\n`);
}

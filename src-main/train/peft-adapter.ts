// An adapter file in PEFT's layout: `<component>.<path>.lora_A.weight`, `.lora_B.weight`, `.lora_magnitude_vector`.
import { UserError } from '../base/errors.ts';
import { sameShape, showShape, type Shape } from '../base/shape.ts';
import { dora } from '../catalog/adapters/dora.ts';
import { lora } from '../catalog/adapters/lora.ts';
import type { Adapter } from '../catalog/define/adapter.ts';
import { defaultSettings } from '../contract/fields.ts';
import type { Builder, Layer, LayerTransform } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { openSafetensors } from '../files/safetensors.ts';

/** A tensor of the file. */
interface FileTensor {
  readonly key: string;
  readonly shape: Shape;
}

interface FileLayer {
  readonly path: string;
  /** By the adapter's own parameter names. */
  readonly tensors: ReadonlyMap<string, FileTensor>;
  readonly adapter: Adapter;
  readonly settings: Parameters<Adapter['apply']>[3];
}

export interface PeftAdapter {
  readonly layers: ReadonlyMap<string, FileLayer>;
  /** File keys of all tensors; also their names in graphs. */
  readonly keys: readonly string[];
  read(key: string): { readonly shape: Shape; readonly data: Float32Array };
}

const KEY = /^(.+)\.(lora_A|lora_B|lora_magnitude_vector)(?:\.default)?(?:\.weight)?$/;
const PARAMETER: Readonly<Record<string, string>> = {
  lora_A: 'lora_A.weight', lora_B: 'lora_B.weight', lora_magnitude_vector: 'lora_magnitude_vector',
};

/** Errors: those of the file, `adapter.layout`, `adapter.incomplete`, `adapter.metadata`. */
export function openPeftAdapter(path: string): PeftAdapter {
  const file = openSafetensors(path);
  const found = new Map<string, Map<string, FileTensor>>();
  for (const [key, { shape }] of file.tensors) {
    const [, layer, kind] = KEY.exec(key) ?? [];
    if (layer === undefined) {
      throw new UserError('adapter.layout', `"${path}" is no adapter in PEFT's layout: "${key}" does not end in lora_A.weight, lora_B.weight or lora_magnitude_vector. Export the adapter for diffusers.`, { path, key });
    }
    const tensors = found.get(layer) ?? new Map<string, FileTensor>();
    found.set(layer, tensors.set(PARAMETER[kind!]!, { key, shape }));
  }
  if (found.size === 0) throw new UserError('adapter.layout', `"${path}" holds no adapter tensors: choose another file.`, { path });
  const strengths = readStrengths(path, file.metadata);
  const layers = new Map([...found].map(([layer, tensors]) => [layer, fileLayer(path, layer, tensors, strengths)]));
  return {
    layers,
    keys: [...file.tensors.keys()],
    read: (key) => ({ shape: file.tensors.get(key)!.shape, data: file.readF32(key) }),
  };
}

function fileLayer(file: string, path: string, tensors: ReadonlyMap<string, FileTensor>, strengths: Strengths): FileLayer {
  for (const name of ['lora_A.weight', 'lora_B.weight']) {
    if (!tensors.has(name)) throw new UserError('adapter.incomplete', `"${file}" has no tensor "${path}.${name}", though it has others of that layer: the file is damaged, export it again.`, { file, path, name });
  }
  const adapter = (tensors.has('lora_magnitude_vector') ? dora : lora) as unknown as Adapter;
  const rank = tensors.get('lora_A.weight')!.shape[0] ?? 0;
  const settings = { ...defaultSettings(adapter.fields), rank, alpha: strengths.alpha(path) ?? rank, rsLora: strengths.isRankStabilised(path) };
  return { path, tensors, adapter, settings: settings as FileLayer['settings'] };
}

interface Strengths {
  alpha(path: string): number | undefined;
  isRankStabilised(path: string): boolean;
}

/** Metadata of diffusers: `lora_adapter_metadata`, PEFT's LoraConfig as JSON with a component before each field. */
function readStrengths(file: string, metadata: ReadonlyMap<string, string>): Strengths {
  const text = metadata.get('lora_adapter_metadata');
  if (text === undefined) return { alpha: () => undefined, isRankStabilised: () => false };
  let config: Record<string, unknown>;
  try {
    config = JSON.parse(text) as Record<string, unknown>;
  } catch {
    throw new UserError('adapter.metadata', `The metadata "lora_adapter_metadata" of "${file}" is not JSON: export the adapter again.`, { file });
  }
  const field = (path: string, name: string): unknown => config[`${path.slice(0, path.indexOf('.'))}.${name}`];
  const alpha = (path: string): number | undefined => {
    const patterns = Object.entries((field(path, 'alpha_pattern') ?? {}) as Record<string, unknown>);
    const own = patterns.find(([pattern]) => path === pattern || path.endsWith(`.${pattern}`))?.[1];
    const value = own ?? field(path, 'lora_alpha');
    return typeof value === 'number' ? value : undefined;
  };
  return { alpha, isRankStabilised: (path) => field(path, 'use_rslora') === true };
}

/** Puts the file's layers in place of the model's, with trainable tensors named by their keys. Error: `adapter.shape`. */
export function adapterTransform({ layers }: PeftAdapter): LayerTransform {
  return (g: Builder, layer: Layer): Value | null => {
    const known = layers.get(layer.path);
    if (!known) return null;
    const { adapter, settings, tensors } = known;
    const described = adapter.parameters({ kind: layer.kind, path: layer.path, shape: layer.weight.shape }, settings);
    const parameters = Object.fromEntries(described.map(({ name, shape }) => {
      const tensor = tensors.get(name)!;
      if (!sameShape(tensor.shape, shape)) {
        throw new UserError('adapter.shape', `"${tensor.key}" is ${showShape(tensor.shape)} and would have to be ${showShape(shape)} for this model: use the adapter with the model it was trained on.`, { key: tensor.key, shape: tensor.shape, expected: shape });
      }
      return [name, g.trainable(tensor.key, shape)];
    }));
    return adapter.apply(g, layer, parameters, settings, null);
  };
}

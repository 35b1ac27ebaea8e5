// Keys of CLIP's text encoder to those of transformers' CLIPTextModel, which the diffusers layout has: from older files of
// that kind, and from OpenCLIP, which joins queries, keys and values and stores its projection transposed.
import type { RawConfig } from './config.ts';
import { collectParameters, placed, type Parameters, type Placed, type TensorTypes } from './tensor-layout.ts';

const OPEN_TOP: ReadonlyMap<string, string> = new Map(Object.entries({
  positional_embedding: 'text_model.embeddings.position_embedding.weight',
  'token_embedding.weight': 'text_model.embeddings.token_embedding.weight',
  'ln_final.weight': 'text_model.final_layer_norm.weight',
  'ln_final.bias': 'text_model.final_layer_norm.bias',
}));
const OPEN_INSIDE: ReadonlyMap<string, string> = new Map(Object.entries({
  ln_1: 'layer_norm1', ln_2: 'layer_norm2', 'mlp.c_fc': 'mlp.fc1', 'mlp.c_proj': 'mlp.fc2', 'attn.out_proj': 'self_attn.out_proj',
}));
const OPEN_BLOCK = /^transformer\.resblocks\.(\d+)\.(.+)\.(weight|bias)$/;
const OPEN_JOINED = /^transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)$/;
const OWN = /^(text_model\.)?(embeddings|encoder|final_layer_norm)\./;

/** Tensors that say nothing about the model: tables of indices, and what belongs to training CLIP itself. */
const isIgnored = (key: string): boolean => /(^|\.)(position_ids|logit_scale|attn_mask|logit_bias)$/.test(key);

/** Whether tensors starting with `prefix` are an encoder in transformers' naming (`text_model.` may be absent), or OpenCLIP's. */
export function clipNaming(tensors: TensorTypes, prefix: string): 'transformers' | 'open-clip' | null {
  if (['text_model.', ''].some((inner) => tensors.has(`${prefix}${inner}embeddings.token_embedding.weight`))) return 'transformers';
  return tensors.has(`${prefix}transformer.resblocks.0.ln_1.weight`) ? 'open-clip' : null;
}

/** Parameters of the text encoder whose keys start with `prefix`, in either naming. */
export function clipParameters(tensors: TensorTypes, prefix: string): Parameters {
  const isOpen = clipNaming(tensors, prefix) === 'open-clip';
  const own = [...tensors].filter(([name]) => name.startsWith(prefix) && !isIgnored(name));
  return collectParameters(own.flatMap(([name, { shape }]): (readonly [string, Placed])[] => {
    const key = name.slice(prefix.length);
    if (isOpen) return fromOpenClip(key, name, shape, prefix !== '');
    if (OWN.test(key)) return [[key.startsWith('text_model.') ? key : `text_model.${key}`, placed(name, shape)]];
    return key === 'text_projection.weight' || prefix !== '' ? [[key, placed(name, shape)]] : [];
  }));
}

/** @param takesUnknown whether keys that are none of the naming stand for themselves, so that the comparison with the graph names them */
function fromOpenClip(key: string, name: string, shape: readonly number[], takesUnknown: boolean): (readonly [string, Placed])[] {
  const joined = OPEN_JOINED.exec(key);
  if (joined && shape[0]! % 3 === 0) {
    const rows = shape[0]! / 3;
    return ['q', 'k', 'v'].map((part, i) => [
      `text_model.encoder.layers.${joined[1]}.self_attn.${part}_proj.${joined[2]}`, placed(name, [rows, ...shape.slice(1)], 'rows', i * rows),
    ]);
  }
  if (key === 'text_projection' && shape.length === 2) return [['text_projection.weight', placed(name, shape.toReversed(), 'transposed')]];
  const block = OPEN_BLOCK.exec(key);
  const inside = block && OPEN_INSIDE.get(block[2]!);
  const path = inside ? `text_model.encoder.layers.${block[1]}.${inside}.${block[3]}` : OPEN_TOP.get(key);
  return path !== undefined || takesUnknown ? [[path ?? key, placed(name, shape)]] : [];
}

/**
 * Whether a key of a file is of no use to an encoder with this configuration: the projection where none is configured, and
 * the one layer after the last, which models that take the output before it leave out of their configuration.
 */
export const isUnusedText = (config: RawConfig) => (key: string): boolean => {
  const { architectures, num_hidden_layers: layers } = config;
  const isProjected = Array.isArray(architectures) && architectures.includes('CLIPTextModelWithProjection');
  return (!isProjected && key.startsWith('text_projection.')) || key.startsWith(`text_model.encoder.layers.${String(layers)}.`);
};

// The parts of a latent diffusion model inside one file, by the prefixes that programs give them.
import { UserError } from '../base/errors.ts';
import { clipNaming, clipParameters, isUnusedText } from './clip-keys.ts';
import type { RawConfig } from './config.ts';
import { ldmUnetParameters } from './ldm-unet-keys.ts';
import { vaeParameters } from './ldm-vae-keys.ts';
import { placed, takeParameter, typesOf, type Parameters, type TensorTypes } from './tensor-layout.ts';

/** A file of weights by its header, with a way to read some of them. */
export interface Checkpoint {
  readonly path: string;
  readonly tensors: TensorTypes;
  readonly metadata: ReadonlyMap<string, string>;
  readF32(name: string, rows?: { readonly first: number; readonly count: number }): Float32Array;
}

const UNET_PREFIXES = ['model.diffusion_model.', 'model.model.', 'net.', 'model.', 'unet.', ''] as const;
const VAE_PREFIXES = ['first_stage_model.', 'vae.', ''] as const;
const TEXT_PREFIXES = [
  'cond_stage_model.transformer.', 'cond_stage_model.model.', 'conditioner.embedders.0.transformer.', 'conditioner.embedders.0.model.',
  'conditioner.embedders.1.model.', 'conditioner.embedders.1.transformer.', 'text_encoders.clip_l.transformer.',
  'text_encoders.clip_h.transformer.', 'text_encoders.clip_g.transformer.', 'text_encoder.', 'text_encoder_2.', '',
] as const;

export interface FoundParts {
  readonly unet: Parameters | null;
  readonly vae: Parameters | null;
  readonly text: readonly Parameters[];
  /** Tensors of no part. */
  readonly rest: readonly string[];
}

/** Parts by the first of their keys; whether they are complete is for the comparison with the graph. */
export function findParts(tensors: TensorTypes): FoundParts {
  const unet = UNET_PREFIXES.map((prefix) => unetParameters(tensors, prefix)).find((found) => found !== null) ?? null;
  const vaePrefix = VAE_PREFIXES.find((prefix) => ['mid.block_1', 'mid_block.resnets.0'].some((block) => tensors.has(`${prefix}decoder.${block}.norm1.weight`)));
  const vae = vaePrefix === undefined ? null : vaeParameters(tensors, vaePrefix);
  const text = TEXT_PREFIXES.filter((prefix) => clipNaming(tensors, prefix) !== null).map((prefix) => clipParameters(tensors, prefix));
  const used = new Set([unet, vae, ...text].flatMap((part) => (part ? [...part.values()].map(({ tensor }) => tensor) : [])));
  return { unet, vae, text, rest: [...tensors.keys()].filter((name) => !used.has(name)) };
}

function unetParameters(tensors: TensorTypes, prefix: string): Parameters | null {
  if (tensors.has(`${prefix}input_blocks.0.0.weight`)) return ldmUnetParameters(tensors, prefix);
  if (!tensors.has(`${prefix}conv_in.weight`) || !tensors.has(`${prefix}down_blocks.0.resnets.0.norm1.weight`)) return null;
  const own = [...tensors].filter(([name]) => name.startsWith(prefix) && (prefix !== '' || DIFFUSERS.test(name)));
  return new Map(own.map(([name, { shape }]) => [name.slice(prefix.length), placed(name, shape)]));
}

/**
 * Parameters of a part's file in a folder of the diffusers layout. Those of text encoders may lack the first part of their keys,
 * and may be more than the configuration uses.
 */
export function folderParameters(component: string, config: RawConfig, tensors: TensorTypes): Parameters {
  const lacksStart = clipNaming(tensors, '') === 'transformers' && !tensors.has('text_model.embeddings.token_embedding.weight');
  const all = lacksStart ? clipParameters(tensors, '') : new Map([...tensors].map(([key, { shape }]) => [key, placed(key, shape)]));
  if (!component.startsWith('text_encoder')) return all;
  const isUnused = isUnusedText(config);
  return new Map([...all].filter(([key]) => !isUnused(key)));
}

const DIFFUSERS = /^(conv_in|conv_out|conv_norm_out|time_embedding|add_embedding|down_blocks|mid_block|up_blocks)\./;

/** A parameter's values as f32. Keys that are no parameter are read as they are. */
export function readParameter(file: Checkpoint, parameters: Parameters, key: string): Float32Array {
  const place = parameters.get(key) ?? placed(key, []);
  if (place.form === 'rows') return file.readF32(place.tensor, { first: place.firstRow, count: place.shape[0]! });
  return takeParameter(file.readF32(place.tensor), place);
}

/** A part of a file in the keys and shapes of the diffusers layout. */
export const barePart = <File extends Checkpoint>(file: File, parameters: Parameters) => ({
  file, parameters, tensors: typesOf(parameters, file.tensors), values: (key: string) => readParameter(file, parameters, key),
});

/** Left in checkpoints by training programs, or tables that follow from the configuration; nothing needs them. */
const SUPERFLUOUS = new RegExp([
  /^(model_ema|loss|first_stage_model\.loss|embedding_manager|optimizer|lr_scheduler)\./, /(^|\.)(position_ids|logit_scale|logit_bias|attn_mask|text_projection|text_projection\.weight)$/,
  /^(alphas_cumprod|betas|log_one_minus|logvar|lvlb_weights|posterior_|sqrt_|scale_factor|denoiser\.sigmas|v_pred$|ztsnr$|global_step|epoch|state_dict$)/,
].map(({ source }) => source).join('|'));

/** Whether a tensor of no part is known to be of no use. */
export const isSuperfluous = (name: string): boolean => SUPERFLUOUS.test(name);

const SCALES = /(^|\.)(scaled_fp8|scale_weight|scale_input|weight_scale|input_scale|comfy_quant|absmax|quant_map|qweight|qzeros)$|\.quant_state\./;

/** Weights that stand for others would be trained on as if they were those. Error: `model.quantised`. */
export function refuseQuantised({ path, tensors }: Checkpoint): void {
  const marker = [...tensors.keys()].find((name) => SCALES.test(name));
  const small = marker === undefined ? [...tensors].find(([, { dtype, shape }]) => /^(f8|f6|f4)/.test(dtype) && shape.length > 1) : undefined;
  if (marker === undefined && small === undefined) return;
  const tensor = marker ?? small![0];
  const why = marker === undefined ? `stores ${JSON.stringify(tensor.slice(0, 120))} as ${small![1].dtype.toUpperCase()}` : `is quantised (it has the tensor ${JSON.stringify(tensor.slice(0, 120))})`;
  throw new UserError('model.quantised', `"${path}" ${why}; training wants the exact weights: choose the version in F16, BF16 or F32.`, { path, tensor });
}

/** A text of the header under which a file carries the small files of a diffusers folder, as a JSON object of texts. */
export const FOLDER_FILES = 'adora.files';

/** Those small files by `<component>/<name>`; empty for a file without. Error: `model.bad-config`. */
export function folderFiles({ path, metadata }: Pick<Checkpoint, 'path' | 'metadata'>): ReadonlyMap<string, string> {
  const text = metadata.get(FOLDER_FILES);
  if (text === undefined) return new Map();
  const entries = Object.entries(jsonObject(text, `"${FOLDER_FILES}" in the header of "${path}"`));
  return new Map(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

/** The configuration of a part among such files; null when there is none. Error: `model.bad-config`. */
export function folderConfig(texts: ReadonlyMap<string, string>, component: string): Record<string, unknown> | null {
  const text = texts.get(`${component}/${component === 'scheduler' ? 'scheduler_config' : 'config'}.json`);
  return text === undefined ? null : jsonObject(text, `The configuration of "${component}" in the header`);
}

/** Error: `model.bad-config`. @param what the text is, for the message */
export function jsonObject(text: string, what: string): Record<string, unknown> {
  try {
    // Editors of Windows may put a mark of the encoding first.
    const value: unknown = JSON.parse(text.replace(/^\uFEFF/, ''));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Falls through to the one message for both faults.
  }
  throw new UserError('model.bad-config', `${what} is not a JSON object: download the model's configuration again.`, { what });
}

// The families of models that can be trained, by the name that stands in jobs and files.
import { UserError } from '../../base/errors.ts';
import { barePart, findParts, folderConfig, folderFiles, refuseQuantised, type Checkpoint } from '../../nn/checkpoint-parts.ts';
import type { BareModel, ConfiguredModel, Family, Model, ModelChoices, ModelFiles, PublishedModel } from '../define/family.ts';
import { stableDiffusion } from './stable-diffusion.ts';

export const families: Readonly<Record<string, Family>> = {
  'stable-diffusion': stableDiffusion,
};

/** The model that these files hold. Throws UserError when no family knows them, or when they are broken. */
export function detectModel(files: ModelFiles, choices: ModelChoices = {}): Model {
  const found = Object.values(families).flatMap((family) => family.detect(files, choices) ?? []);
  if (found.length === 1) return found[0]!;
  const seen = [...files].map(([folder, { config }]) => `${folder} (${classOf(config)})`).join(', ') || 'no parts';
  if (found.length > 1) {
    throw new UserError('model.ambiguous', `Several families take this model for theirs: ${found.map(({ label }) => label).join('; ')}.`, { seen });
  }
  throw new UserError(
    'model.unknown',
    `No known kind of model: looked for a folder "unet" with a UNet2DConditionModel, "vae" with an AutoencoderKL, ` +
      `"text_encoder" with a CLIPTextModel; found ${seen}. Choose a model folder in the diffusers layout.`,
    { seen },
  );
}

/**
 * Configurations of the parts of a file without configuration, by the family that knows them. Never a guess: throws
 * UserError `model.unsupported` for families that are known and not supported, `model.unknown`, and those of the families.
 * @param names of all tensors; @param where the file, for messages
 */
export function configureModel(bare: BareModel, names: readonly string[], where: string): ConfiguredModel {
  for (const family of Object.values(families)) {
    const found = family.configure(bare);
    if (found) return found;
  }
  const other = knownOther(names);
  if (other !== null) {
    throw new UserError('model.unsupported', `"${where}" holds ${other}${isModel(other) ? ', which is not supported yet' : ' and no base model'}: choose a checkpoint of Stable Diffusion 1.x, 2.x or XL.`, { where, other });
  }
  throw new UserError(
    'model.unknown',
    `"${where}" is no known kind of model: looked for a UNet with the tensors "model.diffusion_model.input_blocks.0.0.weight", ` +
      `"input_blocks.0.0.weight" or "down_blocks.0.resnets.0.norm1.weight"; the first of its ${names.length} tensors are ` +
      `${names.slice(0, 3).map((name) => JSON.stringify(name.slice(0, 80))).join(', ') || 'none'}. Choose a checkpoint of Stable Diffusion 1.x, 2.x or XL.`,
    { where, first: names.slice(0, 3) },
  );
}

/** The published models of all families. */
export const publishedModels = (): readonly PublishedModel[] => Object.values(families).flatMap((family) => family.published());

/** What a file holds by its header, for lists: reads no more than one small tensor, and compares no shapes in detail. */
export interface CheckpointSummary {
  readonly label: string;
  /** Null without a denoiser. */
  readonly prediction: 'epsilon' | 'v_prediction' | null;
  readonly zeroTerminalSnr: boolean;
  /** Components with weights. */
  readonly components: readonly string[];
}

/** Parts by themselves have a summary too. Errors: `model.quantised`, those of `configureModel`. */
export function summariseCheckpoint(file: Checkpoint): CheckpointSummary {
  refuseQuantised(file);
  const { unet, vae, text, rest } = findParts(file.tensors);
  const texts = folderFiles(file);
  if (texts.size > 0) return summariseFolder(texts);
  const part = (parameters: typeof unet) => parameters && barePart(file, parameters);
  const bare: BareModel = { unet: part(unet), vae: part(vae), text: text.map((each) => barePart(file, each)), markers: new Set(rest), metadata: file.metadata };
  const names = [...file.tensors.keys()];
  if (!unet && (vae || text.length > 0) && (knownOther(names) ?? PART).startsWith(PART)) {
    const channels = vae?.get('decoder.conv_in.weight')?.shape[1];
    return { label: vae ? `Autoencoder, ${channels} channels` : 'Text encoder (CLIP)', prediction: null, zeroTerminalSnr: false, components: [...(vae ? ['vae'] : []), ...text.map(() => 'text_encoder')] };
  }
  const { label, parts } = configureModel(bare, names, file.path);
  const { prediction_type: prediction, rescale_betas_zero_snr: zeroTerminalSnr } = parts.get('scheduler')?.config ?? {};
  return {
    label, prediction: prediction === 'v_prediction' ? 'v_prediction' : 'epsilon', zeroTerminalSnr: zeroTerminalSnr === true,
    components: [...parts].flatMap(([name, each]) => (each.part ? [name] : [])),
  };
}

/** A file that says itself what it is. */
function summariseFolder(texts: ReadonlyMap<string, string>): CheckpointSummary {
  const parts = ['unet', 'vae', 'text_encoder', 'text_encoder_2', 'scheduler'].flatMap((name) => {
    const config = folderConfig(texts, name);
    return config ? [[name, { config, tensors: new Map() }] as const] : [];
  });
  const model = detectModel(new Map(parts));
  const { prediction, zeroTerminalSnr } = parts.some(([name]) => name === 'scheduler') ? model.noise : { prediction: null, zeroTerminalSnr: false };
  return { label: model.label.split(',')[0]!, prediction, zeroTerminalSnr, components: parts.map(([name]) => name).filter((name) => name !== 'scheduler') };
}

/** How labels of files with one part of a model begin. */
const PART = 'only ';

/** Tensors that tell other kinds of files, by the end of their names; the first that fits counts. */
const OTHERS: readonly (readonly [end: RegExp, label: string])[] = [
  [/\.(lora_down|lora_up|lora_A|lora_B|hada_w1_a|lokr_w1)(\.|$)/, 'an adapter'],
  [/(^|\.)(control_model\.|controlnet_cond_embedding\.)/, 'a ControlNet'],
  [/joint_blocks\.0\.context_block\.attn\.qkv\.weight$/, 'Stable Diffusion 3'],
  [/double_stream_modulation_img\.(lin|linear)\.weight$/, 'FLUX.2'],
  [/distilled_guidance_layer\./, 'Chroma'],
  [/double_blocks\.0\.img_attn\.norm\.key_norm\.(weight|scale)$/, 'FLUX.1'],
  [/single_transformer_blocks\.0\.attn\.to_q\.weight$/, 'FLUX.1'],
  [/(^|\.)noise_refiner\.0\.attention\./, 'Z-Image or Lumina 2'],
  [/(^|\.)head\.modulation$/, 'Wan'],
  [/condition_embedder\.time_embedder\.linear_1\.weight$/, 'Wan'],
  [/(^|\.)txt_norm\.weight$/, 'Qwen-Image'],
  [/transformer_blocks\.0\.attn\.add_q_proj\.weight$/, 'Stable Diffusion 3'],
  [/adaln_single\.linear\.weight$/, 'PixArt'],
  [/effnet_mapper\.0\.weight$/, 'Stable Cascade'],
  [/(^|\.)(text_model\.)?encoder\.layers\.0\.self_attn\.q_proj\.weight$/, `${PART}a text encoder`],
  [/(^|\.)transformer\.resblocks\.0\.ln_1\.weight$/, `${PART}a text encoder`],
  [/(^|\.)decoder\.conv_in\.weight$/, `${PART}an autoencoder (name it in base.vae)`],
];

const isModel = (other: string): boolean => !other.startsWith(PART) && !/^an? /.test(other);

const knownOther = (names: readonly string[]): string | null =>
  OTHERS.find(([end]) => names.some((name) => end.test(name)))?.[1] ?? null;

function classOf(config: Readonly<Record<string, unknown>>): string {
  const list = config['architectures'];
  const name = config['_class_name'] ?? (Array.isArray(list) ? list[0] : undefined);
  return typeof name === 'string' ? name : 'no class name';
}

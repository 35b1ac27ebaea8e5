// The families of models that can be trained, by the name that stands in jobs and files.
import { UserError } from '../../base/errors.ts';
import { barePart, findParts, folderConfig, folderFiles, folderParameters, jsonObject, refuseQuantised, type Checkpoint } from '../../nn/checkpoint-parts.ts';
import { isUnusedText } from '../../nn/clip-keys.ts';
import type { BareModel, BarePart, Component, ConfiguredModel, Family, Model, ModelChoices, ModelFiles, PublishedModel } from '../define/family.ts';
import { stableDiffusion } from './stable-diffusion.ts';

export const families: Readonly<Record<string, Family>> = {
  'stable-diffusion': stableDiffusion,
};

/** Folders of the diffusers layout whose weights some family computes with. */
export const hasWeights = (component: string): boolean => Object.values(families).some(({ components }) => components.includes(component));

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

/** What files hold by their headers, for lists: reads no more than one small tensor. */
export interface ModelSummary {
  readonly label: string;
  /** Null where nothing says it. */
  readonly prediction: 'epsilon' | 'v_prediction' | null;
  readonly zeroTerminalSnr: boolean;
  /** Components with weights. */
  readonly components: readonly string[];
  /** Components that must come from other files. */
  readonly lacks: readonly string[];
}

/** Parts by themselves have a summary too. Errors: `model.quantised`, those of `configureModel` and `detectModel`. */
export function summariseCheckpoint(file: Checkpoint): ModelSummary {
  refuseQuantised(file);
  const { unet, vae, text, rest } = findParts(file.tensors);
  const part = (parameters: typeof unet) => parameters && barePart(file, parameters);
  const bare: BareModel = { unet: part(unet), vae: part(vae), text: text.map((each) => barePart(file, each)), markers: new Set(rest), metadata: file.metadata };
  const texts = folderFiles(file);
  if (texts.size > 0) return summariseModel(componentsWith(texts, bare));
  const names = [...file.tensors.keys()];
  if (!unet && (vae || text.length > 0) && (knownOther(names) ?? PART).startsWith(PART)) {
    const channels = vae?.get('decoder.conv_in.weight')?.shape[1];
    return { label: vae ? `Autoencoder, ${channels} channels` : 'Text encoder (CLIP)', prediction: null, zeroTerminalSnr: false, lacks: [], components: [...(vae ? ['vae'] : []), ...text.map(() => 'text_encoder')] };
  }
  const { parts } = configureModel(bare, names, file.path);
  return summariseModel(new Map([...parts].map(([name, { config, part: own, isUnused }]) => [name, componentOf(config, own, isUnused)])));
}

/** A part of a model in the diffusers layout. */
export interface FolderPart {
  readonly name: string;
  /** Contents of its configuration, and where they stand. */
  readonly config: string;
  readonly where: string;
  readonly file: Checkpoint | null;
}

/** Errors: `model.bad-config`, `model.quantised`, those of `detectModel`. */
export function summariseFolder(parts: readonly FolderPart[]): ModelSummary {
  return summariseModel(new Map(parts.map(({ name, config, where, file }) => {
    if (file) refuseQuantised(file);
    const known = jsonObject(config, `"${where}"`);
    return [name, componentOf(known, file && barePart(file, folderParameters(name, known, file.tensors)))] as const;
  })));
}

/** Errors: those of `detectModel`. */
function summariseModel(files: ModelFiles): ModelSummary {
  const model = detectModel(files);
  const { prediction, zeroTerminalSnr } = files.has('scheduler') ? model.noise : { prediction: null, zeroTerminalSnr: false };
  return { label: model.label.split(',')[0]!, prediction, zeroTerminalSnr, lacks: model.lacks, components: [...files].flatMap(([name, { tensors }]) => (tensors.size > 0 ? [name] : [])) };
}

/** Parts of a file that says itself what it is. */
function componentsWith(texts: ReadonlyMap<string, string>, { unet, vae, text }: BareModel): ModelFiles {
  const sources: Readonly<Record<string, BarePart | null | undefined>> = { unet, vae, text_encoder: text[0], text_encoder_2: text[1], scheduler: null };
  return new Map(Object.entries(sources).flatMap(([name, part]) => {
    const config = folderConfig(texts, name);
    return config ? [[name, componentOf(config, part ?? null, name.startsWith('text_encoder') ? isUnusedText(config) : undefined)] as const] : [];
  }));
}

const componentOf = (config: Component['config'], part: BarePart | null, isUnused?: (key: string) => boolean): Component =>
  ({ config, tensors: new Map([...(part?.tensors ?? [])].filter(([key]) => !isUnused?.(key))) as Component['tensors'] });

/** How labels of files with one part of a model begin. */
const PART = 'only ';

/** Tensors that tell other kinds of files, by the end of their names; the first that fits counts. */
const OTHERS: readonly (readonly [end: RegExp, label: string])[] = [
  [/\.(lora_down|lora_up|lora_A|lora_B|hada_w1_a|lokr_w1)(\.|$)/, 'an adapter'],
  [/(^|\.)(control_model\.|controlnet_cond_embedding\.)/, 'a ControlNet'],
  [/^(emb_params|clip_l|clip_g|string_to_param\..+)$/, 'an embedding (textual inversion)'],
  [/(^|\.)ip_adapter\.\d+\.to_k_ip\.weight$/, 'an IP-Adapter'],
  [/(^|\.)vision_model\.encoder\.layers\.0\./, 'a vision encoder'],
  [/(^|\.)motion_modules\.0\./, 'a motion module (AnimateDiff)'],
  [/(^|\.)time_stack\./, 'Stable Video Diffusion'],
  [/joint_blocks\.0\.context_block\.attn\.qkv\.weight$/, 'Stable Diffusion 3'],
  [/double_stream_modulation_img\.(lin|linear)\.weight$/, 'FLUX.2'],
  [/distilled_guidance_layer\./, 'Chroma'],
  [/individual_token_refiner\.blocks\.0\./, 'HunyuanVideo'],
  [/double_blocks\.0\.img_attn\.norm\.key_norm\.(weight|scale)$/, 'FLUX.1'],
  [/single_transformer_blocks\.0\.attn\.to_q\.weight$/, 'FLUX.1'],
  [/(^|\.)noise_refiner\.0\.attention\./, 'Z-Image or Lumina 2'],
  [/(^|\.)head\.modulation$/, 'Wan'],
  [/condition_embedder\.time_embedder\.linear_1\.weight$/, 'Wan'],
  [/(^|\.)txt_norm\.weight$/, 'Qwen-Image'],
  [/transformer_blocks\.0\.attn\.add_q_proj\.weight$/, 'Stable Diffusion 3'],
  [/(^|\.)patchify_proj\.weight$/, 'LTX-Video'],
  [/adaln_single\.linear\.weight$/, 'PixArt'],
  [/(^|\.)double_layers\.0\.attn\.w1q\.weight$/, 'AuraFlow'],
  [/effnet_mapper\.0\.weight$/, 'Stable Cascade'],
  [/(^|\.)encoder\.block\.0\.layer\.0\.SelfAttention\.k\.weight$/, `${PART}a text encoder of another kind (T5)`],
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

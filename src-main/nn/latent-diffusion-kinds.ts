// The published kinds of latent diffusion models with a UNet: their configurations, as diffusers' config.json state them, and
// the shapes by which a file without configuration is told to be of one. What shapes do not say (numbers of heads, scale of
// latents, activation of a text encoder) is fixed for each kind.
import type { RawConfig } from './config.ts';
import type { TensorTypes } from './tensor-layout.ts';

/** What tells UNets apart. */
export interface UNetTraits {
  readonly inChannels: number;
  /** Channels of the first level. */
  readonly channels: number;
  /** Channels of the context; 0 without cross-attention. */
  readonly context: number;
  /** Transformer blocks per level on the way down. */
  readonly depths: readonly number[];
  readonly linearProjection: boolean;
  /** Channels of the added embedding (pooled text and sizes); 0 without. */
  readonly added: number;
}

/** Reads the traits of a UNet from keys of the diffusers layout. */
export function unetTraits(tensors: TensorTypes): UNetTraits {
  const shape = (key: string): readonly number[] => tensors.get(key)?.shape ?? [];
  const depths: number[] = [];
  let context = 0;
  let isLinear = false;
  for (let level = 0; tensors.has(`down_blocks.${level}.resnets.0.norm1.weight`); level++) {
    const path = `down_blocks.${level}.attentions.0`;
    let depth = 0;
    while (tensors.has(`${path}.transformer_blocks.${depth}.norm1.weight`)) depth++;
    depths.push(depth);
    if (depth === 0) continue;
    context = shape(`${path}.transformer_blocks.0.attn2.to_k.weight`)[1] ?? 0;
    isLinear = shape(`${path}.proj_in.weight`).length === 2;
  }
  return {
    inChannels: shape('conv_in.weight')[1] ?? 0, channels: shape('conv_in.weight')[0] ?? 0, context, depths,
    linearProjection: isLinear, added: shape('add_embedding.linear_1.weight')[1] ?? 0,
  };
}

/** For messages: "4 channels in, 320 at the first level, context 768, transformer blocks 1, 1, 1, 0". */
export const showTraits = ({ inChannels, channels, context, depths, added }: UNetTraits): string =>
  `${inChannels} channels in, ${channels} at the first level, context ${context}, transformer blocks ${depths.join(', ')}${added > 0 ? `, added embedding ${added}` : ''}`;

export interface Kind {
  readonly label: string;
  readonly traits: Omit<UNetTraits, 'inChannels'>;
  readonly unet: RawConfig;
  readonly vae: RawConfig;
  /** Text encoders in the order of their contexts. */
  readonly text: readonly TextKind[];
}

export interface TextKind {
  readonly label: string;
  /** Channels, by which a file is told to hold it. */
  readonly width: number;
  readonly config: RawConfig;
}

const clip = (width: number, layers: number, settings: RawConfig): RawConfig => ({
  architectures: ['CLIPTextModel'], model_type: 'clip_text_model', vocab_size: 49408, hidden_size: width, intermediate_size: 4 * width,
  num_hidden_layers: layers, num_attention_heads: width / 64, max_position_embeddings: 77, layer_norm_eps: 1e-5,
  bos_token_id: 49406, eos_token_id: 49407, ...settings,
});

const CLIP_L: TextKind = { label: 'CLIP-L', width: 768, config: clip(768, 12, { hidden_act: 'quick_gelu', projection_dim: 768, pad_token_id: 49407 }) };
export const OPEN_CLIP_H_LAYERS = 24;
/** Models use the output of the last layer but one, normalised, so that files may leave the last layer out. */
const OPEN_CLIP_H: TextKind = { label: 'OpenCLIP H', width: 1024, config: clip(1024, OPEN_CLIP_H_LAYERS - 1, { hidden_act: 'gelu', projection_dim: 512, pad_token_id: 0 }) };
const OPEN_CLIP_BIG_G: TextKind = {
  label: 'OpenCLIP bigG', width: 1280,
  config: clip(1280, 32, { architectures: ['CLIPTextModelWithProjection'], hidden_act: 'gelu', projection_dim: 1280, pad_token_id: 0 }),
};

const UNET: RawConfig = {
  _class_name: 'UNet2DConditionModel', act_fn: 'silu', block_out_channels: [320, 640, 1280, 1280], center_input_sample: false,
  down_block_types: ['CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'DownBlock2D'], downsample_padding: 1,
  flip_sin_to_cos: true, freq_shift: 0, in_channels: 4, layers_per_block: 2, mid_block_scale_factor: 1, norm_eps: 1e-5, norm_num_groups: 32,
  out_channels: 4, up_block_types: ['UpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D'],
};
const vaeConfig = (sample: number, scale: number): RawConfig => ({
  _class_name: 'AutoencoderKL', act_fn: 'silu', block_out_channels: [128, 256, 512, 512], down_block_types: new Array(4).fill('DownEncoderBlock2D'),
  in_channels: 3, latent_channels: 4, layers_per_block: 2, norm_num_groups: 32, out_channels: 3, sample_size: sample, scaling_factor: scale,
  up_block_types: new Array(4).fill('UpDecoderBlock2D'),
});

const SD1: Kind = {
  label: 'Stable Diffusion 1.x',
  traits: { channels: 320, context: 768, depths: [1, 1, 1, 0], linearProjection: false, added: 0 },
  unet: { ...UNET, attention_head_dim: 8, cross_attention_dim: 768, sample_size: 64 },
  vae: vaeConfig(512, 0.18215),
  text: [CLIP_L],
};
/** Comes in two versions that predict different things and were trained at different sizes. */
export const SD2: Kind = {
  label: 'Stable Diffusion 2.x',
  traits: { channels: 320, context: 1024, depths: [1, 1, 1, 0], linearProjection: true, added: 0 },
  unet: { ...UNET, attention_head_dim: [5, 10, 20, 20], cross_attention_dim: 1024, sample_size: 64, upcast_attention: true, use_linear_projection: true },
  vae: vaeConfig(768, 0.18215),
  text: [OPEN_CLIP_H],
};
const SDXL: Kind = {
  label: 'Stable Diffusion XL',
  traits: { channels: 320, context: 2048, depths: [0, 2, 10], linearProjection: true, added: 2816 },
  unet: {
    ...UNET, addition_embed_type: 'text_time', addition_time_embed_dim: 256, attention_head_dim: [5, 10, 20], block_out_channels: [320, 640, 1280],
    cross_attention_dim: 2048, down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D'],
    projection_class_embeddings_input_dim: 2816, sample_size: 128, transformer_layers_per_block: [1, 2, 10],
    up_block_types: ['CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'UpBlock2D'], use_linear_projection: true,
  },
  vae: { ...vaeConfig(1024, 0.13025), force_upcast: true },
  text: [CLIP_L, OPEN_CLIP_BIG_G],
};
export const KINDS: readonly Kind[] = [SD1, SD2, SDXL];

/** The kind with these traits, whatever the number of channels that go in. */
export const findKind = (traits: UNetTraits): Kind | undefined =>
  KINDS.find((kind) => Object.entries(kind.traits).every(([key, value]) => String(traits[key as keyof UNetTraits]) === String(value)));

export const textWidth = (tensors: TensorTypes): number => tensors.get('text_model.embeddings.token_embedding.weight')?.shape[1] ?? 0;

/** Noise that all of these kinds were trained on. */
export const schedulerConfig = (prediction: 'epsilon' | 'v_prediction', zeroTerminalSnr: boolean): RawConfig => ({
  _class_name: 'EulerDiscreteScheduler', beta_end: 0.012, beta_schedule: 'scaled_linear', beta_start: 0.00085, num_train_timesteps: 1000,
  prediction_type: prediction, rescale_betas_zero_snr: zeroTerminalSnr, timestep_spacing: 'leading',
});

// Configurations of published models, reduced to the keys that differ from the defaults of the format or decide the kind.
import type { Component, ModelFiles } from '../../src-main/catalog/define/family.ts';

type Config = Readonly<Record<string, unknown>>;

const unet: Config = { _class_name: 'UNet2DConditionModel', sample_size: 64 };
const scheduler: Config = {
  _class_name: 'PNDMScheduler', beta_start: 0.00085, beta_end: 0.012, beta_schedule: 'scaled_linear', num_train_timesteps: 1000,
};
const vae: Config = {
  _class_name: 'AutoencoderKL', block_out_channels: [128, 256, 512, 512], layers_per_block: 2, latent_channels: 4,
  down_block_types: new Array(4).fill('DownEncoderBlock2D'), up_block_types: new Array(4).fill('UpDecoderBlock2D'),
};
const clipLarge: Config = {
  architectures: ['CLIPTextModel'], model_type: 'clip_text_model', hidden_size: 768, intermediate_size: 3072,
  num_hidden_layers: 12, num_attention_heads: 12, hidden_act: 'quick_gelu', projection_dim: 768,
};

export const stableDiffusion15: Readonly<Record<string, Config>> = {
  unet: { ...unet, cross_attention_dim: 768, attention_head_dim: 8 },
  vae,
  text_encoder: clipLarge,
  scheduler,
};

export const stableDiffusion21: Readonly<Record<string, Config>> = {
  unet: { ...unet, cross_attention_dim: 1024, attention_head_dim: [5, 10, 20, 20], use_linear_projection: true, upcast_attention: true },
  vae,
  text_encoder: {
    ...clipLarge, hidden_size: 1024, intermediate_size: 4096, num_hidden_layers: 23, num_attention_heads: 16, hidden_act: 'gelu',
  },
  scheduler: { ...scheduler, _class_name: 'DDIMScheduler', prediction_type: 'v_prediction', rescale_betas_zero_snr: true },
};

export const stableDiffusionXl: Readonly<Record<string, Config>> = {
  unet: {
    ...unet, block_out_channels: [320, 640, 1280], cross_attention_dim: 2048, attention_head_dim: [5, 10, 20],
    down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D'],
    up_block_types: ['CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'UpBlock2D'], transformer_layers_per_block: [1, 2, 10],
    use_linear_projection: true, addition_embed_type: 'text_time', addition_time_embed_dim: 256,
    projection_class_embeddings_input_dim: 2816, mid_block_only_cross_attention: null, num_attention_heads: null,
  },
  vae: { ...vae, scaling_factor: 0.13025 },
  text_encoder: clipLarge,
  text_encoder_2: {
    ...clipLarge, architectures: ['CLIPTextModelWithProjection'], hidden_size: 1280, intermediate_size: 5120,
    num_hidden_layers: 32, num_attention_heads: 20, hidden_act: 'gelu', projection_dim: 1280,
  },
  scheduler: { ...scheduler, _class_name: 'EulerDiscreteScheduler' },
};

export const filesOf = (configs: Readonly<Record<string, Config>>): ModelFiles =>
  new Map(Object.entries(configs).map(([name, config]): [string, Component] => [name, { config, tensors: new Map() }]));

// AutoencoderKL: pictures to latents and back (Rombach et al. 2022, section 3.1).
// B batch, C latent channels, H, W extents of the picture, h, w of the latent
import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { attention, fromTokens, toTokens, type ProjectionNames } from './attention.ts';
import { castTo } from './cast.ts';
import { ConfigReader, type RawConfig } from './config.ts';
import { conv } from './conv.ts';
import { groupNorm } from './norm.ts';
import { downsample, upsample } from './resample.ts';
import { resnetBlock } from './resnet-block.ts';

const EPS = 1e-6;

export interface AutoencoderConfig {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly latentChannels: number;
  /** Channels of each level, from the picture to the latent; each level but the last halves the extents. */
  readonly channels: readonly number[];
  readonly layers: number;
  readonly groups: number;
  readonly midAttention: boolean;
  /** The file names the projections of the attention as the first versions of the format did. */
  readonly oldAttentionNames: boolean;
  readonly quantConv: boolean;
  readonly postQuantConv: boolean;
  /** A denoiser's latent is (raw − shift) · scale. */
  readonly scale: number;
  readonly shift: number;
}

const OLD_NAMES: ProjectionNames = { query: 'query', key: 'key', value: 'value', out: 'proj_attn' };

/**
 * Throws UserError `model.config` for a value that the graphs below would not honour.
 * @param hasKey whether the weight file has this key
 */
export function parseAutoencoderConfig(raw: RawConfig, part = 'vae', hasKey: (key: string) => boolean = () => false): AutoencoderConfig {
  const config = new ConfigReader(part, raw);
  config.only({ act_fn: ['silu', 'swish'], latents_mean: [], latents_std: [] });
  const channels = config.ints('block_out_channels', [64]);
  for (const [key, kind] of [['down_block_types', 'DownEncoderBlock2D'], ['up_block_types', 'UpDecoderBlock2D']] as const) {
    const types = config.choices(key, [kind], [kind]);
    if (types.length !== channels.length) config.fail(key, `a list of ${channels.length}, one for each of block_out_channels`);
  }
  const groups = config.int('norm_num_groups', 32);
  if (channels.some((size) => size % groups !== 0)) config.fail('norm_num_groups', 'a divisor of every one of block_out_channels');
  return {
    inChannels: config.int('in_channels', 3),
    outChannels: config.int('out_channels', 3),
    latentChannels: config.int('latent_channels', 4),
    channels,
    layers: config.int('layers_per_block', 1),
    groups,
    midAttention: config.flag('mid_block_add_attention', true),
    oldAttentionNames: hasKey('decoder.mid_block.attentions.0.proj_attn.weight'),
    quantConv: config.flag('use_quant_conv', true),
    postQuantConv: config.flag('use_post_quant_conv', true),
    scale: config.number('scaling_factor', 0.18215),
    shift: config.has('shift_factor') ? config.number('shift_factor', 0) : 0,
  };
}

/** pixels[B,3,H,W] -> moments[B,2C,h,w]: mean, then logarithm of the variance (not clamped). */
export function encodeMoments(g: Builder, config: AutoencoderConfig, pixels: Value, part = 'vae'): Value {
  const { channels, layers, latentChannels } = config;
  const path = `${part}.encoder`;
  let x = g.region(`${part}.encode.in`, () => conv(g, `${path}.conv_in`, castTo(g, pixels, g.compute), channels[0]!));
  channels.forEach((size, level) => {
    g.region(`${part}.encode.down.${level}`, () => {
      const block = `${path}.down_blocks.${level}`;
      for (let i = 0; i < layers; i++) x = resnet(g, config, `${block}.resnets.${i}`, x, size);
      if (level < channels.length - 1) x = downsample(g, `${block}.downsamplers.0`, x, 0);
    });
  });
  x = g.region(`${part}.encode.mid`, () => middle(g, config, `${path}.mid_block`, x));
  return g.region(`${part}.encode.out`, () => {
    const moments = out(g, config, path, x, 2 * latentChannels);
    return config.quantConv ? conv(g, `${part}.quant_conv`, moments, 2 * latentChannels, { kernel: 1 }) : moments;
  });
}

/** Raw latents[B,C,h,w] -> pixels[B,3,H,W], nominally in [−1,1]. */
export function decodeLatents(g: Builder, config: AutoencoderConfig, latents: Value, part = 'vae'): Value {
  const { channels, layers, latentChannels } = config;
  const path = `${part}.decoder`;
  let x = g.region(`${part}.decode.in`, () => {
    const z = castTo(g, latents, g.compute);
    const unpacked = config.postQuantConv ? conv(g, `${part}.post_quant_conv`, z, latentChannels, { kernel: 1 }) : z;
    return conv(g, `${path}.conv_in`, unpacked, channels.at(-1)!);
  });
  x = g.region(`${part}.decode.mid`, () => middle(g, config, `${path}.mid_block`, x));
  channels.toReversed().forEach((size, level) => {
    g.region(`${part}.decode.up.${level}`, () => {
      const block = `${path}.up_blocks.${level}`;
      for (let i = 0; i <= layers; i++) x = resnet(g, config, `${block}.resnets.${i}`, x, size);
      if (level < channels.length - 1) x = upsample(g, `${block}.upsamplers.0`, x);
    });
  });
  return g.region(`${part}.decode.out`, () => out(g, config, path, x, config.outChannels));
}

const resnet = (g: Builder, { groups }: AutoencoderConfig, path: string, x: Value, channels: number): Value =>
  resnetBlock(g, path, x, null, channels, { groups, eps: EPS, timeScaleShift: 'default', outputScale: 1 });

/** Two resnet blocks with one-headed attention over all positions between. */
function middle(g: Builder, config: AutoencoderConfig, path: string, x: Value): Value {
  const [, channels, height, width] = x.shape as [number, number, number, number];
  let hidden = resnet(g, config, `${path}.resnets.0`, x, channels);
  if (config.midAttention) {
    const block = `${path}.attentions.0`;
    const tokens = toTokens(g, groupNorm(g, `${block}.group_norm`, hidden, config.groups, EPS));
    // One head over all channels: its scores overflow f16 in known autoencoders.
    const names = config.oldAttentionNames ? { names: OLD_NAMES } : {};
    const mixed = attention(g, block, tokens, tokens, { heads: 1, bias: true, upcast: true, ...names });
    hidden = g.add(fromTokens(g, mixed, height, width), hidden);
  }
  return resnet(g, config, `${path}.resnets.1`, hidden, channels);
}

function out(g: Builder, { groups }: AutoencoderConfig, path: string, x: Value, channels: number): Value {
  return conv(g, `${path}.conv_out`, g.silu(groupNorm(g, `${path}.conv_norm_out`, x, groups, EPS)), channels);
}

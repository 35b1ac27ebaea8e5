// Configuration of a UNet2DConditionModel as diffusers writes it.
import { ConfigReader, type RawConfig } from './config.ts';

/** One resolution of the UNet, on its way down and up. Level 0 has the resolution of the latent. */
export interface UNetLevel {
  readonly channels: number;
  /** Resnet blocks on the way down; on the way up there is one more. */
  readonly layers: number;
  readonly heads: number;
  /** Transformer blocks after each resnet block; null when the level has no attention. */
  readonly downDepths: readonly number[] | null;
  readonly upDepths: readonly number[] | null;
}

export interface UNetConfig {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly convInKernel: number;
  readonly convOutKernel: number;
  readonly levels: readonly UNetLevel[];
  readonly midHeads: number;
  readonly midDepth: number;
  readonly midScale: number;
  readonly groups: number;
  readonly eps: number;
  /** Channels of the context. */
  readonly contextSize: number;
  readonly linearProjection: boolean;
  readonly upcastAttention: boolean;
  readonly timeScaleShift: 'default' | 'scale_shift';
  readonly flipSinToCos: boolean;
  readonly freqShift: number;
  /** Channels of the time embedding. */
  readonly timeSize: number;
  /** Pooled text and sizes of the picture, embedded and added to the time; null without. */
  readonly textTime: { readonly timeIdSize: number; readonly inputSize: number } | null;
}

const DOWN = ['CrossAttnDownBlock2D', 'DownBlock2D'] as const;
const UP = ['CrossAttnUpBlock2D', 'UpBlock2D'] as const;

/** Throws UserError `model.config` for a value that the graph below would not honour. */
export function parseUNetConfig(raw: RawConfig, part = 'unet'): UNetConfig {
  const config = new ConfigReader(part, raw);
  config.only({
    act_fn: ['silu', 'swish'], addition_embed_type: ['text_time'], attention_type: ['default'], center_input_sample: [false],
    class_embed_type: [], class_embeddings_concat: [false], cross_attention_norm: [], downsample_padding: [1], dropout: [0],
    dual_cross_attention: [false], encoder_hid_dim: [], encoder_hid_dim_type: [], mid_block_only_cross_attention: [false],
    mid_block_type: ['UNetMidBlock2DCrossAttn'], num_class_embeds: [], only_cross_attention: [false],
    resnet_out_scale_factor: [1], resnet_skip_time_act: [false], time_cond_proj_dim: [], time_embedding_act_fn: [],
    time_embedding_type: ['positional'], timestep_post_act: [],
  });
  if (raw['mid_block_type'] === null) config.fail('mid_block_type', '"UNetMidBlock2DCrossAttn"');
  const channels = config.ints('block_out_channels', [320, 640, 1280, 1280]);
  const count = channels.length;
  const down = config.choices('down_block_types', DOWN, [DOWN[0], DOWN[0], DOWN[0], DOWN[1]]);
  const up = config.choices('up_block_types', UP, [UP[1], UP[0], UP[0], UP[0]]);
  if (down.length !== count) config.fail('down_block_types', `a list of ${count}, one for each of block_out_channels`);
  if (up.length !== count) config.fail('up_block_types', `a list of ${count}, one for each of block_out_channels`);

  const layers = config.perLevel('layers_per_block', count, 2);
  // What the format calls attention_head_dim is the number of heads: a misnomer of its first version that stayed.
  const headsKey = config.has('num_attention_heads') ? 'num_attention_heads' : 'attention_head_dim';
  const heads = config.perLevel(headsKey, count, 8);
  const groups = config.int('norm_num_groups', 32);
  channels.forEach((size, i) => {
    if (size % groups !== 0) config.fail('norm_num_groups', `a divisor of every one of block_out_channels, ${channels.join(', ')}`);
    if (size % heads[i]! !== 0) config.fail(headsKey, `a divisor of block_out_channels, ${channels.join(', ')}`);
  });
  const depths = readDepths(config, layers);
  const contexts = config.perLevel('cross_attention_dim', count, 1280);
  if (contexts.some((size) => size !== contexts[0])) config.fail('cross_attention_dim', 'the same at every level');

  return {
    inChannels: config.int('in_channels', 4),
    outChannels: config.int('out_channels', 4),
    convInKernel: oddKernel(config, 'conv_in_kernel'),
    convOutKernel: oddKernel(config, 'conv_out_kernel'),
    levels: channels.map((size, i) => ({
      channels: size,
      layers: layers[i]!,
      heads: heads[i]!,
      downDepths: down[i] === DOWN[0] ? depths.down[i]! : null,
      upDepths: up[count - 1 - i] === UP[0] ? depths.up[i]! : null,
    })),
    midHeads: heads.at(-1)!,
    midDepth: depths.mid,
    midScale: config.number('mid_block_scale_factor', 1),
    groups,
    eps: config.number('norm_eps', 1e-5),
    contextSize: contexts[0]!,
    linearProjection: config.flag('use_linear_projection', false),
    upcastAttention: config.flag('upcast_attention', false),
    timeScaleShift: config.choice('resnet_time_scale_shift', ['default', 'scale_shift'], 'default'),
    flipSinToCos: config.flag('flip_sin_to_cos', true),
    freqShift: config.number('freq_shift', 0),
    timeSize: config.has('time_embedding_dim') ? config.int('time_embedding_dim', 0) : 4 * channels[0]!,
    textTime: config.has('addition_embed_type')
      ? { timeIdSize: config.int('addition_time_embed_dim', 0), inputSize: config.int('projection_class_embeddings_input_dim', 0) }
      : null,
  };
}

/**
 * Transformer blocks after each resnet block. `transformer_layers_per_block` is a number, one per level, or a list for
 * each level's resnet blocks; then the way up needs lists of its own, in its own order.
 */
function readDepths(config: ConfigReader, layers: readonly number[]): { down: number[][]; up: number[][]; mid: number } {
  const key = 'transformer_layers_per_block';
  const reverseKey = 'reverse_transformer_layers_per_block';
  const count = layers.length;
  const nested = (from: string, list: unknown, lengths: readonly number[]): number[][] => {
    const levels = Array.isArray(list) ? (list as unknown[]) : new Array<unknown>(count).fill(list);
    if (levels.length !== count) config.fail(from, `a list of ${count}, one for each level`);
    return levels.map((entry, i) => {
      const row = Array.isArray(entry) ? (entry as unknown[]) : new Array<unknown>(lengths[i]!).fill(entry);
      const ok = row.length === lengths[i] && row.every((depth) => Number.isInteger(depth) && (depth as number) >= 1);
      return ok ? (row as number[]) : config.fail(from, 'a whole number, a list of them, or a list of lists that fit the layers');
    });
  };
  const list = config.value(key, 1);
  const down = nested(key, list, layers);
  const upLayers = layers.map((n) => n + 1);
  const isNested = Array.isArray(list) && list.some(Array.isArray);
  if (isNested && !config.has(reverseKey)) config.fail(key, `without inner lists unless ${reverseKey} is given too`);
  const up = config.has(reverseKey)
    ? nested(reverseKey, config.value(reverseKey, null), upLayers.toReversed()).toReversed()
    : nested(key, list, upLayers);
  return { down, up, mid: down.at(-1)![0]! };
}

function oddKernel(config: ConfigReader, key: string): number {
  const kernel = config.int(key, 3);
  return kernel % 2 === 1 ? kernel : config.fail(key, 'odd');
}

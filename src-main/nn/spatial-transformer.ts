// The transformer of a UNet: pixels attend to each other and to the context.
// B batch, T pixels, S context tokens, C channels, D channels of the context
import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { attention, fromTokens, toTokens } from './attention.ts';
import { conv } from './conv.ts';
import { linear } from './linear.ts';
import { groupNorm, layerNorm } from './norm.ts';
import { splitOutputs } from './split-outputs.ts';

const GROUP_NORM_EPS = 1e-6;
const LAYER_NORM_EPS = 1e-5;
const WIDENING = 4;

export interface SpatialTransformerOptions {
  readonly heads: number;
  /** Number of transformer blocks. */
  readonly depth: number;
  readonly groups: number;
  /** Projections in and out are linear layers instead of 1x1 convolutions. */
  readonly linearProjection: boolean;
  readonly upcastAttention: boolean;
}

/** x[B,C,H,W], context_BSD -> [B,C,H,W], with a residual connection around all of it. */
export function spatialTransformer(
  g: Builder, path: string, x: Value, context_BSD: Value, options: SpatialTransformerOptions,
): Value {
  const [, channels, height, width] = x.shape as [number, number, number, number];
  const normal = groupNorm(g, `${path}.norm`, x, options.groups, GROUP_NORM_EPS);
  let tokens_BTC = options.linearProjection
    ? linear(g, `${path}.proj_in`, toTokens(g, normal), channels)
    : toTokens(g, conv(g, `${path}.proj_in`, normal, channels, { kernel: 1 }));
  for (let i = 0; i < options.depth; i++) {
    tokens_BTC = transformerBlock(g, `${path}.transformer_blocks.${i}`, tokens_BTC, context_BSD, options);
  }
  const out = options.linearProjection
    ? fromTokens(g, linear(g, `${path}.proj_out`, tokens_BTC, channels), height, width)
    : conv(g, `${path}.proj_out`, fromTokens(g, tokens_BTC, height, width), channels, { kernel: 1 });
  return g.add(out, x);
}

function transformerBlock(
  g: Builder, path: string, x_BTC: Value, context_BSD: Value, options: SpatialTransformerOptions,
): Value {
  const heads = { heads: options.heads, bias: false, upcast: options.upcastAttention };
  const normal = (name: string, x: Value): Value => layerNorm(g, `${path}.${name}`, x, LAYER_NORM_EPS);
  const self_BTC = normal('norm1', x_BTC);
  const y_BTC = g.add(attention(g, `${path}.attn1`, self_BTC, self_BTC, heads), x_BTC);
  const z_BTC = g.add(attention(g, `${path}.attn2`, normal('norm2', y_BTC), context_BSD, heads), y_BTC);
  return g.add(gatedFeedForward(g, `${path}.ff`, normal('norm3', z_BTC)), z_BTC);
}

/** Feed-forward with a GELU gate (Shazeer 2020, "GEGLU"): the second half of the channels gates the first. */
function gatedFeedForward(g: Builder, path: string, x_BTC: Value): Value {
  const channels = x_BTC.shape[2]!;
  const both = linear(g, `${path}.net.0.proj`, x_BTC, 2 * WIDENING * channels);
  const [hidden, gate] = splitOutputs(g, both, 2) as [Value, Value];
  return linear(g, `${path}.net.2`, g.geglu(hidden, gate), channels);
}

// The text encoder of CLIP (Radford et al. 2021, section 2.4), keys as in transformers' CLIPTextModel.
// B batch, T tokens, D channels, P channels of the projection
import type { DType } from '../base/dtype.ts';
import { assert } from '../base/errors.ts';
import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { ConfigReader, type RawConfig } from './config.ts';
import { linear } from './linear.ts';
import { causalAttention } from './masked-attention.ts';
import { layerNorm } from './norm.ts';

export interface ClipTextConfig {
  readonly vocabulary: number;
  readonly width: number;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly positions: number;
  readonly activation: 'quick_gelu' | 'gelu';
  readonly eps: number;
  /** Channels of the projection of the pooled state; null without one. */
  readonly projection: number | null;
}

export interface ClipTextStates {
  /** [B,T,D] after the last layer and the final norm. */
  readonly last: Value;
  /** [B,T,D] after the last layer but one, not normalised. */
  readonly penultimate: Value;
  /** [B,D]: `last` at the end token. */
  readonly pooled: Value;
  /** [B,P]: `pooled`, projected; null without a projection. */
  readonly projected: Value | null;
  /** [B,T,D] after a layer counted from the end (1 is the last), with the final norm or without. */
  readonly outputOf: (fromEnd: number, isNormalised: boolean) => Value;
}

/** Throws UserError `model.config` for a value that the graph below would not honour. */
export function parseClipTextConfig(raw: RawConfig, part = 'text_encoder'): ClipTextConfig {
  const config = new ConfigReader(part, raw);
  config.only({ model_type: ['clip_text_model', 'clip'], attention_dropout: [0], dropout: [0] });
  const isProjected = (config.value('architectures', []) as unknown[]).includes('CLIPTextModelWithProjection');
  const width = config.int('hidden_size', 512);
  const heads = config.int('num_attention_heads', 8);
  if (width % heads !== 0) config.fail('num_attention_heads', `a divisor of hidden_size, ${width}`);
  return {
    vocabulary: config.int('vocab_size', 49408),
    width,
    hidden: config.int('intermediate_size', 2048),
    layers: config.int('num_hidden_layers', 12),
    heads,
    positions: config.int('max_position_embeddings', 77),
    activation: config.choice('hidden_act', ['quick_gelu', 'gelu'], 'quick_gelu'),
    eps: config.number('layer_norm_eps', 1e-5),
    projection: isProjected ? config.int('projection_dim', 512) : null,
  };
}

/** @param ids [B,T] i64, T at most `positions`; @param end [B] i64, position of the end token in its row */
export function clipText(g: Builder, config: ClipTextConfig, ids: Value, end: Value, part = 'text_encoder'): ClipTextStates {
  const { width, layers, positions, eps } = config;
  const [batch, tokens] = ids.shape as [number, number];
  assert(tokens <= positions, `${tokens} tokens for ${positions} positions`);
  const path = `${part}.text_model`;
  let x = g.region(`${part}.in`, () => {
    const words = g.param(`${path}.embeddings.token_embedding.weight`, [config.vocabulary, width]);
    const places = g.param(`${path}.embeddings.position_embedding.weight`, [positions, width]);
    return g.add(g.gather(words, ids), g.slice(places, { starts: [0, 0], sizes: [tokens, width] }));
  });
  const states = [x];
  for (let i = 0; i < layers; i++) {
    x = g.region(`${part}.layer.${i}`, () => encoderLayer(g, config, `${path}.encoder.layers.${i}`, x));
    states.push(x);
  }
  const normalise = (state: Value): Value => g.region(`${part}.out`, () => layerNorm(g, `${path}.final_layer_norm`, state, eps));
  const last = normalise(x);
  const outputOf = (fromEnd: number, isNormalised: boolean): Value => {
    const state = states[layers + 1 - fromEnd];
    assert(state && fromEnd > 0, `layer ${fromEnd} from the end of ${layers}`);
    if (!isNormalised) return state;
    return fromEnd === 1 ? last : normalise(state);
  };
  return g.region(`${part}.out`, () => {
    // The row of the end token by a product with its one-hot row: indices of i64 can be looked up on every device, but
    // not computed with.
    const one = g.reshape(g.gather(identity(g, tokens, last.dtype), end), { shape: [batch, 1, tokens] });
    const pooled = g.reshape(g.matmul(one, last, {}), { shape: [batch, width] });
    const projected = config.projection === null ? null : linear(g, `${part}.text_projection`, pooled, config.projection, false);
    return { last, penultimate: states[layers - 1]!, pooled, projected, outputOf };
  });
}

const identity = (g: Builder, size: number, dtype: DType): Value =>
  g.constant(Array.from({ length: size * size }, (_, i) => Number(i % (size + 1) === 0)), [size, size], dtype);

function encoderLayer(g: Builder, config: ClipTextConfig, path: string, x: Value): Value {
  const { width, heads, hidden, activation, eps } = config;
  const normal = layerNorm(g, `${path}.layer_norm1`, x, eps);
  const project = (name: string, from: Value): Value => linear(g, `${path}.self_attn.${name}_proj`, from, width);
  const mixed = causalAttention(g, project('q', normal), project('k', normal), project('v', normal), heads);
  const y = g.add(project('out', mixed), x);
  const wide = linear(g, `${path}.mlp.fc1`, layerNorm(g, `${path}.layer_norm2`, y, eps), hidden);
  const active = activation === 'gelu' ? g.gelu(wide) : g.quickGelu(wide);
  return g.add(linear(g, `${path}.mlp.fc2`, active, width), y);
}

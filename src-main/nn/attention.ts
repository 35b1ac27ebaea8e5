// Attention with its projections. B batch, T query tokens, S key tokens, C channels, D channels of the context
import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { castTo } from './cast.ts';
import { linear } from './linear.ts';

export interface AttentionOptions {
  readonly heads: number;
  /** Whether the projections of query, key and value have a bias. */
  readonly bias: boolean;
  /** Scores in f32 even if activations are f16: for models whose scores overflow it. */
  readonly upcast: boolean;
  /** Names of the projections; those of the docstring below when absent. */
  readonly names?: ProjectionNames;
}

export interface ProjectionNames {
  readonly query: string;
  readonly key: string;
  readonly value: string;
  readonly out: string;
}

const NAMES: ProjectionNames = { query: 'to_q', key: 'to_k', value: 'to_v', out: 'to_out.0' };

/** x_BTC attends to source_BSD; parameters `<path>.to_q`, `.to_k`, `.to_v`, `.to_out.0`. -> [B,T,C] */
export function attention(g: Builder, path: string, x_BTC: Value, source_BSD: Value, options: AttentionOptions): Value {
  const { heads, bias, upcast, names = NAMES } = options;
  const channels = x_BTC.shape[2]!;
  const ready = (value: Value): Value => (upcast ? castTo(g, value, 'f32') : value);
  const q_BTC = ready(linear(g, `${path}.${names.query}`, x_BTC, channels, bias));
  const k_BSC = ready(linear(g, `${path}.${names.key}`, source_BSD, channels, bias));
  const v_BSC = ready(linear(g, `${path}.${names.value}`, source_BSD, channels, bias));
  const mixed_BTC = g.attention(q_BTC, k_BSC, v_BSC, { heads });
  return linear(g, `${path}.${names.out}`, castTo(g, mixed_BTC, g.compute), channels);
}

/** x[N,C,H,W] -> [N,H·W,C] */
export function toTokens(g: Builder, x: Value): Value {
  const [batch, channels, height, width] = x.shape as [number, number, number, number];
  return g.reshape(g.transpose(x, { perm: [0, 2, 3, 1] }), { shape: [batch, height * width, channels] });
}

/** x[N,H·W,C] -> [N,C,H,W] */
export function fromTokens(g: Builder, x: Value, height: number, width: number): Value {
  const [batch, , channels] = x.shape as [number, number, number];
  return g.transpose(g.reshape(x, { shape: [batch, height, width, channels] }), { perm: [0, 3, 1, 2] });
}

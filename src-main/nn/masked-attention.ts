// B batch, T tokens, H heads, D channels of a head
import { assert } from '../base/errors.ts';
import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { castTo } from './cast.ts';

/** Added to the score of a token that must not be seen: e to this power is 0 in f32 after any softmax. */
const HIDDEN = -1e9;

/**
 * Attention in which a token sees itself and those before it. q, k, v [B,T,H·D] -> [B,T,H·D]; scores are scaled by 1/√D
 * and computed in f32.
 */
export function causalAttention(g: Builder, q: Value, k: Value, v: Value, heads: number): Value {
  const [batch, tokens, width] = q.shape as [number, number, number];
  assert(width % heads === 0, `${width} channels do not make ${heads} heads`);
  const split = (x: Value): Value =>
    g.transpose(g.reshape(x, { shape: [batch, tokens, heads, width / heads] }), { perm: [0, 2, 1, 3] });
  const q_BHTD = g.mul(split(q), 1 / Math.sqrt(width / heads));
  const scores_BHTT = castTo(g, g.matmul(q_BHTD, split(k), { transB: true }), 'f32');
  const weights_BHTT = g.softmax(g.add(scores_BHTT, causalMask(g, tokens)));
  const mixed_BHTD = g.matmul(castTo(g, weights_BHTT, v.dtype), split(v), {});
  return g.reshape(g.transpose(mixed_BHTD, { perm: [0, 2, 1, 3] }), { shape: [batch, tokens, width] });
}

/** [T,T] with 0 where the column is not after the row. */
function causalMask(g: Builder, tokens: number): Value {
  const mask = Array.from({ length: tokens * tokens }, (_, i) => (i % tokens > Math.floor(i / tokens) ? HIDDEN : 0));
  return g.constant(mask, [tokens, tokens]);
}

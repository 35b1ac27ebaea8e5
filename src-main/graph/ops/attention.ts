import type { Builder } from '../builder.ts';
import type { Composite, Value } from '../types.ts';

// B batch, T query tokens, S key tokens, H heads, D channels of a head

/** Scaled dot-product attention on q[B,T,H·D], k[B,S,H·D], v[B,S,H·D] -> [B,T,H·D], scale 1/√D, no mask. */
export const attention: Composite<{ readonly heads: number }, 3> = {
  kind: 'composite',
  arity: 3,
  tolerance: 1e-4,
  body: (g, [q, k, v], { heads }) => {
    const q_BHTD = scaled(g, split(g, q!, heads));
    const scores_BHTS = g.matmul(q_BHTD, split(g, k!, heads), { transB: true });
    return join(g, g.matmul(g.softmax(scores_BHTS), split(g, v!, heads), {}));
  },
  // The probabilities (the only large tensor) are recomputed, so that just q, k, v and the output are kept.
  grad: (g, { dy, inputs: [q, k, v], output, attrs: { heads }, wants }) => {
    const q_BHTD = scaled(g, split(g, q!, heads));
    const k_BHSD = split(g, k!, heads);
    const dy_BHTD = split(g, dy, heads);
    const p_BHTS = g.softmax(g.matmul(q_BHTD, k_BHSD, { transB: true }));
    const dv = wants(2) ? join(g, g.matmul(p_BHTS, dy_BHTD, { transA: true })) : null;
    if (!wants(0) && !wants(1)) return [null, null, dv];
    const dp_BHTS = g.matmul(dy_BHTD, split(g, v!, heads), { transB: true });
    // Σ_s p·dp equals Σ_d dy·y: a sum over D instead of S.
    const inner = g.reduceSum(g.mul(dy_BHTD, split(g, output, heads)), { axes: [3], keep: true });
    const ds_BHTS = g.mul(p_BHTS, g.sub(dp_BHTS, inner));
    return [
      wants(0) ? join(g, scaled(g, g.matmul(ds_BHTS, k_BHSD, {}))) : null,
      wants(1) ? join(g, g.matmul(ds_BHTS, q_BHTD, { transA: true })) : null,
      dv,
    ];
  },
  onnx: (e, names, { attrs }) => e.node('MultiHeadAttention', names, { num_heads: attrs.heads }, 'com.microsoft'),
  cases: [
    { inputs: [{ shape: [2, 3, 8] }, { shape: [2, 5, 8] }, { shape: [2, 5, 8] }], attrs: { heads: 2 } },
    { inputs: [{ shape: [1, 4, 6] }, { shape: [1, 4, 6] }, { shape: [1, 4, 6] }], attrs: { heads: 1 } },
  ],
};

/** [B,T,H·D] -> [B,H,T,D] */
function split(g: Builder, x: Value, heads: number): Value {
  const [batch, tokens, width] = x.shape as [number, number, number];
  return g.transpose(g.reshape(x, { shape: [batch, tokens, heads, width / heads] }), { perm: [0, 2, 1, 3] });
}

/** [B,H,T,D] -> [B,T,H·D] */
function join(g: Builder, x: Value): Value {
  const [batch, heads, tokens, width] = x.shape as [number, number, number, number];
  return g.reshape(g.transpose(x, { perm: [0, 2, 1, 3] }), { shape: [batch, tokens, heads * width] });
}

const scaled = (g: Builder, x_BHTD: Value): Value => g.mul(x_BHTD, 1 / Math.sqrt(x_BHTD.shape[3]!));

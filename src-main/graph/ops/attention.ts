import type { Builder } from '../builder.ts';
import type { Composite, Value } from '../types.ts';

// B batch, T query tokens, S key tokens, H heads, D channels of a head, N = B·H

/** Scaled dot-product attention on q[B,T,H·D], k[B,S,H·D], v[B,S,H·D] -> [B,T,H·D], scale 1/√D, no mask. */
export const attention: Composite<{ readonly heads: number }, 3> = {
  kind: 'composite',
  arity: 3,
  tolerance: 1e-4,
  body: (g, [q, k, v], { heads }) => {
    const scores_NTS = g.matmul(scaled(g, split(g, q!, heads)), split(g, k!, heads), { transB: true });
    return join(g, g.matmul(g.softmax(scores_NTS), split(g, v!, heads), {}), heads);
  },
  // The probabilities (the only large tensor) are recomputed, so that just q, k, v and the output are kept. They are
  // made in pieces small enough to stay in caches; pieces of the queries add up in the gradients of k and v.
  grad: (g, { dy, inputs: [q, k, v], output, attrs: { heads }, wants }) => {
    const q_NTD = scaled(g, split(g, q!, heads));
    const k_NSD = split(g, k!, heads);
    const v_NSD = split(g, v!, heads);
    const dy_NTD = split(g, dy, heads);
    // Σ_s p·dp equals Σ_d dy·y: a sum over D instead of S. As a further channel of dy (with ones in v) it is
    // subtracted within the product that makes dp.
    const inner_NT1 = g.neg(g.reduceSum(g.mul(dy_NTD, split(g, output, heads)), { axes: [2], keep: true }));
    const dyWide = g.concat([dy_NTD, inner_NT1], { axis: 2 });
    const vWide = g.concat([v_NSD, g.expand(g.scalar(1, v!.dtype), { shape: [...v_NSD.shape.slice(0, 2), 1] })], { axis: 2 });
    const [queries, keys] = [q_NTD.shape[1]!, k_NSD.shape[1]!];
    // The gradients of a piece stand side by side, so that an executor which works backwards from the results finishes
    // a piece before it starts the next, and the scores of only one piece exist.
    const parts = pieces(q_NTD.shape[0]!, queries, keys, g.largestScores).map((piece) => pieceGradients(g, piece, { q_NTD, k_NSD, dy_NTD, dyWide, vWide }, wants));
    const together = parts.length === 1 ? parts[0]! : g.concat(parts, { axis: 0 });
    let row = 0;
    return [queries, keys, keys].map((rows, i) => {
      if (!wants(i)) return null;
      const own = g.slice(together, { starts: [0, row, 0], sizes: [together.shape[0]!, rows, together.shape[2]!] });
      row += rows;
      return join(g, i === 0 ? scaled(g, own) : own, heads);
    });
  },
  // The WebGPU provider of onnxruntime-node 1.30 gives wrong numbers for 32 queries and more (the third case below).
  onnx: (e, names, { attrs }) => (e.device === 'cpu' ? e.node('MultiHeadAttention', names, { num_heads: attrs.heads }, 'com.microsoft') : null),
  cases: [
    { inputs: [{ shape: [2, 3, 8] }, { shape: [2, 5, 8] }, { shape: [2, 5, 8] }], attrs: { heads: 2 } },
    { inputs: [{ shape: [1, 4, 6] }, { shape: [1, 4, 6] }, { shape: [1, 4, 6] }], attrs: { heads: 1 } },
    { inputs: [{ shape: [2, 40, 8] }, { shape: [2, 6, 8] }, { shape: [2, 6, 8] }], attrs: { heads: 2 } },
  ],
};

interface Piece {
  /** First batch entry and head (of N), and how many. */
  readonly from: number;
  readonly count: number;
  /** Ranges [start, end) of queries. */
  readonly rows: readonly (readonly [number, number])[];
}

/** Pieces whose scores have at most `limit` elements each (but at least one row). */
export function pieces(entries: number, queries: number, keys: number, limit: number): Piece[] {
  const together = Math.max(1, Math.min(entries, Math.floor(limit / (queries * keys))));
  const rowCount = Math.max(1, Math.min(queries, Math.floor(limit / keys)));
  const rows = Array.from({ length: Math.ceil(queries / rowCount) }, (_, i) => [i * rowCount, Math.min(queries, (i + 1) * rowCount)] as const);
  return Array.from({ length: Math.ceil(entries / together) }, (_, i) => ({ from: i * together, count: Math.min(together, entries - i * together), rows }));
}

function cut(g: Builder, x: Value, from: number, count: number, [start, end]: readonly [number, number]): Value {
  if (count === x.shape[0] && end - start === x.shape[1]) return x;
  return g.slice(x, { starts: [from, start, 0], sizes: [count, end - start, x.shape[2]!] });
}

interface Operands {
  readonly q_NTD: Value;
  readonly k_NSD: Value;
  readonly dy_NTD: Value;
  readonly dyWide: Value;
  readonly vWide: Value;
}

/** Those of dq, dk, dv that are wanted, below each other: [count, T + S + S, D]. */
function pieceGradients(g: Builder, { from, count, rows }: Piece, operands: Operands, wants: (i: number) => boolean): Value {
  const { q_NTD, k_NSD, dy_NTD, dyWide, vWide } = operands;
  const all = [0, k_NSD.shape[1]!] as const;
  const keys = cut(g, k_NSD, from, count, all);
  const values = cut(g, vWide, from, count, all);
  const [dq, dk, dv]: Value[][] = [[], [], []];
  for (const range of rows) {
    const queries = cut(g, q_NTD, from, count, range);
    const p = g.softmax(g.matmul(queries, keys, { transB: true }));
    if (wants(2)) dv!.push(g.matmul(p, cut(g, dy_NTD, from, count, range), { transA: true }));
    if (!wants(0) && !wants(1)) continue;
    const ds = g.mul(p, g.matmul(cut(g, dyWide, from, count, range), values, { transB: true }));
    if (wants(0)) dq!.push(g.matmul(ds, keys, {}));
    if (wants(1)) dk!.push(g.matmul(ds, queries, { transA: true }));
  }
  const sum = (parts: readonly Value[]): Value[] => (parts.length === 0 ? [] : [parts.reduce((a, b) => g.add(a, b))]);
  const columns = [...dq!, ...sum(dk!), ...sum(dv!)];
  return columns.length === 1 ? columns[0]! : g.concat(columns, { axis: 1 });
}

/** [B,T,H·D] -> [N,T,D] */
function split(g: Builder, x: Value, heads: number): Value {
  const [batch, tokens, width] = x.shape as [number, number, number];
  const x_BHTD = g.transpose(g.reshape(x, { shape: [batch, tokens, heads, width / heads] }), { perm: [0, 2, 1, 3] });
  return g.reshape(x_BHTD, { shape: [batch * heads, tokens, width / heads] });
}

/** [N,T,D] -> [B,T,H·D] */
function join(g: Builder, x: Value, heads: number): Value {
  const [entries, tokens, width] = x.shape as [number, number, number];
  const x_BHTD = g.reshape(x, { shape: [entries / heads, heads, tokens, width] });
  return g.reshape(g.transpose(x_BHTD, { perm: [0, 2, 1, 3] }), { shape: [entries / heads, tokens, heads * width] });
}

const scaled = (g: Builder, x_NTD: Value): Value => g.mul(x_NTD, 1 / Math.sqrt(x_NTD.shape[2]!));

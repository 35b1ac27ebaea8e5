// Norms of low-rank products without forming them: ‖B·A‖² = ⟨BᵀB, AAᵀ⟩ (Frobenius). Sums in f64.
// r rank, O rows of B, I columns of A (kernel positions included)

export interface LowRankPair {
  /** [r,I] */
  readonly down: Float32Array;
  /** [O,r] */
  readonly up: Float32Array;
  readonly rank: number;
}

export function productNorm(pair: LowRankPair): number {
  return Math.sqrt(Math.max(0, inner(pair, pair)));
}

/** ‖B·A − B₀·A₀‖ / ‖B₀·A₀‖; 0 when both products are zero. */
export function productError(pair: LowRankPair, exact: LowRankPair): number {
  const size = inner(exact, exact);
  const difference = inner(pair, pair) - 2 * inner(pair, exact) + size;
  if (size === 0) return difference > 0 ? Infinity : 0;
  return Math.sqrt(Math.max(0, difference) / size);
}

/** ⟨B·A, D·C⟩ = Σ (BᵀD) ⊙ (A Cᵀ). */
function inner(first: LowRankPair, second: LowRankPair): number {
  const inputs = first.down.length / first.rank;
  const outputs = first.up.length / first.rank;
  let total = 0;
  for (let i = 0; i < first.rank; i++) {
    for (let j = 0; j < second.rank; j++) {
      let downs = 0;
      for (let k = 0; k < inputs; k++) downs += first.down[i * inputs + k]! * second.down[j * inputs + k]!;
      let ups = 0;
      for (let k = 0; k < outputs; k++) ups += first.up[k * first.rank + i]! * second.up[k * second.rank + j]!;
      total += downs * ups;
    }
  }
  return total;
}

/**
 * A counter-based generator for drawing: number `n` of a stream is a hash of (key, n), so a picture never depends on
 * the ones drawn before it. It only shapes pictures; training uses the engine's own streams.
 */
export interface Random {
  /** The next number in [0, 1). */
  unit(): number;
  /** The next number in [low, high). */
  between(low: number, high: number): number;
  /** The next integer in [0, count). */
  below(count: number): number;
  /** One element, all equally likely. */
  pick<T>(choices: readonly T[]): T;
  /** True with the given probability. */
  chance(probability: number): boolean;
}

/** Mixes two 32-bit integers into one (the finaliser of MurmurHash3 over their combination). */
export function hash32(a: number, b: number): number {
  let h = (Math.imul(a | 0, 0x9e3779b1) ^ Math.imul((b | 0) + 0x7f4a7c15, 0x85ebca6b)) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** A stream named by integers; the same names give the same numbers. */
export function randomOf(...names: readonly number[]): Random {
  const key = names.reduce((state, name) => hash32(state, name), 0x5ce7e);
  let count = 0;
  const unit = (): number => hash32(key, (count += 1)) / 4294967296;
  const below = (limit: number): number => Math.floor(unit() * limit);
  return {
    unit,
    below,
    between: (low, high) => low + (high - low) * unit(),
    pick: (choices) => {
      const chosen = choices[below(choices.length)];
      if (chosen === undefined) throw new RangeError('pick needs at least one choice');
      return chosen;
    },
    chance: (probability) => unit() < probability,
  };
}

// Random numbers without state between streams: Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy
// as 1, 2, 3", 2011). The seed is the key, the name of a stream is one half of the counter and the position in
// the stream the other half, so `rng(seed, 'noise', step)` is the same sequence whatever was drawn before it.
import { assert } from './errors.ts';

export type StreamPart = string | number;

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9 | 0;
const WEYL_1 = 0xbb67ae85 | 0;
const INVERSE_2_32 = 2 ** -32;
const INVERSE_2_53 = 2 ** -53;

/** Upper 32 bits of a product of unsigned 32-bit numbers, of which the lower 32 bits are known. */
const highWord = (a: number, b: number, low: number): number =>
  // The double product is off by less than 2^11, so after removing the low word the quotient rounds exactly.
  ((a * b - low) * INVERSE_2_32 + 0.5) >>> 0;

/** One block: 128-bit counter and 64-bit key (least significant word first) to four random words in `out`. */
function block(c0: number, c1: number, c2: number, c3: number, k0: number, k1: number, out: Uint32Array): void {
  let x0 = c0 >>> 0;
  let x1 = c1 | 0;
  let x2 = c2 >>> 0;
  let x3 = c3 | 0;
  let key0 = k0 | 0;
  let key1 = k1 | 0;
  for (let round = 0; round < 10; round++) {
    const low0 = Math.imul(MULTIPLIER_0, x0) >>> 0;
    const low1 = Math.imul(MULTIPLIER_1, x2) >>> 0;
    const high0 = highWord(MULTIPLIER_0, x0, low0);
    const high1 = highWord(MULTIPLIER_1, x2, low1);
    x0 = (high1 ^ x1 ^ key0) >>> 0;
    x1 = low1;
    x2 = (high0 ^ x3 ^ key1) >>> 0;
    x3 = low0;
    key0 = (key0 + WEYL_0) | 0;
    key1 = (key1 + WEYL_1) | 0;
  }
  out[0] = x0;
  out[1] = x1;
  out[2] = x2;
  out[3] = x3;
}

/** The bare generator, for known-answer tests. Words are unsigned 32-bit, least significant first. */
export function philox4x32(counter: readonly [number, number, number, number], key: readonly [number, number]) {
  const out = new Uint32Array(4);
  block(...counter, ...key, out);
  return out;
}

/** Two independent 32-bit hashes (MurmurHash3 over UTF-16 units) of an unambiguous spelling of the stream's name. */
function hashStream(path: readonly StreamPart[]): [number, number] {
  // Lengths are part of the spelling, so ('a', 'b'), ('ab') and ('a|b') differ, and so do 1 and '1'.
  const spelling = path.map((part) => {
    if (typeof part === 'string') return `s${part.length}:${part}`;
    assert(Number.isFinite(part), `a random stream has the part ${part}`);
    return `n${part}:`;
  }).join('|');
  return [murmur3(spelling, 0x2545f491), murmur3(spelling, 0x9e3779b9)];
}

function murmur3(text: string, seed: number): number {
  let hash = seed | 0;
  for (let index = 0; index < text.length; index++) {
    let unit = Math.imul(text.charCodeAt(index), 0xcc9e2d51);
    unit = Math.imul((unit << 15) | (unit >>> 17), 0x1b873593);
    hash ^= unit;
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
  }
  hash ^= text.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

const SQRT_2 = Math.SQRT2;
const LN_2 = Math.LN2;
const TURN = (2 * Math.PI) * INVERSE_2_32;
const POWERS = Float64Array.from({ length: 33 }, (_, exponent) => 2 ** -exponent);

/**
 * sqrt(-2 ln u) for u = (word + 1/2) / 2^32. Only +, *, / and sqrt are used here and in `pair`, all of them exactly
 * rounded by IEEE 754: unlike Math.log or Math.cos the result has the same bits on every machine and engine.
 */
function radius(word: number): number {
  let exponent = word === 0 ? -1 : 31 - Math.clz32(word);
  let mantissa = exponent < 0 ? 1 : (word + 0.5) * POWERS[exponent]!;
  if (mantissa > SQRT_2) {
    mantissa *= 0.5;
    exponent++;
  }
  const s = (mantissa - 1) / (mantissa + 1);
  const z = s * s;
  // ln m = 2 artanh(s), |s| < 0.172: the first missing term is below 2e-12.
  const log = 2 * s * (1 + z * (1 / 3 + z * (1 / 5 + z * (1 / 7 + z * (1 / 9 + z * (1 / 11 + z * (1 / 13)))))));
  return Math.sqrt(-2 * (log + (exponent - 32) * LN_2));
}

/** Box-Muller: two words to two standard normals (times `scale`, plus `shift`) at `out[at]` and `out[at + 1]`. */
function pair(word0: number, word1: number, out: Float64Array | Float32Array, at: number, shift: number, scale: number) {
  const r = radius(word0) * scale;
  const quadrant = ((word1 + 0x20000000) >>> 30) & 3;
  const x = ((word1 - (quadrant << 30)) | 0) * TURN;
  const z = x * x;
  // Taylor series on [-pi/4, pi/4]: errors below 1e-11.
  const sine = x * (1 + z * (-1 / 6 + z * (1 / 120 + z * (-1 / 5040 + z * (1 / 362880 - z * (1 / 39916800))))));
  const cosine = 1 + z * (-1 / 2 + z * (1 / 24 + z * (-1 / 720 + z * (1 / 40320 + z * (-1 / 3628800 +
    z * (1 / 479001600))))));
  const a = (quadrant & 1) === 0 ? cosine : sine;
  const b = (quadrant & 1) === 0 ? sine : cosine;
  const signA = quadrant === 1 || quadrant === 2 ? -r : r;
  const signB = quadrant >= 2 ? -r : r;
  out[at] = a * signA + shift;
  out[at + 1] = b * signB + shift;
}

/** One stream of random numbers. Make it with `rng`. */
export class Rng {
  readonly #key: readonly [number, number];
  readonly #stream: readonly [number, number];
  readonly #words = new Uint32Array(4);
  readonly #normals = new Float64Array(2);
  #block = 0;
  #used = 4;
  #spare = false;

  constructor(seed: number | bigint, path: readonly StreamPart[]) {
    assert(typeof seed === 'bigint' || Number.isSafeInteger(seed), `the random seed ${seed} is not an integer`);
    const bits = BigInt.asUintN(64, BigInt(seed));
    this.#key = [Number(bits & 0xffffffffn), Number(bits >> 32n)];
    this.#stream = hashStream(path);
  }

  #next(): void {
    block(
      this.#block >>> 0, Math.floor(this.#block * INVERSE_2_32), this.#stream[0], this.#stream[1],
      this.#key[0], this.#key[1], this.#words,
    );
    this.#block++;
    this.#used = 0;
  }

  /** A random unsigned 32-bit integer. */
  word(): number {
    if (this.#used === 4) this.#next();
    return this.#words[this.#used++]!;
  }

  /** Uniform in [0, 1), 53 random bits. */
  uniform(): number {
    const high = this.word() >>> 5;
    const low = this.word() >>> 6;
    return (high * 0x4000000 + low) * INVERSE_2_53;
  }

  /** Uniform integer in [0, count), without bias. `count` is 1 ... 2^32. */
  int(count: number): number {
    assert(Number.isInteger(count) && count >= 1 && count <= 0x100000000, `int(${count}) is outside 1 ... 2^32`);
    const limit = 0x100000000 - (0x100000000 % count);
    let word = this.word();
    while (word >= limit) word = this.word();
    return word % count;
  }

  /** Standard normal. */
  normal(): number {
    this.#spare = !this.#spare;
    if (!this.#spare) return this.#normals[1]!;
    const first = this.word();
    pair(first, this.word(), this.#normals, 0, 0, 1);
    return this.#normals[0]!;
  }

  /**
   * Fills `out` with normals and returns it. Starts at a fresh block, so what a stream gives first does not depend
   * on how many are asked for: a shorter fill is a prefix of a longer one.
   */
  fillNormal(out: Float32Array, mean = 0, deviation = 1): Float32Array {
    const words = this.#words;
    const whole = out.length - (out.length % 4);
    for (let at = 0; at < whole; at += 4) {
      this.#next();
      pair(words[0]!, words[1]!, out, at, mean, deviation);
      pair(words[2]!, words[3]!, out, at + 2, mean, deviation);
    }
    if (whole < out.length) {
      const rest = new Float32Array(4);
      this.#next();
      pair(words[0]!, words[1]!, rest, 0, mean, deviation);
      pair(words[2]!, words[3]!, rest, 2, mean, deviation);
      out.set(rest.subarray(0, out.length - whole), whole);
    }
    this.#used = 4;
    this.#spare = false;
    return out;
  }

  /** A random permutation of 0 ... count-1 (Fisher-Yates). */
  shuffle(count: number): number[] {
    const order = Array.from({ length: count }, (_, index) => index);
    for (let last = count - 1; last > 0; last--) {
      const other = this.int(last + 1);
      [order[last], order[other]] = [order[other]!, order[last]!];
    }
    return order;
  }

  /** One of the items, each with the same chance. */
  pick<T>(items: readonly T[]): T {
    assert(items.length > 0, 'pick from an empty list');
    return items[this.int(items.length)]!;
  }
}

/**
 * The random stream with that name: `rng(seed, 'noise', step)`. Equal seed and name give an equal sequence on every
 * machine; nothing has to be saved to continue. The seed is an integer (64 bits are used).
 */
export const rng = (seed: number | bigint, ...stream: StreamPart[]): Rng => new Rng(seed, stream);

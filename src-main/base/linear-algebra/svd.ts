// The strongest part of a matrix: A ≈ U · diag(s) · V with few singular values. Small matrices and large shares are done
// exactly (eigenvectors of the Gram matrix, then one-sided Jacobi turns, which give back the digits that squaring took);
// a few of many by subspace iteration (Halko, Martinsson and Tropp 2011, "Finding structure with randomness", algorithm
// 4.4). Everything f64; the same matrix gives the same result every time.
// m rows, n columns of A; k values kept; l width of the subspace. Subspaces are rows of a matrix.
import { assert } from '../errors.ts';
import { rng } from '../rng.ts';
import { multiply, transpose } from './multiply.ts';
import { symmetricEigen } from './symmetric-eigen.ts';

export interface Svd {
  /** [m,k]: column i is the left vector of s[i]. */
  readonly u: Float64Array;
  /** [k], falling. May be shorter than asked for when the matrix has no more. */
  readonly s: Float64Array;
  /** [k,n]: row i is the right vector of s[i]. */
  readonly v: Float64Array;
  /** ‖A‖², all of the squares: 1 − Σs²/total is what is missing. */
  readonly total: number;
}

/** How much to keep: a number of values, or the fewest whose squares are this share (0 to 1) of all; both: what is reached first. */
export interface Keep {
  readonly rank?: number;
  readonly energy?: number;
}

/** Called between pieces of work; may throw to stop. */
export type Pause = () => Promise<void>;

/** Up to this smaller side no subspace is worth its while. */
const SMALL = 96;
const MOST_PASSES = 16;
/** Iteration ends when a pass takes no more than this share off what is missing. */
const SETTLED = 1e-4;
/** Singular values below this share of the largest are rounding. */
const NOTHING = 1e-13;

/**
 * @param matrix [m,n] row-major
 * What a subspace leaves is at most about a thousandth larger than what the best truncation would; small matrices are exact up
 * to rounding.
 */
export async function truncatedSvd(matrix: ArrayLike<number>, rows: number, columns: number, keep: Keep, pause: Pause = async () => {}): Promise<Svd> {
  assert(matrix.length === rows * columns, 'the matrix has the shape that is said');
  const least = Math.min(rows, columns);
  const most = Math.max(0, Math.min(keep.rank ?? least, least));
  const share = keep.energy ?? 1;
  // The long side runs along the columns.
  const isTall = rows > columns;
  const a = isTall ? transpose(matrix, rows, columns) : Float64Array.from(matrix);
  const [m, n] = isTall ? [columns, rows] : [rows, columns];
  let total = 0;
  for (let i = 0; i < a.length; i++) total += a[i]! * a[i]!;
  const halves = total === 0 ? none() : await strongest(a, m, n, most, share, total, pause);
  const count = countKept(halves.s, most, share, total);
  const left = halves.left.subarray(0, count * m);
  const right = halves.right.subarray(0, count * n);
  const s = halves.s.slice(0, count);
  return isTall
    ? { u: transpose(right, count, n), s, v: left.slice(), total }
    : { u: transpose(left, count, m), s, v: right.slice(), total };
}

/**
 * The SVD of B·A from its factors, without the product.
 * @param up B [m,r] @param down A [r,n]
 */
export function productSvd(up: ArrayLike<number>, down: ArrayLike<number>, rows: number, rank: number, columns: number, keep: Keep = {}): Svd {
  const b = transpose(up, rows, rank);
  const a = Float64Array.from(down);
  const bFactor = orthonormalize(b, rank, rows);
  const aFactor = orthonormalize(a, rank, columns);
  // B = Qbᵀ·Lbᵀ and A = La·Qa, so that B·A = Qbᵀ·(Lbᵀ·La)·Qa.
  const core = multiply(transpose(bFactor, rank, rank), aFactor, rank, rank, rank);
  let total = 0;
  for (const value of core) total += value * value;
  const small = total === 0 ? none() : exact(core, rank, rank);
  const count = countKept(small.s, Math.min(keep.rank ?? rank, rank), keep.energy ?? 1, total);
  const left = multiply(small.left.slice(0, count * rank), b, count, rank, rows);
  const right = multiply(small.right.slice(0, count * rank), a, count, rank, columns);
  return { u: transpose(left, count, rows), s: small.s.slice(0, count), v: right, total };
}

interface Halves {
  /** [count,m] and [count,n], rows are vectors. */
  readonly left: Float64Array;
  readonly right: Float64Array;
  readonly s: Float64Array;
}

const none = (): Halves => ({ left: new Float64Array(0), right: new Float64Array(0), s: new Float64Array(0) });

function countKept(s: Float64Array, most: number, share: number, total: number): number {
  let sum = 0;
  for (let i = 0; i < Math.min(most, s.length); i++) {
    if (s[i]! <= NOTHING * s[0]!) return i;
    sum += s[i]! ** 2;
    // All of it is not a matter of sums, which round.
    if (share < 1 && sum >= share * total) return i + 1;
  }
  return Math.min(most, s.length);
}

async function strongest(a: Float64Array, m: number, n: number, most: number, share: number, total: number, pause: Pause): Promise<Halves> {
  const widthFor = (count: number): number => count + Math.max(8, count >> 1);
  const isWorth = (width: number): boolean => m > SMALL && width * 3 <= m;
  if (share >= 1) return isWorth(widthFor(most)) ? subspace(a, m, n, most, widthFor(most), total, pause) : exact(a, m, n);
  // How many it takes is not known: twice as many each time.
  for (let count = Math.min(most, 16); isWorth(widthFor(count)); count = Math.min(most, 2 * count)) {
    const found = await subspace(a, m, n, count, widthFor(count), total, pause);
    const sum = found.s.subarray(0, count).reduce((energy, value) => energy + value * value, 0);
    if (sum >= share * total || count === most) return found;
  }
  await pause();
  return exact(a, m, n);
}

/** @param a [m,n], m ≤ n */
function exact(a: Float64Array, m: number, n: number): Halves {
  const { vectors } = symmetricEigen(gram(a, m, n), m);
  return finish(vectors, multiply(vectors, a, m, m, n), m, m, n);
}

/** The best l directions that passes over A find, with l a little wider than what is kept. */
async function subspace(a: Float64Array, m: number, n: number, count: number, l: number, total: number, pause: Pause): Promise<Halves> {
  const turned = transpose(a, m, n);
  let left: Float64Array = Float64Array.from(rng(0, 'svd', m, n, l).fillNormal(new Float32Array(l * m)));
  orthonormalize(left, l, m);
  let before = 0;
  for (let pass = 0; ; pass++) {
    await pause();
    const right = multiply(left, a, l, m, n);
    const { values, vectors } = symmetricEigen(gram(right, l, n), l);
    const energy = values.subarray(0, count).reduce((sum, value) => sum + Math.max(0, value), 0);
    const isSettled = energy - before <= Math.max(SETTLED * (total - energy), Number.EPSILON * total);
    if (pass > 1 && (isSettled || pass === MOST_PASSES)) {
      return finish(multiply(vectors, left, l, l, m), multiply(vectors, right, l, l, n), l, m, n);
    }
    before = energy;
    await pause();
    orthonormalize(right, l, n);
    left = multiply(right, turned, l, n, m);
    orthonormalize(left, l, m);
  }
}

/** X·Xᵀ of X [l,n]. */
const gram = (x: Float64Array, l: number, n: number): Float64Array => multiply(x, transpose(x, l, n), l, n, l);

/**
 * `right` is `left`·A with nearly orthogonal rows: turns pairs of rows until they are orthogonal (one-sided Jacobi), then
 * takes their norms off. Rows are sorted, the largest first.
 */
function finish(left: Float64Array, right: Float64Array, l: number, m: number, n: number): Halves {
  turnOrthogonal(left, right, l, m, n);
  const norms = Float64Array.from({ length: l }, (_, i) => Math.sqrt(dot(right, i * n, i * n, n)));
  const order = [...norms.keys()].sort((i, j) => norms[j]! - norms[i]! || i - j);
  const sorted = { left: new Float64Array(l * m), right: new Float64Array(l * n), s: Float64Array.from(order, (i) => norms[i]!) };
  order.forEach((from, to) => {
    sorted.left.set(left.subarray(from * m, (from + 1) * m), to * m);
    const factor = norms[from]! > 0 ? 1 / norms[from]! : 0;
    for (let k = 0; k < n; k++) sorted.right[to * n + k] = right[from * n + k]! * factor;
  });
  return sorted;
}

/** Cosines below this count as orthogonal. */
const ORTHOGONAL = 1e-12;
/** Rows that the eigenvectors have brought close to orthogonal need very few turns; large ones are left at that. */
const MOST_SWEEPS = 12;
const LARGE = 512;

function turnOrthogonal(left: Float64Array, right: Float64Array, l: number, m: number, n: number): void {
  if (l > LARGE) return;
  const squares = new Float64Array(l);
  for (let sweep = 0; sweep < MOST_SWEEPS; sweep++) {
    for (let i = 0; i < l; i++) squares[i] = dot(right, i * n, i * n, n);
    const floor = NOTHING * NOTHING * squares.reduce((most, value) => Math.max(most, value), 0);
    let turned = false;
    for (let i = 0; i < l - 1; i++) {
      for (let j = i + 1; j < l; j++) {
        const [x, y] = [squares[i]!, squares[j]!];
        if (x <= floor || y <= floor) continue;
        const inner = dot(right, i * n, j * n, n);
        if (Math.abs(inner) <= ORTHOGONAL * Math.sqrt(x * y)) continue;
        turned = true;
        const zeta = (y - x) / (2 * inner);
        const tangent = (zeta >= 0 ? 1 : -1) / (Math.abs(zeta) + Math.hypot(1, zeta));
        const cosine = 1 / Math.hypot(1, tangent);
        turnRows(right, i * n, j * n, n, cosine, cosine * tangent);
        turnRows(left, i * m, j * m, m, cosine, cosine * tangent);
        squares[i] = dot(right, i * n, i * n, n);
        squares[j] = dot(right, j * n, j * n, n);
      }
    }
    if (!turned) return;
  }
}

function dot(x: Float64Array, first: number, second: number, length: number): number {
  let sum = 0;
  for (let k = 0; k < length; k++) sum += x[first + k]! * x[second + k]!;
  return sum;
}

function turnRows(x: Float64Array, first: number, second: number, length: number, cosine: number, sine: number): void {
  for (let k = 0; k < length; k++) {
    const p = x[first + k]!;
    const q = x[second + k]!;
    x[first + k] = cosine * p - sine * q;
    x[second + k] = sine * p + cosine * q;
  }
}

/**
 * Makes the rows of X [l,n] orthonormal in place (Gram-Schmidt, each row twice); a row that the ones before it span becomes
 * zero.
 * @returns L [l,l], lower triangular, with X = L·Q
 */
function orthonormalize(x: Float64Array, l: number, n: number): Float64Array {
  const factor = new Float64Array(l * l);
  for (let i = 0; i < l; i++) {
    const at = i * n;
    const size = Math.sqrt(dot(x, at, at, n));
    for (let round = 0; round < 2; round++) {
      for (let j = 0; j < i; j++) {
        const along = dot(x, at, j * n, n);
        factor[i * l + j]! += along;
        for (let k = 0; k < n; k++) x[at + k]! -= along * x[j * n + k]!;
      }
    }
    const rest = Math.sqrt(dot(x, at, at, n));
    const isNothing = !(rest > 1e-14 * size);
    factor[i * l + i] = isNothing ? 0 : rest;
    for (let k = 0; k < n; k++) x[at + k] = isNothing ? 0 : x[at + k]! / rest;
  }
  return factor;
}

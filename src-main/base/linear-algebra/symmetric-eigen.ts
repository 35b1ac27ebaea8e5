// Eigenvalues and eigenvectors of a symmetric matrix: reduction to three diagonals by Householder reflections, then QL
// steps with implicit shifts (Golub and Van Loan, Matrix Computations, sections 8.3.1 and 8.3.3). f64.
import { assert } from '../errors.ts';

export interface SymmetricEigen {
  /** Largest first. */
  readonly values: Float64Array;
  /** [n,n]; row i is the unit eigenvector of value i. */
  readonly vectors: Float64Array;
}

/** @param matrix [n,n], symmetric; left as it is */
export function symmetricEigen(matrix: Float64Array, n: number): SymmetricEigen {
  assert(matrix.length === n * n, 'the matrix is square');
  const work = matrix.slice();
  const diagonal = new Float64Array(n);
  const beside = new Float64Array(n);
  const vectors = tridiagonalize(work, n, diagonal, beside);
  diagonalize(diagonal, beside, vectors, n);
  const order = [...diagonal.keys()].sort((a, b) => diagonal[b]! - diagonal[a]! || a - b);
  const sorted = new Float64Array(n * n);
  order.forEach((from, to) => sorted.set(vectors.subarray(from * n, (from + 1) * n), to * n));
  return { values: Float64Array.from(order, (i) => diagonal[i]!), vectors: sorted };
}

/**
 * T = Hᵀ·A·H. Destroys `a`. `beside[i]` is T[i,i+1].
 * @returns H as rows: row i is column i of H
 */
function tridiagonalize(a: Float64Array, n: number, diagonal: Float64Array, beside: Float64Array): Float64Array {
  const factors = new Float64Array(n);
  const p = new Float64Array(n);
  for (let k = 0; k < n - 2; k++) {
    // The reflection that leaves row k nothing right of its second diagonal; its vector stays in the row.
    const row = k * n;
    let size = 0;
    for (let j = k + 1; j < n; j++) size += a[row + j]! ** 2;
    const alpha = a[row + k + 1]!;
    const norm = Math.sqrt(size);
    diagonal[k] = a[row + k]!;
    beside[k] = alpha > 0 ? -norm : norm;
    const head = alpha - beside[k]!;
    const squared = size - alpha * alpha + head * head;
    if (norm === 0 || squared === 0) {
      beside[k] = alpha;
      continue;
    }
    const factor = 2 / squared;
    factors[k] = factor;
    a[row + k + 1] = head;
    rankTwoUpdate(a, n, k, factor, p);
  }
  if (n > 1) {
    diagonal[n - 2] = a[(n - 2) * n + n - 2]!;
    beside[n - 2] = a[(n - 2) * n + n - 1]!;
  }
  if (n > 0) diagonal[n - 1] = a[n * n - 1]!;
  return accumulate(a, n, factors);
}

/** A -= v·wᵀ + w·vᵀ below and right of k, v being in row k. */
function rankTwoUpdate(a: Float64Array, n: number, k: number, factor: number, p: Float64Array): void {
  const v = a.subarray(k * n, (k + 1) * n);
  let inner = 0;
  for (let i = k + 1; i < n; i++) {
    const row = i * n;
    let sum = 0;
    for (let j = k + 1; j < n; j++) sum += a[row + j]! * v[j]!;
    p[i] = factor * sum;
    inner += p[i]! * v[i]!;
  }
  const half = (factor * inner) / 2;
  for (let i = k + 1; i < n; i++) p[i]! -= half * v[i]!;
  for (let i = k + 1; i < n; i++) {
    const row = i * n;
    const vi = v[i]!;
    const pi = p[i]!;
    for (let j = k + 1; j < n; j++) a[row + j]! -= vi * p[j]! + pi * v[j]!;
  }
}

/** The product of the reflections, transposed. */
function accumulate(a: Float64Array, n: number, factors: Float64Array): Float64Array {
  const q = new Float64Array(n * n);
  for (let i = 0; i < n; i++) q[i * n + i] = 1;
  for (let k = n - 3; k >= 0; k--) {
    const factor = factors[k]!;
    if (factor === 0) continue;
    const v = a.subarray(k * n, (k + 1) * n);
    for (let i = k + 1; i < n; i++) {
      const row = i * n;
      let sum = 0;
      for (let j = k + 1; j < n; j++) sum += q[row + j]! * v[j]!;
      sum *= factor;
      for (let j = k + 1; j < n; j++) q[row + j]! -= sum * v[j]!;
    }
  }
  return q;
}

const MOST_STEPS = 60;

/** Turns the rows of `z` along with the diagonals, so that they end as eigenvectors. */
function diagonalize(d: Float64Array, e: Float64Array, z: Float64Array, n: number): void {
  for (let l = 0; l < n; l++) {
    for (let steps = 0; ; steps++) {
      let m = l;
      while (m < n - 1 && Math.abs(e[m]!) > Number.EPSILON * (Math.abs(d[m]!) + Math.abs(d[m + 1]!))) m++;
      if (m === l) break;
      assert(steps < MOST_STEPS, 'the eigenvalues of a matrix of numbers can be found');
      qlStep(d, e, z, n, l, m);
    }
  }
}

function qlStep(d: Float64Array, e: Float64Array, z: Float64Array, n: number, l: number, m: number): void {
  let g = (d[l + 1]! - d[l]!) / (2 * e[l]!);
  let r = Math.hypot(g, 1);
  g = d[m]! - d[l]! + e[l]! / (g + (g >= 0 ? r : -r));
  let sine = 1;
  let cosine = 1;
  let shift = 0;
  for (let i = m - 1; i >= l; i--) {
    const f = sine * e[i]!;
    const b = cosine * e[i]!;
    r = Math.sqrt(f * f + g * g);
    e[i + 1] = r;
    if (r === 0) {
      // An underflow: the matrix falls apart here.
      d[i + 1]! -= shift;
      e[m] = 0;
      return;
    }
    sine = f / r;
    cosine = g / r;
    g = d[i + 1]! - shift;
    r = (d[i]! - g) * sine + 2 * cosine * b;
    shift = sine * r;
    d[i + 1] = g + shift;
    g = cosine * r - b;
    turn(z, i * n, (i + 1) * n, n, cosine, sine);
  }
  d[l]! -= shift;
  e[l] = g;
  e[m] = 0;
}

function turn(z: Float64Array, low: number, high: number, n: number, cosine: number, sine: number): void {
  for (let k = 0; k < n; k++) {
    const x = z[high + k]!;
    const y = z[low + k]!;
    z[high + k] = sine * y + cosine * x;
    z[low + k] = cosine * y - sine * x;
  }
}

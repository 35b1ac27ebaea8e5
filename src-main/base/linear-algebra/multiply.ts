// Products of dense row-major matrices in f64, in tiles that fit the registers and blocks that fit the caches.
import { assert } from '../errors.ts';

const DEPTH = 256;
const WIDTH = 128;

/** A[m,k] · B[k,n] -> C[m,n]. */
export function multiply(a: Float64Array, b: Float64Array, m: number, k: number, n: number): Float64Array {
  assert(a.length === m * k && b.length === k * n, 'matrices have the shapes that are said');
  const c = new Float64Array(m * n);
  for (let k0 = 0; k0 < k; k0 += DEPTH) {
    const k1 = Math.min(k, k0 + DEPTH);
    for (let j0 = 0; j0 < n; j0 += WIDTH) addBlock(a, b, c, m, k, n, k0, k1, j0, Math.min(n, j0 + WIDTH));
  }
  return c;
}

/** Rows of A times a part [k0,k1) × [j0,j1) of B. */
function addBlock(a: Float64Array, b: Float64Array, c: Float64Array, m: number, k: number, n: number, k0: number, k1: number, j0: number, j1: number): void {
  const fullRows = m - (m % 4);
  const fullColumns = j1 - ((j1 - j0) % 4);
  for (let i = 0; i < fullRows; i += 4) for (let j = j0; j < fullColumns; j += 4) addTile(a, b, c, k, n, i, j, k0, k1);
  for (let i = 0; i < m; i++) {
    for (let j = i < fullRows ? fullColumns : j0; j < j1; j++) {
      let sum = c[i * n + j]!;
      for (let p = k0; p < k1; p++) sum += a[i * k + p]! * b[p * n + j]!;
      c[i * n + j] = sum;
    }
  }
}

/** Four rows by four columns of C. */
function addTile(a: Float64Array, b: Float64Array, c: Float64Array, k: number, n: number, i: number, j: number, k0: number, k1: number): void {
  let c00 = 0, c01 = 0, c02 = 0, c03 = 0, c10 = 0, c11 = 0, c12 = 0, c13 = 0;
  let c20 = 0, c21 = 0, c22 = 0, c23 = 0, c30 = 0, c31 = 0, c32 = 0, c33 = 0;
  const [a0, a1, a2, a3] = [i * k, (i + 1) * k, (i + 2) * k, (i + 3) * k];
  for (let p = k0, q = k0 * n + j; p < k1; p++, q += n) {
    const b0 = b[q]!, b1 = b[q + 1]!, b2 = b[q + 2]!, b3 = b[q + 3]!;
    const x0 = a[a0 + p]!, x1 = a[a1 + p]!, x2 = a[a2 + p]!, x3 = a[a3 + p]!;
    c00 += x0 * b0; c01 += x0 * b1; c02 += x0 * b2; c03 += x0 * b3;
    c10 += x1 * b0; c11 += x1 * b1; c12 += x1 * b2; c13 += x1 * b3;
    c20 += x2 * b0; c21 += x2 * b1; c22 += x2 * b2; c23 += x2 * b3;
    c30 += x3 * b0; c31 += x3 * b1; c32 += x3 * b2; c33 += x3 * b3;
  }
  const at = i * n + j;
  c[at]! += c00; c[at + 1]! += c01; c[at + 2]! += c02; c[at + 3]! += c03;
  c[at + n]! += c10; c[at + n + 1]! += c11; c[at + n + 2]! += c12; c[at + n + 3]! += c13;
  c[at + 2 * n]! += c20; c[at + 2 * n + 1]! += c21; c[at + 2 * n + 2]! += c22; c[at + 2 * n + 3]! += c23;
  c[at + 3 * n]! += c30; c[at + 3 * n + 1]! += c31; c[at + 3 * n + 2]! += c32; c[at + 3 * n + 3]! += c33;
}

/** A[m,n] -> [n,m], by blocks. */
export function transpose(a: ArrayLike<number>, m: number, n: number): Float64Array {
  const t = new Float64Array(m * n);
  const BLOCK = 32;
  for (let i0 = 0; i0 < m; i0 += BLOCK) {
    for (let j0 = 0; j0 < n; j0 += BLOCK) {
      for (let i = i0; i < Math.min(m, i0 + BLOCK); i++) for (let j = j0; j < Math.min(n, j0 + BLOCK); j++) t[j * m + i] = a[i * n + j]!;
    }
  }
  return t;
}

// Truncated SVD against LAPACK's, and what a decomposition has to be whatever the matrix.
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { multiply, transpose } from '../../src-main/base/linear-algebra/multiply.ts';
import { productSvd, truncatedSvd, type Svd } from '../../src-main/base/linear-algebra/svd.ts';
import { symmetricEigen } from '../../src-main/base/linear-algebra/symmetric-eigen.ts';
import { rng } from '../../src-main/base/rng.ts';
import { openSafetensors } from '../../src-main/files/safetensors.ts';

const golden = openSafetensors(fileURLToPath(new URL('../golden/svd/svd.safetensors', import.meta.url)));
const cases = [...golden.tensors.keys()].filter((key) => key.endsWith('.matrix')).map((key) => key.slice(0, -'.matrix'.length));

/** U·diag(s)·V. */
function product({ u, s, v }: Svd, m: number, n: number): Float64Array {
  return multiply(u.map((value, i) => value * s[i % s.length]!), v, m, s.length, n);
}

const normOf = (values: ArrayLike<number>): number => Math.sqrt(Array.from(values).reduce((sum, value) => sum + value * value, 0));
const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number => normOf(Array.from(a, (value, i) => value - b[i]!));

/** Largest difference of X·Xᵀ from the unit matrix. */
function fromOrthonormal(rows: Float64Array, l: number, n: number): number {
  const gram = multiply(rows, transpose(rows, l, n), l, n, l);
  return gram.reduce((worst, value, i) => Math.max(worst, Math.abs(value - (i % (l + 1) === 0 ? 1 : 0))), 0);
}

describe('truncated SVD', () => {
  test.each(cases)('%s: values and the best approximation as LAPACK finds them', async (name) => {
    const [m, n] = golden.tensors.get(`${name}.matrix`)!.shape as [number, number];
    const matrix = golden.readF32(`${name}.matrix`);
    const rank = golden.readF32(`${name}.rank`)[0]!;
    const expected = golden.readF32(`${name}.s`);
    const found = await truncatedSvd(matrix, m, n, { rank });
    expect(found.s).toHaveLength(rank);
    // Subspace iteration: close in the sum of squares, and by the square root of it in single values.
    const isIterated = name === 'falling' || name === 'weight';
    found.s.forEach((value, i) => expect(Math.abs(value - expected[i]!) / expected[0]!, `s[${i}]`).toBeLessThan(isIterated ? 2e-3 : 1e-6));
    const best = golden.readF32(`${name}.approximation`);
    const size = normOf(matrix);
    const [ours, least] = [distance(product(found, m, n), matrix), distance(best, matrix)];
    expect(ours / size - least / size).toBeLessThan(isIterated ? 1e-3 * (least / size) : 1e-6);
    expect(found.total).toBeCloseTo(size * size, 6);
    expect(fromOrthonormal(transpose(found.u, m, rank), rank, m)).toBeLessThan(1e-10);
    expect(fromOrthonormal(found.v, rank, n)).toBeLessThan(1e-10);
  });

  test('the fewest values for a share of the energy', async () => {
    for (const [name, share] of [['tall', 0.9], ['falling', 0.99], ['weight', 0.8]] as const) {
      const [m, n] = golden.tensors.get(`${name}.matrix`)!.shape as [number, number];
      const squares = Array.from(golden.readF32(`${name}.s`), (value) => value * value);
      const total = squares.reduce((a, b) => a + b, 0);
      let sum = 0;
      const wanted = squares.findIndex((value) => (sum += value) >= share * total) + 1;
      const found = await truncatedSvd(golden.readF32(`${name}.matrix`), m, n, { energy: share });
      expect(found.s.length, name).toBe(wanted);
      const capped = await truncatedSvd(golden.readF32(`${name}.matrix`), m, n, { energy: share, rank: 2 });
      expect(capped.s.length, name).toBe(2);
    }
  });

  test('a zero matrix has no values, a deficient one no more than its rank', async () => {
    const nothing = await truncatedSvd(new Float32Array(12), 3, 4, { rank: 2 });
    expect([nothing.s.length, nothing.total]).toEqual([0, 0]);
    const [m, n] = golden.tensors.get('deficient.matrix')!.shape as [number, number];
    // The golden is rounded to f32, which leaves values of that size.
    const found = await truncatedSvd(golden.readF32('deficient.matrix'), m, n, {});
    expect(found.s[5]! / found.s[0]!).toBeLessThan(1e-6);
    const exact = multiply(ones(6, 2), ones(2, 7), 6, 2, 7);
    expect((await truncatedSvd(exact, 6, 7, {})).s.length).toBe(2);
  });

  test('from factors: the same as from their product', async () => {
    const [up, down] = [ones(30, 4), ones(4, 21)];
    const dense = await truncatedSvd(multiply(up, down, 30, 4, 21), 30, 21, { rank: 4 });
    const found = productSvd(up, down, 30, 4, 21);
    found.s.forEach((value, i) => expect(value / dense.s[i]!).toBeCloseTo(1, 9));
    expect(distance(product(found, 30, 21), multiply(up, down, 30, 4, 21)) / Math.sqrt(found.total)).toBeLessThan(1e-12);
    expect(productSvd(up, down, 30, 4, 21, { rank: 2 }).s).toHaveLength(2);
    expect(productSvd(new Float64Array(120), down, 30, 4, 21).s).toHaveLength(0);
  });

  test('stops where it is told to, and gives the same bytes twice', async () => {
    const matrix = golden.readF32('falling.matrix');
    const stop = truncatedSvd(matrix, 120, 150, { rank: 12 }, () => Promise.reject(new Error('stopped')));
    await expect(stop).rejects.toThrow('stopped');
    const [a, b] = await Promise.all([1, 2].map(() => truncatedSvd(matrix, 120, 150, { rank: 12 })));
    expect(a).toEqual(b);
  });
});

const ones = (m: number, n: number): Float64Array => Float64Array.from(rng(5, 'factor', m, n).fillNormal(new Float32Array(m * n)));

test('products of any extents, in f64', () => {
  for (const [m, k, n] of [[1, 1, 1], [5, 3, 7], [9, 300, 133], [4, 257, 4]] as const) {
    const [a, b] = [ones(m, k), ones(k, n)];
    const wanted = Float64Array.from({ length: m * n }, (_, at) => {
      let sum = 0;
      for (let p = 0; p < k; p++) sum += a[Math.floor(at / n) * k + p]! * b[p * n + (at % n)]!;
      return sum;
    });
    expect(distance(multiply(a, b, m, k, n), wanted)).toBeLessThan(1e-11);
  }
});

test('eigenvectors of symmetric matrices, also of those that fall apart', () => {
  for (const n of [1, 2, 3, 17]) {
    const half = ones(n, n);
    const symmetric = n === 3 ? Float64Array.of(2, 0, 0, 0, 2, 0, 0, 0, -1) : multiply(half, transpose(half, n, n), n, n, n);
    const { values, vectors } = symmetricEigen(symmetric, n);
    const images = multiply(vectors, symmetric, n, n, n);
    expect(distance(images, vectors.map((value, i) => value * values[Math.floor(i / n)]!))).toBeLessThan(1e-11 * (1 + values[0]!));
    expect(fromOrthonormal(vectors, n, n)).toBeLessThan(1e-12);
    expect([...values]).toEqual([...values].sort((x, y) => y - x));
  }
});

// Changes of magnitude and direction on weights whose change is known.
import { describe, expect, test } from 'vitest';

import { rng } from '../../src-main/base/rng.ts';
import { kindOf, summariesByKind, summarizeChanges, weightChange } from '../../src-main/analysis/magnitude-direction.ts';
import { correlation, deviation, regression } from '../../src-main/analysis/statistics.ts';

const rows = 5;
const width = 8;
const weight = rng(1, 'weight').fillNormal(new Float32Array(rows * width));
const rowNorms = (values: ArrayLike<number>): number[] =>
  Array.from({ length: rows }, (_, row) => Math.hypot(...Array.from(values).slice(row * width, (row + 1) * width)));

describe('weightChange', () => {
  test('scaled rows change magnitude alone', () => {
    const factors = [2, 0.5, 1, 1.25, 3];
    const after = Float64Array.from(weight, (value, i) => value * factors[Math.floor(i / width)]!);
    const { magnitude, relativeMagnitude, direction } = weightChange(weight, after, rows);
    const norms = rowNorms(weight);
    const expected = norms.reduce((sum, norm, row) => sum + norm * Math.abs(factors[row]! - 1), 0) / rows;
    expect(direction).toBeLessThan(1e-15);
    expect(magnitude).toBeCloseTo(expected, 12);
    expect(relativeMagnitude).toBeCloseTo(expected / (norms.reduce((a, b) => a + b) / rows), 12);
  });

  test('rows turned in a plane change direction alone, by 1 − cos of the angle', () => {
    const angle = 0.3;
    const after = Float64Array.from(weight);
    for (let row = 0; row < rows; row++) {
      // Each row is turned towards a perpendicular vector of its own length.
      const own = Array.from(weight.subarray(row * width, (row + 1) * width));
      const other = own.map((_, i) => (i % 2 === 0 ? -own[i + 1]! : own[i - 1]!));
      own.forEach((value, i) => void (after[row * width + i] = Math.cos(angle) * value + Math.sin(angle) * other[i]!));
    }
    const { magnitude, direction } = weightChange(weight, after, rows);
    expect(magnitude).toBeLessThan(1e-14);
    expect(direction).toBeCloseTo(1 - Math.cos(angle), 12);
  });

  test('a tiny angle keeps its digits', () => {
    const { direction } = weightChange([1, 0], [1, 1e-6], 1);
    expect(direction / 0.5e-12).toBeCloseTo(1, 9);
  });

  test('by hand: [3,4] to [0,10] and [0,2] to [0,−1]', () => {
    const { magnitude, relativeMagnitude, direction } = weightChange([3, 4, 0, 2], [0, 10, 0, -1], 2);
    expect(magnitude).toBeCloseTo((5 + 1) / 2, 14);
    expect(relativeMagnitude).toBeCloseTo(6 / 7, 14);
    expect(direction).toBeCloseTo((1 - 4 / 5 + 2) / 2, 14);
  });

  test('no change is none, and a row of zeros has no direction', () => {
    expect(weightChange(weight, weight, rows)).toEqual({ magnitude: 0, relativeMagnitude: 0, direction: 0 });
    expect(weightChange([0, 0, 1, 0], [1, 1, 0, 1], 2).direction).toBeCloseTo(1, 14);
  });
});

describe('relation', () => {
  const x = [1, 2, 3, 4];
  const y = [2, 1, 4, 5];

  test('line and correlation computed by hand', () => {
    // Σdx² = 5, Σdy² = 10, Σdxdy = 6.
    expect(regression(x, y)).toEqual({ slope: 1.2, intercept: 0 });
    expect(correlation(x, y)).toBeCloseTo(6 / Math.sqrt(50), 14);
    expect(correlation(x, x.map((value) => -2 * value))).toBeCloseTo(-1, 14);
    expect(deviation(x)).toBeCloseTo(Math.sqrt(5 / 3), 14);
  });

  test('without spread there is none', () => {
    expect(regression([1, 1], [1, 2])).toBeNull();
    expect(correlation([1, 1], [1, 2])).toBeNull();
    expect(correlation([1], [1])).toBeNull();
  });

  test('summaries, of all points and by kind of layer', () => {
    const points = x.map((value, i) => ({
      layer: i < 2 ? `block.${i}.to_q` : `block.${i}.to_out.0`, step: 1, direction: value, magnitude: y[i]!, relativeMagnitude: 10 - value,
    }));
    const all = summarizeChanges(points);
    expect(all.line?.slope).toBeCloseTo(1.2, 14);
    expect(all.relativeCorrelation).toBeCloseTo(-1, 14);
    expect(all).toMatchObject({ points: 4, meanDirection: 2.5, meanMagnitude: 3, meanRelativeMagnitude: 7.5 });
    const kinds = summariesByKind(points);
    expect([...kinds.keys()]).toEqual(['to_out.0', 'to_q']);
    expect(kinds.get('to_q')?.line).toEqual({ slope: -1, intercept: 3 });
    expect(kindOf('conv_in')).toBe('conv_in');
  });
});

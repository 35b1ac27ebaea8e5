// Correlation and straight line through points.

/** Pearson's correlation; null when it is not defined (fewer than two points, or no spread). */
export function correlation(x: readonly number[], y: readonly number[]): number | null {
  const { xx, yy, xy } = moments(x, y);
  return xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : null;
}

export interface Line {
  readonly slope: number;
  readonly intercept: number;
}

/** Least squares y = slope · x + intercept; null when all x are equal. */
export function regression(x: readonly number[], y: readonly number[]): Line | null {
  const { xx, xy, meanX, meanY } = moments(x, y);
  if (!(xx > 0)) return null;
  const slope = xy / xx;
  return { slope, intercept: meanY - slope * meanX };
}

export const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Sample standard deviation (n − 1); 0 of a single value. */
export function deviation(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const center = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - center) ** 2, 0) / (values.length - 1));
}

function moments(x: readonly number[], y: readonly number[]) {
  const meanX = mean(x);
  const meanY = mean(y);
  let xx = 0;
  let yy = 0;
  let xy = 0;
  for (let i = 0; i < x.length; i++) {
    const [dx, dy] = [x[i]! - meanX, y[i]! - meanY];
    xx += dx * dx;
    yy += dy * dy;
    xy += dx * dy;
  }
  return { meanX, meanY, xx, yy, xy };
}

// How far training changed the magnitude and the direction of a weight (DoRA paper, section 3.2, equations 2 to 4):
// each row of the weight, that is each output, is its norm times a unit vector. A convolution counts as a matrix
// [outputs, inputs · kernel positions].
import { assert } from '../base/errors.ts';
import { correlation, mean, regression, type Line } from './statistics.ts';

export interface WeightChange {
  /** Mean over rows of |‖w‖ − ‖w₀‖| (equation 3). */
  readonly magnitude: number;
  /** The same divided by the mean of ‖w₀‖, so that layers of different size can be compared. */
  readonly relativeMagnitude: number;
  /** Mean over rows of 1 − cos(w, w₀) (equation 4), between 0 and 2. Rows of zeros have no direction and are left out. */
  readonly direction: number;
}

/** @param before weight [rows, …] before training; @param after the merged weight, same shape */
export function weightChange(before: ArrayLike<number>, after: ArrayLike<number>, rows: number): WeightChange {
  assert(before.length === after.length && before.length % rows === 0, 'two weights of one shape are compared');
  const width = before.length / rows;
  let change = 0;
  let size = 0;
  let turn = 0;
  let turned = 0;
  for (let row = 0; row < rows; row++) {
    const from = norm(before, row * width, width);
    const to = norm(after, row * width, width);
    change += Math.abs(to - from);
    size += from;
    if (from === 0 || to === 0) continue;
    turn += halfSquaredDistance(before, after, row * width, width, 1 / from, 1 / to);
    turned++;
  }
  return { magnitude: change / rows, relativeMagnitude: size > 0 ? change / size : 0, direction: turned > 0 ? turn / turned : 0 };
}

function norm(values: ArrayLike<number>, start: number, length: number): number {
  let sum = 0;
  for (let i = start; i < start + length; i++) sum += values[i]! * values[i]!;
  return Math.sqrt(sum);
}

/** ½‖a/‖a‖ − b/‖b‖‖², which equals 1 − cos(a, b) and keeps its digits for small angles. */
function halfSquaredDistance(a: ArrayLike<number>, b: ArrayLike<number>, start: number, length: number, perA: number, perB: number): number {
  let sum = 0;
  for (let i = start; i < start + length; i++) sum += (b[i]! * perB - a[i]! * perA) ** 2;
  return sum / 2;
}

export interface ChangePoint extends WeightChange {
  readonly layer: string;
  readonly step: number;
}

/** Relation of the two changes over points (layer × checkpoint). */
export interface ChangeSummary {
  readonly points: number;
  /** Pearson's correlation of the change of direction with that of magnitude. */
  readonly correlation: number | null;
  /** Magnitude as a straight line over direction. */
  readonly line: Line | null;
  /** The same with magnitudes relative to each layer's own. */
  readonly relativeCorrelation: number | null;
  readonly relativeLine: Line | null;
  readonly meanDirection: number;
  readonly meanMagnitude: number;
  readonly meanRelativeMagnitude: number;
}

export function summarizeChanges(points: readonly WeightChange[]): ChangeSummary {
  const directions = points.map(({ direction }) => direction);
  const magnitudes = points.map(({ magnitude }) => magnitude);
  const relative = points.map(({ relativeMagnitude }) => relativeMagnitude);
  return {
    points: points.length,
    correlation: correlation(directions, magnitudes),
    line: regression(directions, magnitudes),
    relativeCorrelation: correlation(directions, relative),
    relativeLine: regression(directions, relative),
    meanDirection: mean(directions),
    meanMagnitude: mean(magnitudes),
    meanRelativeMagnitude: mean(relative),
  };
}

/** Summaries by the last part of the layers' names (`to_q`, `to_v`, `proj`): the paper compares query matrices only. */
export function summariesByKind(points: readonly ChangePoint[]): Map<string, ChangeSummary> {
  const kinds = new Map<string, ChangePoint[]>();
  for (const point of points) {
    const kind = kindOf(point.layer);
    kinds.set(kind, [...(kinds.get(kind) ?? []), point]);
  }
  return new Map([...kinds].sort(([a], [b]) => (a < b ? -1 : 1)).map(([kind, own]) => [kind, summarizeChanges(own)]));
}

/** `to_q` of `unet…attn1.to_q`; a number at the end belongs to the name before it (`to_out.0`). */
export const kindOf = (layer: string): string => /[^.]+(?:\.\d+)?$/.exec(layer)?.[0] ?? layer;

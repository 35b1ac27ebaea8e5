// The picture of the DoRA paper's figure 2: each point is one layer at one checkpoint.
import { summarizeChanges, type ChangePoint } from '../magnitude-direction.ts';
import { xyChart, type Point, type Series } from './xy-chart.ts';

export interface ChangeGroup {
  readonly label: string;
  readonly color: string;
  readonly points: readonly ChangePoint[];
}

/** Magnitudes relative to each layer's own, so that layers of any size stand in one picture. A line per group. */
export function magnitudeDirectionChart(title: string, groups: readonly ChangeGroup[]): string {
  return xyChart({
    title,
    note: 'One point for each layer and checkpoint, pale to full from first to last checkpoint; lines are least squares.',
    x: { label: 'change of direction ΔD = mean(1 − cos)', includes: [0] },
    y: { label: 'change of magnitude ΔM / mean magnitude', includes: [0] },
    series: groups.flatMap(seriesOf),
  });
}

function seriesOf({ label, color, points }: ChangeGroup): Series[] {
  if (points.length === 0) return [];
  const { relativeCorrelation, relativeLine } = summarizeChanges(points);
  const steps = [...new Set(points.map(({ step }) => step))].sort((a, b) => a - b);
  const clouds = steps.map((step, i): Series => ({
    color,
    points: points.filter((point) => point.step === step).map(({ direction, relativeMagnitude }): Point => [direction, relativeMagnitude]),
    marker: { radius: 3.6, opacity: steps.length === 1 ? 0.75 : 0.2 + (0.65 * i) / (steps.length - 1) },
  }));
  const r = relativeCorrelation === null ? 'not defined' : signed(relativeCorrelation);
  const text = `${label}: r = ${r}`;
  if (!relativeLine) return [...clouds, { label: text, color, points: [], marker: { radius: 4 } }];
  const directions = points.map(({ direction }) => direction);
  const ends = [Math.min(...directions), Math.max(...directions)];
  const line = ends.map((x): Point => [x, relativeLine.slope * x + relativeLine.intercept]);
  return [...clouds, { label: `${text}, slope ${signed(relativeLine.slope)}`, color, points: line, line: { width: 2.6 } }];
}

export const signed = (value: number): string => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(2)}`;

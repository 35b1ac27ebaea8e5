// The course of a run's loss: each step, a running mean, and the measurements at fixed noise.
import { xyChart, type Point } from './xy-chart.ts';

export interface LossCourse {
  readonly name: string;
  readonly steps: readonly { readonly step: number; readonly loss: number | null }[];
  /** Loss at fixed noise and timesteps. */
  readonly measured: readonly { readonly step: number; readonly loss: number | null }[];
  /** What was measured: "held-out pictures". */
  readonly measuredOn: string;
}

export function lossChart({ name, steps, measured, measuredOn }: LossCourse): string {
  const raw = pointsOf(steps);
  const fixed = pointsOf(measured);
  // The loss of a step depends mostly on the timesteps it drew; a few of them must not flatten all the rest.
  const sorted = raw.map(([, loss]) => loss).sort((a, b) => a - b);
  const highest = Math.max(sorted[Math.floor(sorted.length * 0.99)] ?? 1, ...fixed.map(([, loss]) => loss)) * 1.05;
  return xyChart({
    title: `Loss: ${name}`,
    note: `Single steps vary with the noise and timesteps they draw; the measured points always use the same ones.${cutOff(raw, highest)}`,
    x: { label: 'step', includes: [0] },
    y: { label: 'mean squared error', includes: [0], atMost: highest },
    series: [
      { label: 'each step', color: '#93c5fd', points: raw, line: { width: 1, opacity: 0.8 } },
      { label: 'running mean', color: '#1d4ed8', points: runningMean(raw), line: { width: 2.4 } },
      { label: measuredOn, color: '#ea580c', points: fixed, line: { width: 1.6, dash: '5 4' }, marker: { radius: 4.5 } },
    ],
  });
}

/** Says what does not fit on the picture. */
export function cutOff(points: readonly Point[], highest: number): string {
  const above = points.filter(([, loss]) => loss > highest);
  if (above.length === 0) return '';
  const most = Math.max(...above.map(([, loss]) => loss)).toPrecision(2);
  return above.length === 1 ? ` One step is higher: ${most}.` : ` ${above.length} steps are higher, up to ${most}.`;
}

const pointsOf = (values: LossCourse['steps']): Point[] =>
  values.flatMap(({ step, loss }) => (loss === null ? [] : [[step, loss] as const]));

/** Exponential mean over about a twentieth of the run, corrected for its start. */
export function runningMean(points: readonly Point[]): Point[] {
  const decay = 1 - 1 / Math.max(5, points.length / 20);
  let sum = 0;
  let weight = 0;
  return points.map(([step, loss]) => {
    sum = decay * sum + (1 - decay) * loss;
    weight = decay * weight + (1 - decay);
    return [step, sum / weight];
  });
}

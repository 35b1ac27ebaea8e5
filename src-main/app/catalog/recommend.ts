// The answers to three questions as settings, each with its reason. A start that works, not a verdict.

import { adapters } from '../../catalog/adapters/index.ts';
import type { Draft, Given, Output } from '../../contract/api.ts';
import { consumers as programs } from '../../contract/job.ts';

type Recommendation = Output<'recipes.recommend'>;

export interface Facts {
  /** Pictures of an epoch, repeats counted. */
  readonly pictures: number;
  /** Side in pixels that the model was made for; null when it is not known yet. */
  readonly side: number | null;
}

const GOALS = {
  style: { passes: 60, rank: 16, rate: 2e-4, targets: 'linear', why: 'A style shows in many layers.' },
  fidelity: { passes: 100, rank: 32, rate: 1e-4, targets: 'linear+conv', why: 'Details need more layers, a higher rank and small steps.' },
  speed: { passes: 30, rank: 8, rate: 4e-4, targets: 'attention', why: 'Attention alone is quick and changes most of what is seen.' },
} as const;

export function recommend(draft: Draft, { consumer, goal, intensity }: Given<'recipes.recommend'>, { pictures, side }: Facts): Recommendation {
  const { passes, rank, rate, targets, why } = GOALS[goal];
  const isSmall = side !== null && side <= 128;
  const batch = isSmall ? 4 : 1;
  const strength = 0.5 + intensity;
  const steps = Math.round(Math.min(6000, Math.max(isSmall ? 100 : 300, (strength * passes * Math.max(1, pictures)) / batch / (isSmall ? 4 : 1))) / 10) * 10;
  // The first adapter of the catalog with magnitudes; without one the job's default holds.
  const kind = Object.entries(adapters).find(([, { fields }]) => 'axis' in fields)?.[0];
  const every = Math.max(10, Math.round(steps / 10 / 10) * 10);
  const target = programs.find((program) => program === consumer) ?? 'all';
  const reasons: Recommendation['reasons'] = [];
  let next = draft;
  const set = (path: string, value: unknown, text: string): void => {
    next = withValue(next, path.split('.'), value);
    reasons.push({ path, value, text });
  };
  if (kind !== undefined) set('adapter.kind', kind, 'Learns strength and direction apart: closer to full training at the size of a LoRA.');
  set('adapter.targets', targets, why);
  set('adapter.rank', rank, goal === 'speed' ? 'A low rank is enough for a first look.' : 'Room for the change; half of what a LoRA needs.');
  set('adapter.alpha', rank, 'Equal to the rank, so that the strength stays 1.');
  if (kind !== undefined) set('adapter.axis', 'auto', 'The one that the program you named applies as it was trained.');
  set('output.for', target, 'The file is written for this program.');
  set('optimizer.learningRate', Number((rate * (isSmall ? 3.5 : 1) * (0.75 + intensity / 2)).toPrecision(2)), 'Higher learns faster and may overshoot.');
  set('schedule.kind', 'cosine', 'Ends in small steps, which settles details.');
  set('schedule.warmup', Math.min(50, Math.round(steps / 20)), 'The first steps are careful.');
  set('train.steps', steps, `About ${passes} looks at each of ${pictures} pictures, weighted by the intensity.`);
  set('train.batch', batch, isSmall ? 'Small pictures fit several at once.' : 'One picture at a time fits any device.');
  set('train.saveEvery', every, 'Ten checkpoints to choose the best from.');
  set('train.keep', 10, 'All ten are kept.');
  set('train.probeEvery', every, 'A fixed measurement beside each checkpoint.');
  set('preview.every', every, 'A picture at every checkpoint.');
  set('data.caption.dropout', 0.1, 'Some captions are left out, so that the style also shows without words.');
  return { draft: next, reasons };
}

function withValue(draft: Draft, [key = '', ...rest]: readonly string[], value: unknown): Draft {
  if (rest.length === 0) return { ...draft, [key]: value };
  const inner = draft[key];
  return { ...draft, [key]: withValue(typeof inner === 'object' && inner !== null ? inner as Draft : {}, rest, value) };
}

// The answers to three questions as settings, each with its reason. A start that works, not a verdict.

import { adapters } from '../../catalog/adapters/index.ts';
import type { Draft, Given, Output } from '../../contract/api.ts';
import { say } from '../../contract/text.ts';
import { consumers as programs } from '../../contract/job.ts';

type Recommendation = Output<'recipes.recommend'>;

export interface Facts {
  /** Pictures of an epoch, repeats counted. */
  readonly pictures: number;
  /** Side in pixels that the model was made for; null when it is not known yet. */
  readonly side: number | null;
}

const GOALS = {
  style: { passes: 60, rank: 16, rate: 2e-4, fidelity: 0.5, economy: 0.5 },
  fidelity: { passes: 100, rank: 32, rate: 1e-4, fidelity: 0.9, economy: 0.5 },
  speed: { passes: 30, rank: 8, rate: 4e-4, fidelity: 0.2, economy: 0.4 },
} as const;

/** Which third of a slider a value lies in. */
const third = (value: number): 0 | 1 | 2 => (value < 0.34 ? 0 : value < 0.67 ? 1 : 2);

/** How closely pictures are followed. Min-SNR weighs steps with little noise, where details are, less. */
const FIDELITY = [
  { targets: 'attention', dropout: 0.05, gamma: 1, why: 'Attention alone is quick, and prompts keep their freedom.', weight: 'Shapes and colours count more than details.' },
  { targets: 'linear', dropout: 0.1, gamma: 5, why: 'A style shows in many layers.', weight: 'Details count, and do not drown the rest.' },
  { targets: 'linear+conv', dropout: 0.15, gamma: null, why: 'Textures and edges live in convolutions.', weight: 'Every detail of the pictures counts fully.' },
] as const;

/** What each slider, and the program, decides; a goal decides everything. */
const PATHS = {
  consumer: ['output.for', 'adapter.axis'],
  intensity: ['adapter.rank', 'adapter.alpha', 'optimizer.learningRate', 'schedule.warmup', 'train.steps', 'train.saveEvery', 'train.keep', 'train.probeEvery', 'preview.every'],
  fidelity: ['adapter.targets', 'data.caption.dropout', 'objective.weighting', 'objective.minSnrGamma'],
  economy: ['train.batch', 'train.checkpointing', 'data.resolution'],
} as const;

export function recommend(stored: Draft, { draft = stored, only, consumer, goal, intensity, fidelity = GOALS[goal].fidelity, economy = GOALS[goal].economy }: Given<'recipes.recommend'>, { pictures, side }: Facts): Recommendation {
  const { passes, rank: usual, rate } = GOALS[goal];
  const { targets, dropout, gamma, why, weight } = FIDELITY[third(fidelity)];
  const isSmall = side !== null && side <= 128;
  const isTight = economy >= 0.7;
  const batch = isSmall ? (isTight ? 2 : 4) : economy < 0.3 ? 2 : 1;
  const rank = usual * [0.5, 1, 2][third(intensity)]!;
  const strength = 0.5 + intensity;
  const steps = Math.round(Math.min(6000, Math.max(isSmall ? 100 : 300, (strength * passes * Math.max(1, pictures)) / batch / (isSmall ? 4 : 1))) / 10) * 10;
  // The first adapter of the catalog with magnitudes; without one the job's default holds.
  const kind = Object.entries(adapters).find(([, { fields }]) => 'axis' in fields)?.[0];
  const every = Math.max(10, Math.round(steps / 10 / 10) * 10);
  const target = programs.find((program) => program === consumer) ?? 'all';
  const reasons: Recommendation['reasons'] = [];
  let next = draft;
  const wanted: readonly string[] | null = only === undefined ? null : PATHS[only];
  const set = (path: string, value: unknown, text: string): void => {
    if (wanted !== null && !wanted.includes(path)) return;
    next = withValue(next, path.split('.'), value);
    reasons.push({ path, value, ...say(`reason.${path}`, text, { value, goal, pictures, passes, intensity, fidelity, economy }) });
  };
  if (kind !== undefined) set('adapter.kind', kind, 'Learns strength and direction apart: closer to full training at the size of a LoRA.');
  set('adapter.targets', targets, why);
  set('adapter.rank', rank, third(intensity) === 2 ? 'Room for a large change.' : third(intensity) === 0 ? 'A low rank keeps the change small.' : goal === 'speed' ? 'A low rank is enough for a first look.' : 'Room for the change; half of what a LoRA needs.');
  set('adapter.alpha', rank, 'Equal to the rank, so that the strength stays 1.');
  if (kind !== undefined) set('adapter.axis', 'auto', 'The one that the program you named applies as it was trained.');
  set('output.for', target, 'The file is written for this program.');
  set('optimizer.learningRate', Number((rate * (isSmall ? 3.5 : 1) * (0.75 + intensity / 2)).toPrecision(2)), 'Higher learns faster and may overshoot.');
  set('schedule.kind', 'cosine', 'Ends in small steps, which settles details.');
  set('schedule.warmup', Math.min(50, Math.round(steps / 20)), 'The first steps are careful.');
  set('train.steps', steps, `About ${passes} looks at each of ${pictures} pictures, weighted by the strength.`);
  set('train.batch', batch, batch === 1 ? 'One picture at a time fits any device.' : 'Several pictures at once make steps steadier.');
  set('train.checkpointing', isSmall ? isTight : economy >= 0.3, (isSmall ? isTight : economy >= 0.3) ? 'Saves memory; a step takes about a third longer.' : 'Faster steps for more memory.');
  set('data.resolution', isTight && side !== null && side >= 256 ? Math.round((side * 0.75) / 64) * 64 : 'auto', isTight && !isSmall ? 'Smaller pictures take half of the memory and time, and lose fine detail.' : 'The size that the model was made for.');
  set('train.saveEvery', every, 'Ten checkpoints to choose the best from.');
  set('train.keep', 10, 'All ten are kept.');
  set('train.probeEvery', every, 'A fixed measurement beside each checkpoint.');
  set('preview.every', every, 'A picture at every checkpoint.');
  set('data.caption.dropout', dropout, 'Some captions are left out, so that the style also shows without words.');
  set('objective.weighting', gamma === null ? 'none' : 'min-snr', weight);
  set('objective.minSnrGamma', gamma ?? 5, 'Lower looks less at details.');
  return { draft: next, reasons, fidelity, economy };
}

function withValue(draft: Draft, [key = '', ...rest]: readonly string[], value: unknown): Draft {
  if (rest.length === 0) return { ...draft, [key]: value };
  const inner = draft[key];
  return { ...draft, [key]: withValue(typeof inner === 'object' && inner !== null ? inner as Draft : {}, rest, value) };
}

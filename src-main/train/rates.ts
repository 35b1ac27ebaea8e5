// Learning rates of a job by step, and how far they can have moved its tensors.
import { rateFactor } from '../catalog/schedules/index.ts';
import type { Job } from '../contract/job.ts';
import { optimizerOf, ownRateOf } from './plan.ts';
import type { Reach } from './proof.ts';
import type { TrainedValues } from './trained.ts';
import { OWN_RATE, sharedName } from './update-graph.ts';

export interface Rates {
  readonly rate: number;
  /** Of the tensors that have one of their own. */
  readonly ownRate: number;
}

/** @param step from 1 */
export function ratesAt(job: Job, step: number): Rates {
  const course = rateFactor(job.schedule.kind, step - 1, job.train.steps, job.schedule.warmup, job.schedule);
  return { rate: Number((job.optimizer as Record<string, unknown>)['learningRate']) * course, ownRate: (ownRateOf(job)?.rate ?? 0) * course };
}

/** The learning rate that a step (from 1) is made with: the schedule's, or the optimizer's own. */
export function usedRate(job: Job, step: number): number {
  const { optimizer, settings } = optimizerOf(job);
  const { rate } = ratesAt(job, step);
  return optimizer.rate?.(step, rate, settings as never) ?? rate;
}

/** Steps at the beginning of a run, up to `step`, whose rate is 0: the first of a warm-up. */
export function stillSteps({ schedule: { kind, warmup, ...settings }, train }: Job, step: number): number {
  let still = 0;
  while (still < step && still < train.steps && rateFactor(kind, still, train.steps, warmup, settings) === 0) still++;
  return still;
}

/**
 * How far each tensor can have come within the first `steps`.
 * @param values now: of what the optimizer shares between tensors
 */
export function reachWithin(job: Job, steps: number, values: TrainedValues): (name: string, start: number, now: number) => Reach {
  const { optimizer, settings } = optimizerOf(job);
  const hasOwnRate = ownRateOf(job)?.has ?? (() => false);
  const rates = Array.from({ length: steps }, (_, i) => ratesAt(job, i + 1));
  const sharedOf = (prefix: string): Record<string, number> => Object.fromEntries(Object.keys(optimizer.shared?.(settings as never) ?? {}).map((key) =>
    [key, (values.get(sharedName(`${prefix}${key}`))?.data as Float32Array | undefined)?.[0] ?? 0]));
  return (name, start, now) => {
    const isOwn = hasOwnRate(name);
    const shared = sharedOf(isOwn ? OWN_RATE : '');
    const strides = rates.map(({ rate, ownRate }, i) => ({
      small: optimizer.stride(i + 1, isOwn ? ownRate : rate, settings as never, start, shared),
      large: optimizer.stride(i + 1, isOwn ? ownRate : rate, settings as never, Math.max(start, now), shared),
    }));
    return {
      least: strides.reduce((sum, { small }) => sum + small.least, 0) / steps,
      most: strides.reduce((sum, { large }) => sum + large.most, 0),
      keep: strides.reduce((product, { small }) => product * small.keep, 1),
    };
  };
}

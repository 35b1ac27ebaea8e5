// Proof of learning: within the first steps every trained tensor must have moved by as much as its optimizer moves values,
// and at the end the loss at fixed noise must have fallen. Hours of training that change nothing are the worst failure of a
// trainer.
import type { TrainEventBody } from '../contract/events.ts';
import type { TrainedValues } from './trained.ts';

/** Step after which movement is judged. */
export const PROOF_STEP = 20;

/** Least movement in all steps together, in usual steps: a tensor with any gradient passes this in one. */
const LEAST_STEPS = 0.05;
/** Longest movement of one step, in usual steps: bias corrections may make the first ones somewhat longer. */
const MOST_STEPS = 5;
/**
 * A tensor that has become this many times its size is no longer what it was, whatever the rate; biases that start near
 * zero may, so its elements must have moved by more than the second number too.
 */
const MOST_RELATIVE = 5;
const WILD_ELEMENT = 0.1;
/** Root mean square of a tensor that starts at zero: B of a low-rank layer with A of its usual size then is more than W. */
const MOST_FROM_ZERO = 1;

/** How far a tensor could have come, by the steps that were done. */
export interface Reach {
  /** Root mean square of an element's change in a usual step of the smallest kind. */
  readonly least: number;
  /** In all steps together, had they gone in one direction. */
  readonly most: number;
  /** What weight decay has left of the start. */
  readonly keep: number;
}

export interface Movement extends Reach {
  readonly name: string;
  /** Root mean square of the change of its elements, weight decay not counted. */
  readonly element: number;
  /** Root mean square of its start. */
  readonly start: number;
}

const rootMeanSquare = (squares: number, count: number): number => Math.sqrt(squares / Math.max(1, count));

/** Root mean square of a tensor's values. */
export const sizeOfValues = (values: Float32Array): number => rootMeanSquare(values.reduce((sum, value) => sum + value * value, 0), values.length);

/** @param reachOf a tensor by its name and the larger of its sizes at the start and now */
export function movements(start: ReadonlyMap<string, Float32Array>, now: TrainedValues, reachOf: (name: string, start: number, now: number) => Reach): Movement[] {
  return [...start].map(([name, before]) => {
    const after = now.get(name)!.data as Float32Array;
    const size = sizeOfValues(before);
    const reach = reachOf(name, size, sizeOfValues(after));
    let change = 0;
    for (let i = 0; i < before.length; i++) change += (after[i]! - before[i]! * reach.keep) ** 2;
    return { ...reach, name, start: size, element: rootMeanSquare(change, before.length) };
  });
}

/** Whether it moved less than one step of training does. */
const isStill = ({ element, least }: Movement): boolean => element <= LEAST_STEPS * least;

function isWild({ element, most, start }: Movement): boolean {
  if (!Number.isFinite(element) || element > MOST_STEPS * most) return true;
  return start === 0 ? element > MOST_FROM_ZERO : element > MOST_RELATIVE * start && element > WILD_ELEMENT;
}

/** A bias in front of a softmax over keys has no gradient by nature: it may stand still where its weight moves. */
function isExcused({ name }: Movement, moved: ReadonlySet<string>): boolean {
  return name.endsWith('.bias') && moved.has(name.replace(/\.bias$/, '.weight'));
}

export interface MovementVerdict {
  readonly ok: boolean;
  readonly event: TrainEventBody;
}

/** Judges the first steps: names the tensors that did not move, or moved out of all bounds. */
export function judgeMovement(step: number, all: readonly Movement[]): MovementVerdict {
  const moved = new Set(all.filter((one) => !isStill(one)).map(({ name }) => name));
  const still = all.filter((one) => isStill(one) && !isExcused(one, moved));
  const wild = all.filter(isWild);
  const ok = still.length === 0 && wild.length === 0;
  const sorted = all.map(({ element }) => element).sort((a, b) => a - b);
  const names = (list: readonly Movement[]): string[] => list.map(({ name }) => name);
  const data = { tensors: all.length, smallest: sorted[0], median: sorted[sorted.length >> 1], largest: sorted.at(-1), still: names(still), wild: names(wild) };
  return { ok, event: { kind: 'verdict', name: 'movement', step, ok, text: textOf(step, all.length, still, wild), data } };
}

function textOf(step: number, count: number, [still, ...stillToo]: readonly Movement[], [wild, ...wildToo]: readonly Movement[]): string {
  if (wild) {
    return `${1 + wildToo.length} of ${count} trained tensors changed out of all bounds in ${step} steps, first "${wild.name}" (by ${show(wild.element)} per value, from ${show(wild.start)}): lower the learning rate.`;
  }
  if (still) {
    const least = still.least > 0 ? `, where a step moves ${show(still.least)}` : '';
    return `${1 + stillToo.length} of ${count} trained tensors did not move in ${step} steps, first "${still.name}" (by ${show(still.element)} per value${least}): nothing is learnt there. Check the learning rate and the device (adora doctor).`;
  }
  return `All ${count} trained tensors moved within the first ${step} steps, as far as they should.`;
}

const show = (value: number): string => (value === 0 ? '0' : value.toExponential(1));

/** Judges the whole run by the loss at fixed noise and timesteps. */
export function judgeLoss(step: number, first: number | null, last: number | null): TrainEventBody {
  const ok = first !== null && last !== null && last < first;
  const change = first !== null && last !== null ? (100 * (last - first)) / first : null;
  const text = change === null
    ? 'The loss at fixed noise could not be measured.'
    : ok
      ? `The loss at fixed noise fell by ${(-change).toFixed(1)} % (${first!.toFixed(5)} to ${last!.toFixed(5)}).`
      : `The loss at fixed noise did not fall (${first!.toFixed(5)} to ${last!.toFixed(5)}): train longer or change the learning rate.`;
  return { kind: 'verdict', name: 'loss-fell', step, ok, text, data: { first, last, percent: change } };
}

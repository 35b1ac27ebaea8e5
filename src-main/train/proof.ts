// Proof of learning: within the first steps every trained tensor must have moved by a sane amount, and at the end the
// loss at fixed noise must have fallen. Hours of training that change nothing are the worst failure of a trainer.
import type { TrainEventBody } from '../contract/events.ts';
import type { TrainedValues } from './trained.ts';

/** Step after which movement is judged. */
export const PROOF_STEP = 20;

/** Relative movement of a tensor outside of this band in the first steps is not training. */
const LEAST = 1e-9;
const MOST = 10;
/** Biases that start near zero may grow many times; that is wild only when their elements move by more than this. */
const WILD_ELEMENT = 0.1;

export interface Movement {
  readonly name: string;
  /** L2 norm of the change. */
  readonly change: number;
  /** Change relative to the start (to the change itself for tensors that start at zero: then 1). */
  readonly relative: number;
  /** Root mean square of the changes of its elements. */
  readonly element: number;
}

export function movements(start: ReadonlyMap<string, Float32Array>, now: TrainedValues): Movement[] {
  return [...start].map(([name, before]) => {
    const after = now.get(name)!.data as Float32Array;
    let change = 0;
    let size = 0;
    for (let i = 0; i < before.length; i++) {
      change += (after[i]! - before[i]!) ** 2;
      size += before[i]! ** 2;
    }
    const norm = Math.sqrt(change);
    return { name, change: norm, element: norm / Math.sqrt(before.length), relative: size > 0 ? norm / Math.sqrt(size) : norm > 0 ? 1 : 0 };
  });
}

export interface MovementVerdict {
  readonly ok: boolean;
  readonly event: TrainEventBody;
}

/** Judges the first steps: names the tensors that did not move, or moved out of all bounds. */
export function judgeMovement(step: number, moved: readonly Movement[]): MovementVerdict {
  const still = moved.filter(({ relative }) => !(relative > LEAST)).map(({ name }) => name);
  const wild = moved.filter(({ relative, element }) => !(relative < MOST || element < WILD_ELEMENT)).map(({ name }) => name);
  const ok = still.length === 0 && wild.length === 0;
  const sorted = moved.map(({ relative }) => relative).sort((a, b) => a - b);
  const data = { tensors: moved.length, smallest: sorted[0], median: sorted[sorted.length >> 1], largest: sorted.at(-1), still, wild };
  const text = ok
    ? `All ${moved.length} trained tensors moved within the first ${step} steps.`
    : still.length > 0
      ? `${still.length} of ${moved.length} trained tensors did not move in ${step} steps, first "${still[0]}": nothing is learnt there. Check the learning rate and the device (adora doctor).`
      : `${wild.length} of ${moved.length} trained tensors changed more than ${MOST} times their size in ${step} steps, first "${wild[0]}": lower the learning rate.`;
  return { ok, event: { kind: 'verdict', name: 'movement', step, ok, text, data } };
}

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

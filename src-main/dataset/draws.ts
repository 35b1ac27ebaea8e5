// One epoch as a list of draws: which picture comes when, and in which of its variants.
import { rng } from '../base/rng.ts';

/** What the order of training needs to know of a picture. */
export interface DrawSource {
  readonly bucket: number;
  readonly repeats: number;
  readonly regularization: boolean;
  readonly variants: { readonly length: number };
}

export interface Draw {
  /** Index in the list of pictures. */
  readonly item: number;
  /** Index in the picture's variants. */
  readonly variant: number;
  readonly epoch: number;
  /** Counts the uses of this picture over all epochs, from 0; names its random streams. */
  readonly occurrence: number;
  readonly regularization: boolean;
}

export interface DrawPlan {
  /** Draws of an epoch, of both kinds. */
  readonly length: number;
  readonly buckets: number;
  /** The draws of epoch `n` in their order. */
  epoch(n: number): Draw[];
  /** How many draws of each bucket come before epoch `n`. */
  countsBefore(n: number): number[];
}

interface Copy {
  readonly item: number;
  readonly copy: number;
}

const copiesOf = (sources: readonly DrawSource[], regularization: boolean): Copy[] =>
  sources.flatMap((source, item) => (source.regularization !== regularization ? []
    : Array.from({ length: source.repeats }, (_, copy) => ({ item, copy }))));

/**
 * An epoch draws each picture exactly `repeats` times in random order. With regularization pictures as many of those
 * are drawn, alternating with the others; they go round in their own order, so all have their turn even when an epoch
 * has room for a part of them only. A picture's variants are used equally often: each round of them has a new order.
 */
export function planDraws(sources: readonly DrawSource[], seed: number): DrawPlan {
  const training = copiesOf(sources, false);
  const prior = copiesOf(sources, true);
  const buckets = 1 + sources.reduce((most, { bucket }) => Math.max(most, bucket), 0);
  const priorOrder = remember(2, (round: number) => rng(seed, 'dataset-prior-order', round).shuffle(prior.length));

  const draw = ({ item, copy }: Copy, round: number, epoch: number): Draw => {
    const { repeats, regularization, variants } = sources[item]!;
    const occurrence = round * repeats + copy;
    const turn = Math.floor(occurrence / variants.length);
    const order = rng(seed, 'dataset-variant', item, turn).shuffle(variants.length);
    return { item, variant: order[occurrence % variants.length]!, epoch, occurrence, regularization };
  };

  const countInto = (counts: number[], copies: readonly Copy[], times: number): void => {
    for (const { item } of copies) counts[sources[item]!.bucket]! += times;
  };

  return {
    length: training.length * (prior.length > 0 ? 2 : 1),
    buckets,
    epoch(n) {
      const order = rng(seed, 'dataset-epoch', n).shuffle(training.length);
      return order.flatMap((index, position) => {
        const own = draw(training[index]!, n, n);
        if (prior.length === 0) return [own];
        const turn = n * training.length + position;
        const round = Math.floor(turn / prior.length);
        return [own, draw(prior[priorOrder(round)[turn % prior.length]!]!, round, n)];
      });
    },
    countsBefore(n) {
      const counts = new Array<number>(buckets).fill(0);
      countInto(counts, training, n);
      if (prior.length > 0) {
        const turn = n * training.length;
        const round = Math.floor(turn / prior.length);
        countInto(counts, prior, round);
        countInto(counts, priorOrder(round).slice(0, turn % prior.length).map((index) => prior[index]!), 1);
      }
      return counts;
    },
  };
}

/** A pure function of a number that keeps its last few results. */
export function remember<T>(size: number, compute: (n: number) => T): (n: number) => T {
  const known = new Map<number, T>();
  return (n) => {
    let value = known.get(n);
    if (value === undefined) {
      value = compute(n);
      known.set(n, value);
      if (known.size > size) known.delete(known.keys().next().value!);
    }
    return value;
  };
}

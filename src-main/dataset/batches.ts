// From draws to batches. The order of all training is one endless list, epoch after epoch; every bucket takes its
// draws out of it and gives a batch whenever it has enough. So batches have one shape and one size, nothing is ever
// dropped, and any batch can be computed without those before it: resuming needs the step's number only.
import { assert, UserError } from '../base/errors.ts';
import { planDraws, remember, type Draw, type DrawPlan, type DrawSource } from './draws.ts';

export interface Batch {
  /** Index of the size that all pictures of the batch share. */
  readonly bucket: number;
  readonly entries: readonly Draw[];
}

export interface Batches {
  readonly batchSize: number;
  /** Draws of an epoch; an epoch is `drawsPerEpoch / batchSize` batches, not always a whole number. */
  readonly drawsPerEpoch: number;
  /** Batch number `index`, from 0; the same however and whenever it is asked for. */
  at(index: number): Batch;
}

interface Layout {
  readonly epoch: number;
  readonly batches: readonly Batch[];
  /** Draws per bucket that wait for a later epoch. */
  readonly rest: readonly (readonly Draw[])[];
}

/**
 * Batches of exactly `batchSize` pictures, `sources` being all that are trained on. A bucket with fewer pictures than
 * that gathers them over several epochs. Error: `dataset.nothing-to-train` without a picture that is no
 * regularization picture.
 */
export function createBatches(
  sources: readonly DrawSource[], { batchSize, seed }: { readonly batchSize: number; readonly seed: number },
): Batches {
  assert(Number.isInteger(batchSize) && batchSize >= 1, `a batch of ${batchSize} pictures`);
  const plan = planDraws(sources, seed);
  if (plan.length === 0) {
    throw new UserError('dataset.nothing-to-train', 'The data set has no pictures to train on, only regularization ' +
      'or held-out ones: add a folder without regularization = true, or lower data.holdout.');
  }
  const epochDraws = remember(3, (n) => plan.epoch(n));
  const bucketOf = ({ item }: Draw): number => sources[item]!.bucket;
  const firstBatch = (n: number): number =>
    plan.countsBefore(n).reduce((total, count) => total + Math.floor(count / batchSize), 0);

  /** What the buckets hold when epoch `n` begins: the last few draws of each from the epochs before. */
  const waitingBefore = (n: number): Draw[][] => {
    const missing = plan.countsBefore(n).map((count) => count % batchSize);
    const waiting = missing.map((): Draw[] => []);
    for (let epoch = n - 1; missing.some((count) => count > 0); epoch--) {
      for (const draw of epochDraws(epoch).toReversed()) {
        const bucket = bucketOf(draw);
        if (missing[bucket]! > 0) {
          waiting[bucket]!.unshift(draw);
          missing[bucket]!--;
        }
      }
    }
    return waiting;
  };

  const layOut = (n: number, before: readonly (readonly Draw[])[]): Layout => {
    const rest = before.map((draws) => [...draws]);
    const batches: Batch[] = [];
    for (const draw of epochDraws(n)) {
      const bucket = bucketOf(draw);
      rest[bucket]!.push(draw);
      if (rest[bucket]!.length === batchSize) batches.push({ bucket, entries: rest[bucket]!.splice(0) });
    }
    return { epoch: n, batches, rest };
  };

  let current: { layout: Layout; first: number } | undefined;
  return {
    batchSize,
    drawsPerEpoch: plan.length,
    at(index) {
      assert(Number.isSafeInteger(index) && index >= 0, `batch number ${index}`);
      if (current === undefined || index < current.first || index >= current.first + current.layout.batches.length) {
        const epoch = epochOfBatch(index, plan, batchSize, firstBatch);
        const before = current?.layout.epoch === epoch - 1 ? current.layout.rest : waitingBefore(epoch);
        current = { layout: layOut(epoch, before), first: firstBatch(epoch) };
      }
      return current.layout.batches[index - current.first]!;
    },
  };
}

/** The epoch in which a batch becomes full, by bisection. */
function epochOfBatch(index: number, plan: DrawPlan, batchSize: number, firstBatch: (n: number) => number): number {
  let low = 0;
  // Each bucket holds back less than a batch.
  let high = Math.ceil((index + 1 + plan.buckets) * batchSize / plan.length);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (firstBatch(middle) <= index) low = middle;
    else high = middle;
  }
  return low;
}

// Running many promises without starting them all at once.
import { assert } from './errors.ts';

/**
 * Yields `work(item, index)` in the order of the items while at most `limit` of them are under way. Stops at the
 * first failure: nothing new is started, what is under way is awaited, then the failure is thrown. Leaving the loop
 * early also starts nothing new.
 */
export async function* mapAhead<T, R>(
  items: Iterable<T>, limit: number, work: (item: T, index: number) => Promise<R> | R,
): AsyncGenerator<R, void, undefined> {
  assert(limit >= 1, 'mapAhead needs a limit of at least 1');
  const underWay: Promise<R>[] = [];
  const source = items[Symbol.iterator]();
  let index = 0;
  const startOne = (): boolean => {
    const next = source.next();
    if (next.done) return false;
    const at = index++;
    const promise = (async () => work(next.value, at))();
    // A failure is reported when its turn comes; until then it must not count as unhandled.
    promise.catch(() => undefined);
    underWay.push(promise);
    return true;
  };
  try {
    while (underWay.length < limit && startOne());
    for (let first = underWay.shift(); first !== undefined; first = underWay.shift()) {
      const result = await first;
      startOne();
      yield result;
    }
  } finally {
    await Promise.allSettled(underWay);
    source.return?.();
  }
}

/** Like `Promise.all(items.map(work))`, with at most `limit` at the same time. */
export async function mapLimit<T, R>(
  items: Iterable<T>, limit: number, work: (item: T, index: number) => Promise<R> | R,
): Promise<R[]> {
  const results: R[] = [];
  for await (const result of mapAhead(items, limit, work)) results.push(result);
  return results;
}

/** A queue that runs what it is given one at a time, in order; a failure does not stop the ones behind it. */
export function serialQueue(): <R>(work: () => Promise<R> | R) => Promise<R> {
  let tail: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = tail.then(work);
    tail = result.catch(() => undefined);
    return result;
  };
}

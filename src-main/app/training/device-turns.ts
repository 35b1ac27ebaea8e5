// Whose turn the device is. A training has it until it pauses or ends; what else computes there waits for that, because two
// models at once may not fit and a training must not fail for a picture. A training that begins does not wait either: what is
// at work stops, and goes on later. All the others take their turns in the order in which they asked.

import { serialQueue } from '../../base/async.ts';

export interface Turn {
  /** Hears that something else has the device. */
  readonly onWait?: (by: 'training' | 'work') => void;
  /** Whether work that a training stopped is begun again after it; true if left out. */
  readonly again?: boolean;
  /** The work uses what was kept on the device between two turns; else that is given back first. */
  readonly keeps?: boolean;
}

export interface DeviceTurns {
  /** Resolves when nothing else is on the device; until `leave` nothing new gets it. */
  take(): Promise<void>;
  leave(): void;
  isTaken(): boolean;
  /** Nothing has the device and nothing waits for it. */
  isFree(): boolean;
  /**
   * Works while no training has the device. When one begins, the signal of `work` is aborted. Gives whether the work was done,
   * which is not so only where it is not begun again. Rejects with the reason of `signal` when that is aborted.
   */
  between(signal: AbortSignal, work: (signal: AbortSignal) => Promise<void>, turn?: Turn): Promise<boolean>;
}

/** @param giveBack what is kept on the device between two turns; resolves when it is free */
export function createDeviceTurns(giveBack: () => Promise<void> = async () => {}): DeviceTurns {
  let isTaken = false;
  const taken = (): boolean => isTaken;
  let freed: () => void = () => {};
  let untilFree = Promise.resolve();
  const oneAtATime = serialQueue();
  const atWork = new Map<AbortController, Promise<void>>();
  return {
    take: async () => {
      if (!isTaken) {
        isTaken = true;
        untilFree = new Promise((resolve) => { freed = resolve; });
      }
      for (const stop of atWork.keys()) stop.abort();
      await Promise.allSettled(atWork.values());
      await giveBack();
    },
    leave: () => {
      isTaken = false;
      freed();
    },
    isTaken: taken,
    isFree: () => !isTaken && atWork.size === 0,
    between: async (signal, work, { onWait = () => {}, again = true, keeps = false } = {}) => {
      for (;;) {
        signal.throwIfAborted();
        if (isTaken) onWait('training');
        while (taken()) await orAborted(untilFree, signal);
        if (atWork.size > 0) onWait('work');
        const stop = new AbortController();
        const stopToo = (): void => stop.abort(signal.reason);
        signal.addEventListener('abort', stopToo);
        const working = inTurn(oneAtATime, stop.signal, async () => {
          if (!keeps) await giveBack();
          await work(stop.signal);
        });
        atWork.set(stop, working);
        try {
          await working;
          return true;
        } catch (error) {
          // Stopped for a training: what is left comes later. Everything else is the end of it.
          if (signal.aborted || !stop.signal.aborted) throw error;
          if (!again) return false;
        } finally {
          atWork.delete(stop);
          signal.removeEventListener('abort', stopToo);
        }
      }
    },
  };
}

/** Who is stopped before its turn comes leaves at once. */
function inTurn(oneAtATime: ReturnType<typeof serialQueue>, stop: AbortSignal, work: () => Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    let hasBegun = false;
    stop.addEventListener('abort', () => { if (!hasBegun) reject(stop.reason as Error); });
    oneAtATime(async () => {
      stop.throwIfAborted();
      hasBegun = true;
      await work();
    }).then(resolve, reject);
  });
}

async function orAborted(done: Promise<void>, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const stop = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
    void done.then(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    });
  });
}

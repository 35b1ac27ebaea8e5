// Whose turn the device is. A training has it until it pauses or ends; what else computes there waits for that, because two
// models at once may not fit and a training must not fail for a picture. A training that begins does not wait either: what is
// at work stops, and goes on later. All the others take their turns in the order in which they asked.

import { serialQueue } from '../../base/async.ts';
import { say } from '../../contract/text.ts';

/** What people are told while the device is another's, by who has it. */
export const WAITS = {
  training: say('task.waits', 'Waits until the training pauses or ends'),
  painting: say('task.waits-for-painting', 'Waits until other pictures are painted'),
  export: say('task.waits-for-export', 'Waits until the picture of an export is painted'),
  doctor: say('task.waits-for-doctor', 'Waits until the devices are examined'),
  forecast: say('task.waits-for-forecast', 'Waits until a forecast has timed a step'),
} as const;

export interface Turn {
  /** What the others wait for meanwhile. */
  readonly as: Exclude<keyof typeof WAITS, 'training'>;
  /** Hears who has the device, at first and when that changes. */
  readonly onWait?: (by: keyof typeof WAITS) => void;
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
  between(signal: AbortSignal, work: (signal: AbortSignal) => Promise<void>, turn: Turn): Promise<boolean>;
}

/** @param giveBack what is kept on the device between two turns; resolves when it is free */
export function createDeviceTurns(giveBack: () => Promise<void> = async () => {}): DeviceTurns {
  let isTaken = false;
  const taken = (): boolean => isTaken;
  let freed: () => void = () => {};
  let untilFree = Promise.resolve();
  const oneAtATime = serialQueue();
  /** In the order of their turns; the first has the device. */
  const atWork = new Map<AbortController, Pick<Turn, 'as' | 'onWait'> & { readonly working: Promise<void> }>();
  const first = (): Pick<Turn, 'as'> | undefined => atWork.values().next().value;
  return {
    take: async () => {
      if (!isTaken) {
        isTaken = true;
        untilFree = new Promise((resolve) => { freed = resolve; });
      }
      for (const stop of atWork.keys()) stop.abort();
      await Promise.allSettled([...atWork.values()].map(({ working }) => working));
      await giveBack();
    },
    leave: () => {
      isTaken = false;
      freed();
    },
    isTaken: taken,
    isFree: () => !isTaken && atWork.size === 0,
    between: async (signal, work, { as, onWait = () => {}, again = true, keeps = false }) => {
      for (;;) {
        signal.throwIfAborted();
        if (isTaken) onWait('training');
        while (taken()) await orAborted(untilFree, signal);
        const before = first();
        if (before) onWait(before.as);
        const stop = new AbortController();
        const stopToo = (): void => stop.abort(signal.reason);
        signal.addEventListener('abort', stopToo);
        const working = inTurn(oneAtATime, stop.signal, async () => {
          if (!keeps) await giveBack();
          await work(stop.signal);
        });
        atWork.set(stop, { as, onWait, working });
        try {
          await working;
          return true;
        } catch (error) {
          // Stopped for a training: what is left comes later. Everything else is the end of it.
          if (signal.aborted || !stop.signal.aborted) throw error;
          if (!again) return false;
        } finally {
          const had = atWork.keys().next().value === stop;
          atWork.delete(stop);
          const now = had ? first() : undefined;
          if (now) for (const waits of [...atWork.values()].slice(1)) waits.onWait?.(now.as);
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

// Whose turn the device is. A training has it until it pauses or ends; pictures for comparing wait for that, because two
// models at once may not fit and a training must not fail for a picture. A training that begins does not wait either: what is
// being painted stops after its step and goes on later.

export interface DeviceTurns {
  /** Resolves when nothing else is on the device; until `leave` nothing new gets it. */
  take(): Promise<void>;
  leave(): void;
  isTaken(): boolean;
  /**
   * Works while no training has the device. When one begins, the signal of `work` is aborted, and `work` is begun again after it.
   * Rejects with the reason of `signal` when that is aborted.
   */
  between(signal: AbortSignal, onWait: () => void, work: (signal: AbortSignal) => Promise<void>): Promise<void>;
}

export function createDeviceTurns(): DeviceTurns {
  let isTaken = false;
  const taken = (): boolean => isTaken;
  let freed: () => void = () => {};
  let untilFree = Promise.resolve();
  const atWork = new Map<AbortController, Promise<void>>();
  return {
    take: async () => {
      if (!isTaken) {
        isTaken = true;
        untilFree = new Promise((resolve) => { freed = resolve; });
      }
      for (const stop of atWork.keys()) stop.abort();
      await Promise.allSettled(atWork.values());
    },
    leave: () => {
      isTaken = false;
      freed();
    },
    isTaken: taken,
    between: async (signal, onWait, work) => {
      for (;;) {
        signal.throwIfAborted();
        if (isTaken) onWait();
        while (taken()) await orAborted(untilFree, signal);
        const stop = new AbortController();
        const stopToo = (): void => stop.abort(signal.reason);
        signal.addEventListener('abort', stopToo);
        const working = work(stop.signal);
        atWork.set(stop, working);
        try {
          await working;
          return;
        } catch (error) {
          // Stopped for a training: what is left comes later. Everything else is the end of it.
          if (signal.aborted || !stop.signal.aborted) throw error;
        } finally {
          atWork.delete(stop);
          signal.removeEventListener('abort', stopToo);
        }
      }
    },
  };
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

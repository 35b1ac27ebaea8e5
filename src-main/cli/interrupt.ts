// Ctrl-C and termination: the first asks for an orderly stop, the second ends at once.

import { exitCodes } from './exit-codes.ts';

export interface Interrupt {
  shouldStop(): boolean;
  dispose(): void;
}

/** npm and shells pass a signal on that the whole process group has already got; such echoes come at once. */
const echoTime = 500;

/**
 * `onFirst` tells the user that the stop is under way. A second signal, later than an echo of the first, exits.
 * `now` gives milliseconds.
 */
export function listenForInterrupt(
  onFirst: () => void, now: () => number, exit: (code: number) => void = (code) => process.exit(code),
): Interrupt {
  let stoppedAt: number | null = null;
  const onSignal = (): void => {
    if (stoppedAt === null) {
      stoppedAt = now();
      onFirst();
    } else if (now() - stoppedAt > echoTime) exit(exitCodes.interrupted);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  return {
    shouldStop: () => stoppedAt !== null,
    dispose: () => {
      for (const signal of signals) process.off(signal, onSignal);
    },
  };
}

// What the app asks of a running training, kept until the loop looks.

import type { ControlAction } from '../contract/trainer.ts';

export interface Control {
  act(action: ControlAction): void;
  shouldStop(): boolean;
  shouldPause(): boolean;
  /** True once per request. */
  takeSampleRequest(): boolean;
  /** True once per request. */
  takeSaveRequest(): boolean;
  /** Until stopped: a run that was paused goes on in another process. */
  waitWhilePaused(): Promise<void>;
}

export function createControl(): Control {
  let isStopped = false;
  let isPaused = false;
  let wantsSample = false;
  let wantsSave = false;
  let goOn: () => void = () => {};
  return {
    act: (action) => {
      if (action === 'sample') wantsSample = true;
      else if (action === 'save') wantsSave = true;
      else if (action === 'pause') isPaused = true;
      else {
        isPaused = false;
        isStopped = true;
        goOn();
      }
    },
    shouldStop: () => isStopped,
    shouldPause: () => isPaused,
    takeSampleRequest: () => {
      const wanted = wantsSample;
      wantsSample = false;
      return wanted;
    },
    takeSaveRequest: () => {
      const wanted = wantsSave;
      wantsSave = false;
      return wanted;
    },
    waitWhilePaused: () => new Promise((resolve) => {
      if (!isPaused) resolve();
      else goOn = resolve;
    }),
  };
}

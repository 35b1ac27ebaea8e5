// How a device is tried: in a process of its own, because a driver that aborts takes its process with it. Node starts
// another Node for that; a process that may not (Electron's) brings its own way.
import type { AdapterTraces } from './software-adapter.ts';

/** What a process that tried a device has said, also when it broke off afterwards. */
export interface Trial extends AdapterTraces {
  readonly ok: boolean;
  readonly f16: boolean;
  readonly error: string | null;
}

export type RunTrial = (device: string) => Promise<Partial<Trial> | null>;

let ownWay: RunTrial | null = null;

export function useTrials(run: RunTrial): void {
  ownWay = run;
}

export const ownTrials = (): RunTrial | null => ownWay;

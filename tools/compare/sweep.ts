// What is compared, and what came of it.
import type { ChangePoint } from '../../src-main/analysis/magnitude-direction.ts';

export interface Method {
  readonly name: string;
  readonly color: string;
  /** Settings of the job, as `key=value`. */
  readonly set: readonly string[];
  readonly learningRates: readonly number[];
}

export interface Sweep {
  readonly seeds: readonly number[];
  readonly methods: readonly Method[];
}

export interface Trial {
  readonly method: Method;
  readonly rate: number;
  readonly seed: number;
}

export interface Outcome {
  readonly method: string;
  readonly rate: number;
  readonly seed: number;
  /** Why the run was given up. */
  readonly failure: string | null;
  /** Loss on held-out pictures before and after. */
  readonly base: number | null;
  readonly loss: number | null;
  readonly probes: readonly { readonly step: number; readonly loss: number | null }[];
  /** Seconds per step. */
  readonly seconds: number | null;
  /** Trained numbers. */
  readonly parameters: number | null;
  readonly points: readonly ChangePoint[];
}

// A learning-rate schedule.
import type { Fields, SettingsOf } from '../../contract/fields.ts';

export interface Schedule<F extends Fields = Fields> {
  readonly label: string;
  readonly help: string;
  readonly fields: F;
  /** Factor of the base rate at `step` (from 0) of `total`, warm-up not counted: in [0, 1]. */
  at(step: number, total: number, settings: SettingsOf<F>): number;
}

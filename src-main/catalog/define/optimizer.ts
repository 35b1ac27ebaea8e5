// An optimizer is a small graph: (parameter, gradient, state, scalars) -> (parameter, state).
import type { Shape } from '../../base/shape.ts';
import type { Fields, SettingsOf } from '../../contract/fields.ts';
import type { Builder } from '../../graph/builder.ts';
import type { Value } from '../../graph/types.ts';

/** Numbers that change from step to step and are fed as f32 scalars, by name. */
export type Scalars = Readonly<Record<string, number>>;

/** One trained tensor inside the update graph. */
export interface Slot {
  readonly name: string;
  readonly parameter: Value;
  readonly gradient: Value;
  /** Named as `state` of the optimizer names them. */
  readonly state: Readonly<Record<string, Value>>;
}
export interface SlotUpdate {
  readonly parameter: Value;
  /** What is left out stays as it is. */
  readonly state: Readonly<Record<string, Value>>;
}

/** State that all tensors share (Prodigy's estimate of the distance): scalars of shape []. */
export type SharedState = Readonly<Record<string, Value>>;

/** Without the part of weight decay. */
export interface Stride {
  /** In a usual step; where the optimizer finds its step size itself, the smallest that it begins with. */
  readonly least: number;
  readonly most: number;
  /** What weight decay leaves of a value. */
  readonly keep: number;
}

export interface Optimizer<F extends Fields = Fields> {
  readonly label: string;
  readonly help: string;
  readonly fields: F;
  /** The update of an element depends on that element's values alone, so tensors may be updated as one. */
  readonly elementwise?: true;
  /** Shapes of the state kept for a tensor, all f32 and zero at the start unless `initial` says otherwise. */
  state(shape: Shape, settings: SettingsOf<F>): Readonly<Record<string, Shape>>;
  /** Start value of a state tensor when it is not zero: a number, or `parameter` for a copy of the parameter. */
  initial?(name: string, settings: SettingsOf<F>): number | 'parameter';
  /** Shared scalars and their start values. */
  shared?(settings: SettingsOf<F>): Readonly<Record<string, number>>;
  /**
   * Scalars to feed at step `step` (from 1) when the schedule's learning rate is `rate`.
   * @param still steps at the beginning of the run whose rate was 0
   */
  scalars(step: number, rate: number, settings: SettingsOf<F>, still?: number): Scalars;
  /** The learning rate that step `step` (from 1) is made with, where that is not always the schedule's `rate`. */
  rate?(step: number, rate: number, settings: SettingsOf<F>): number;
  /**
   * How far a step moves an element of a tensor, as a root mean square: for judging whether training works.
   * @param size root mean square of the tensor's values
   * @param shared current values of the shared scalars
   */
  stride(step: number, rate: number, settings: SettingsOf<F>, size: number, shared: Readonly<Record<string, number>>): Stride;
  update(
    g: Builder,
    slots: readonly Slot[],
    scalars: Readonly<Record<string, Value>>,
    shared: SharedState,
    settings: SettingsOf<F>,
  ): { readonly slots: readonly SlotUpdate[]; readonly shared: SharedState };
}

// The tensors that a run trains: what they are called, where they start.
import { sizeOf, type Shape } from '../base/shape.ts';
import type { HostTensor } from '../runtime/runtime.ts';

/** A trained tensor: `<layer path>.lora_A.weight`, or the path of a weight of the model. Always f32. */
export interface TrainedTensor {
  readonly name: string;
  readonly shape: Shape;
  /** Start value. */
  initial(): Float32Array | Promise<Float32Array>;
}

/** Values of trained tensors by name. */
export type TrainedValues = ReadonlyMap<string, HostTensor>;

export const countElements = (tensors: readonly { readonly shape: Shape }[]): number =>
  tensors.reduce((total, { shape }) => total + sizeOf(shape), 0);

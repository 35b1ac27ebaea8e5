// An adapter is a transform of layers: it replaces a layer's output by one that has trained parameters in it.
import type { Shape } from '../../base/shape.ts';
import type { Fields, SettingsOf } from '../../contract/fields.ts';
import type { Builder, Layer } from '../../graph/builder.ts';
import type { Value } from '../../graph/types.ts';

/** A layer's weight, [out,in] or [out,in,kh,kw]. */
export interface AdaptedLayer {
  readonly kind: 'linear' | 'conv';
  readonly path: string;
  readonly shape: Shape;
}

/** One trained tensor of an adapter. Its path is `<layer path>.<name>`. */
export interface AdapterParameter {
  readonly name: string;
  readonly shape: Shape;
  /** `zero`, `kaiming` (uniform in ±1/√fan-in), or `norm`: what the adapter's `norm` gives for the layer's weight. */
  readonly initial: 'zero' | 'kaiming' | 'norm';
}

export interface Adapter<F extends Fields = Fields> {
  readonly label: string;
  readonly help: string;
  readonly fields: F;
  /** The weights of the target layers (and their biases) are trained in place; no layer is replaced. */
  readonly trainsWeights?: boolean;
  parameters(layer: AdaptedLayer, settings: SettingsOf<F>): readonly AdapterParameter[];
  /** Start value of a `norm` parameter from the layer's weight (a graph, so that it is computed as training does). */
  norm?(g: Builder, weight: Value, settings: SettingsOf<F>): Value;
  /**
   * The layer's new output, in the cheap form.
   * @param dropout multiplies the input of the adapter's branch (zeros and 1/(1−p), same shape as x); null without
   */
  apply(g: Builder, layer: Layer, p: Readonly<Record<string, Value>>, settings: SettingsOf<F>, dropout: Value | null): Value;
  /**
   * The merged weight, in the dense form; everything f32. With `rowSums` it merges some rows (of the weight, and of the
   * parameters that have its rows) as well.
   * @param sums what `rowSums` of all rows add to; of the rows at hand if left out
   */
  merge(g: Builder, weight: Value, p: Readonly<Record<string, Value>>, settings: SettingsOf<F>, sums?: Value): Value;
  /**
   * What some rows of the weight add to the sums over all rows that merging needs; null where it needs none. Without this, a
   * weight cannot be merged some rows at a time.
   */
  rowSums?(g: Builder, rows: Value, p: Readonly<Record<string, Value>>, settings: SettingsOf<F>): Value | null;
}

// What ComfyUI and Forge do with magnitudes: the first extent decides what they belong to. For rows they divide by the norm
// of the base weight in place of the changed one, so that only magnitudes of input channels come out as DoRA defines them.
import { changed, interpolated, norms, scaleOf, scaleVectors, type WrittenLayer } from './consumer.ts';

/** Added to norms: the rounding unit of f32. */
const EPSILON = 2 ** -23;

/** W' by the program's rule, then W0 + strength·(W' − W0). Null where its own arithmetic fails and the layer stays as it is. */
export function byFirstExtent(layer: WrittenLayer, strength: number): Float64Array | null {
  const { base, magnitude, shape } = layer;
  const weight = changed(layer, scaleOf(layer));
  if (magnitude === null) return interpolated(base, weight, strength);
  const isOutput = magnitude.shape[0] === shape[0];
  if (magnitude.shape.length !== shape.length) return flatVector(layer, weight, isOutput, strength);
  const sizes = isOutput ? norms(base, layer, 'output') : norms(weight, layer, 'input');
  if (magnitude.values.length !== sizes.length) return null;
  const factors = sizes.map((size, i) => magnitude.values[i]! / (size + EPSILON));
  return interpolated(base, scaleVectors(weight, layer, isOutput ? 'output' : 'input', factors), strength);
}

/** A plain vector runs along the last axis: with norms of rows it makes an outer product, which fits square weights only. */
function flatVector(layer: WrittenLayer, weight: Float64Array, isOutput: boolean, strength: number): Float64Array | null {
  const { base, magnitude, shape, rows, channels } = layer;
  if (shape.length !== 2 || magnitude!.values.length !== channels) return null;
  const sizes = isOutput ? norms(base, layer, 'output') : norms(weight, layer, 'input');
  for (let row = 0; row < rows; row++) {
    for (let channel = 0; channel < channels; channel++) {
      weight[row * channels + channel]! *= magnitude!.values[channel]! / (sizes[isOutput ? row : channel]! + EPSILON);
    }
  }
  return interpolated(base, weight, strength);
}

// What A1111 and InvokeAI do with magnitudes: they take them for those of input channels, whatever their shape says.
import type { Shape } from '../../base/shape.ts';
import { changed, interpolated, norms, scaleOf, type WrittenLayer } from './consumer.ts';

/** W' = (W + s·B·A) · m / ‖column‖ with the usual rules of broadcasting, then W0 + strength·(W' − W0). */
export function byColumns(layer: WrittenLayer, strength: number): Float64Array | null {
  const { base, magnitude, shape, rows, channels, kernel } = layer;
  const weight = changed(layer, scaleOf(layer));
  if (magnitude === null) return interpolated(base, weight, strength);
  const sizes = norms(weight, layer, 'input');
  const factorOf = broadcast(magnitude.shape, magnitude.values, shape);
  if (factorOf === null) return null;
  for (let row = 0; row < rows; row++) {
    for (let channel = 0; channel < channels; channel++) {
      const factor = factorOf(row, channel) / sizes[channel]!;
      const start = (row * channels + channel) * kernel;
      for (let k = start; k < start + kernel; k++) weight[k]! *= factor;
    }
  }
  return interpolated(base, weight, strength);
}

/** A magnitude as a function of row and channel: extents of 1 repeat, a plain vector runs along the last axis. */
function broadcast(shape: Shape, values: Float64Array, weight: Shape): ((row: number, channel: number) => number) | null {
  const [out = 1, inputs = 1] = shape.length === 1 && weight.length === 2 ? [1, shape[0]] : shape;
  const fits = (out === 1 || out === weight[0]) && (inputs === 1 || inputs === weight[1]);
  if (!fits || (shape.length === 1 && weight.length > 2)) return null;
  if (out === 1) return inputs === 1 ? () => values[0]! : (_, channel) => values[channel]!;
  return inputs === 1 ? (row) => values[row]! : null;
}

// The weight that training means, in f64, by the definition of LoRA and DoRA.
import type { DoraAxis } from '../catalog/define/format.ts';
import { norms, scaleVectors } from '../catalog/define/consumer.ts';
import { DOWN, UP } from '../nn/low-rank.ts';
import { MAGNITUDE, type ExportSource, type SourceLayer } from './export-source.ts';
import type { LayerPart } from './layer-part.ts';

/** As the adapter itself has it: a vector of zeros must not divide by zero. */
const LEAST_NORM = 1e-12;

/** @param base the part of the base weight */
export function trainedWeight({ values, scale, axis }: Pick<ExportSource, 'values' | 'scale' | 'axis'>, { path, rank }: SourceLayer, part: LayerPart, base: Float64Array): Float64Array {
  const data = (name: string): Float32Array => values.get(`${path}.${name}`)!.data as Float32Array;
  const weight = part.takeProduct(data(DOWN), data(UP), rank);
  for (let i = 0; i < weight.length; i++) weight[i] = base[i]! + scale * weight[i]!;
  if (!values.has(`${path}.${MAGNITUDE}`)) return weight;
  return withMagnitudes(weight, part, axis!, part.takeVector(data(MAGNITUDE)));
}

function withMagnitudes(weight: Float64Array, part: LayerPart, axis: DoraAxis, magnitudes: Float64Array): Float64Array {
  const factors = norms(weight, part, axis).map((size, i) => magnitudes[i]! / Math.max(size, LEAST_NORM));
  return scaleVectors(weight, part, axis, factors);
}

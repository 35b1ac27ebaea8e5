// A plain LoRA that does about the same: the strongest part of W' − W0 of each layer, with what is missing measured.
import { truncatedSvd, type Keep, type Pause } from '../base/linear-algebra/svd.ts';
import { DOWN, lowRankShapes, UP } from '../nn/low-rank.ts';
import { f32, type HostTensor } from '../runtime/runtime.ts';
import { allVectors, extentsOf, pieces } from './layer-part.ts';
import type { ExportSource, SourceLayer } from './export-source.ts';
import { trainedWeight } from './trained-weight.ts';

export interface Approximation {
  readonly source: ExportSource;
  /** ‖D − B·A‖ / ‖D‖ of each layer, and of all together. */
  readonly errors: ReadonlyMap<string, number>;
  readonly overall: number;
  readonly worst: { readonly path: string; readonly error: number } | null;
}

/** Everything that a layer's adapter adds to its weight, [O, I·kh·kw] in f64. */
export async function changeOf(source: ExportSource, layer: SourceLayer, pause: Pause = async () => {}): Promise<Float64Array> {
  const { rows, channels, kernel } = extentsOf(layer.shape);
  const base = source.baseModel.readF32(`${layer.path}.weight`);
  const change = new Float64Array(rows * channels * kernel);
  const axis = source.axis ?? 'output';
  let at = 0;
  for (const part of pieces(layer.shape, axis, allVectors(layer.shape, axis))) {
    const own = part.takeWeight(base);
    const weight = trainedWeight(source, layer, part, own);
    const width = part.channels * part.kernel;
    for (let row = 0; row < part.rows; row++) {
      const to = axis === 'output' ? (at + row) * width : row * channels * kernel + at * kernel;
      for (let k = 0; k < width; k++) change[to + k] = weight[row * width + k]! - own[row * width + k]!;
    }
    at += axis === 'output' ? part.rows : part.channels;
    await pause();
  }
  return change;
}

/**
 * @param keep rank or share of the energy; layers that need less have a smaller rank
 * The matrices get equal shares of the singular values, so that neither leaves the range of f16.
 */
export async function approximate(source: ExportSource, keep: Keep, { pause, onProgress }: { readonly pause?: Pause; readonly onProgress?: (done: number, total: number) => void } = {}): Promise<Approximation> {
  const values = new Map<string, HostTensor>();
  const layers: SourceLayer[] = [];
  const errors = new Map<string, number>();
  let missing = 0;
  let all = 0;
  for (const [index, layer] of source.layers.entries()) {
    onProgress?.(index, source.layers.length);
    const { rows, channels, kernel } = extentsOf(layer.shape);
    const { u, s, v, total } = await truncatedSvd(await changeOf(source, layer, pause), rows, channels * kernel, keep, pause);
    const rank = Math.max(1, s.length);
    const { down, up } = lowRankShapes(layer.shape, rank);
    values.set(`${layer.path}.${DOWN}`, f32(Float32Array.from({ length: rank * channels * kernel }, (_, i) => (s.length === 0 ? 0 : v[i]! * Math.sqrt(s[Math.floor(i / (channels * kernel))]!))), down));
    values.set(`${layer.path}.${UP}`, f32(Float32Array.from({ length: rows * rank }, (_, i) => (s.length === 0 ? 0 : u[i]! * Math.sqrt(s[i % rank]!))), up));
    layers.push({ ...layer, rank });
    const rest = Math.max(0, total - s.reduce((sum, value) => sum + value * value, 0));
    errors.set(layer.path, total > 0 ? Math.sqrt(rest / total) : 0);
    missing += rest;
    all += total;
    await pause?.();
  }
  onProgress?.(source.layers.length, source.layers.length);
  const worst = [...errors].reduce<Approximation['worst']>((most, [path, error]) => (most === null || error > most.error ? { path, error } : most), null);
  return { source: { ...source, layers, values, axis: null, scale: 1 }, errors, overall: all > 0 ? Math.sqrt(missing / all) : 0, worst };
}

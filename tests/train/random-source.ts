// Something to export without training: random low-rank changes of the layers of a model.
import { rng } from '../../src-main/base/rng.ts';
import { sizeOf } from '../../src-main/base/shape.ts';
import type { DoraAxis } from '../../src-main/catalog/define/format.ts';
import { detectModel } from '../../src-main/catalog/families/index.ts';
import { lowRankShapes } from '../../src-main/nn/low-rank.ts';
import { f32, type HostTensor } from '../../src-main/runtime/runtime.ts';
import type { ExportSource, SourceLayer } from '../../src-main/train/export-source.ts';
import { namedModel } from '../../src-main/train/named-model.ts';
import { openModel } from '../../src-main/train/open-model.ts';

interface Wanted { readonly axis: DoraAxis | null; readonly scale?: number; readonly size?: number; readonly layers?: (path: string) => boolean }

/** Random low-rank changes of layers of a model, as training could leave them: alpha is not the rank, B is not zero, magnitudes are not the norms. */
export function sourceAt(base: string, { axis, scale = 0.6, size = 0.05, layers: takes = () => true }: Wanted): ExportSource {
  const baseModel = openModel(base);
  const model = detectModel(baseModel.files);
  const named = namedModel(baseModel.files, model.denoiserComponent);
  const values = new Map<string, HostTensor>();
  const layers = [...named.layers].filter(([path]) => takes(path) && !path.includes('embedding')).map(([path, shape]): SourceLayer => {
    const rank = Math.min(3, shape[0]!, sizeOf(shape.slice(1)));
    const { down, up } = lowRankShapes(shape, rank);
    const random = (name: string, own: readonly number[], factor: number): HostTensor => f32(rng(4, path, name).fillNormal(new Float32Array(sizeOf(own))).map((value) => value * factor), own);
    values.set(`${path}.lora_A.weight`, random('A', down, 1));
    values.set(`${path}.lora_B.weight`, random('B', up, size));
    if (axis) values.set(`${path}.lora_magnitude_vector`, magnitudes(baseModel.readF32(`${path}.weight`), shape, axis));
    return { path, shape, rank, kind: shape.length === 2 ? 'linear' : 'conv' };
  });
  const facts = async () => ({
    title: 'ink', kind: axis ? 'dora' : 'lora', axis, rank: 3, alpha: 2, trigger: 'in ink', training: null, data: null,
    base: { name: 'base', ...model.knownAs, prediction: 'epsilon' as const, side: 64, hashes: new Map<string, string>(), fileHash: null },
  });
  return { stem: 'ink', model, baseModel, named, layers, axis, scale, values, facts };
}

function magnitudes(weight: Float32Array, shape: readonly number[], axis: DoraAxis): HostTensor {
  const kernel = sizeOf(shape.slice(2));
  const width = weight.length / shape[0]!;
  const squares = new Float64Array(shape[axis === 'output' ? 0 : 1]!);
  weight.forEach((value, i) => void (squares[axis === 'output' ? Math.floor(i / width) : Math.floor((i % width) / kernel)]! += value * value));
  const data = Float32Array.from(squares, (value, i) => Math.sqrt(value) * (1 + 0.03 * Math.sin(i)));
  return f32(data, shape.length === 2 ? (axis === 'output' ? [data.length] : [1, data.length]) : [1, data.length, 1, 1]);
}

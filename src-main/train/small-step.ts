// A small network that has what a UNet has (convolutions, resampling, attention to itself and to a context, norms) with a
// DoRA on every layer, on numbers of its own: the same step anywhere, for comparing devices.
import { f16ToF32, f32ToF16 } from '../base/half.ts';
import { rng } from '../base/rng.ts';
import { sizeOf } from '../base/shape.ts';
import { adapters } from '../catalog/adapters/index.ts';
import type { Adapter } from '../catalog/define/adapter.ts';
import { defaultSettings } from '../contract/fields.ts';
import type { Builder, Layer } from '../graph/builder.ts';
import type { Graph } from '../graph/types.ts';
import { MAGNITUDE } from '../nn/low-rank.ts';
import { parseUNetConfig } from '../nn/unet-config.ts';
import { unet } from '../nn/unet.ts';
import { f32, type HostTensor, type WeightSource } from '../runtime/runtime.ts';
import { singleStepGraph } from './single-step.ts';

type FloatType = 'f32' | 'f16';

export interface SmallStep {
  readonly graph: Graph;
  /** A frozen weight by its path, with the values that are stored. */
  readonly weight: (path: string) => Float32Array;
  readonly weights: WeightSource;
  readonly feeds: ReadonlyMap<string, HostTensor>;
}

const CONFIG = {
  _class_name: 'UNet2DConditionModel', act_fn: 'silu', attention_head_dim: 2, block_out_channels: [16, 32], cross_attention_dim: 16,
  down_block_types: ['CrossAttnDownBlock2D', 'DownBlock2D'], up_block_types: ['UpBlock2D', 'CrossAttnUpBlock2D'],
  in_channels: 4, out_channels: 4, layers_per_block: 1, norm_num_groups: 8, sample_size: 8,
};
const SHAPES = { sample: [2, 4, 8, 8], context: [2, 6, 16], hasTarget: true } as const;

export interface SmallStepOptions {
  readonly compute: FloatType;
  /** Element type of the frozen weights as stored. */
  readonly storage?: FloatType;
  /** Whether gradients are made with a scaled loss (`runSingleStep` takes the scale out again). */
  readonly scalesLoss?: boolean;
  readonly adapter?: Adapter;
}

export function smallStep({ compute, storage = 'f32', scalesLoss = compute === 'f16', adapter = adapters.dora as unknown as Adapter }: SmallStepOptions): SmallStep {
  const config = parseUNetConfig(CONFIG);
  const settings = { ...defaultSettings(adapter.fields), rank: 4, alpha: 4 } as never;
  const transform = (g: Builder, layer: Layer) => {
    const parameters = adapter.parameters({ kind: layer.kind, path: layer.path, shape: layer.weight.shape }, settings);
    return adapter.apply(g, layer, Object.fromEntries(parameters.map(({ name, shape }) => [name, g.trainable(`${layer.path}.${name}`, shape)])), settings, null);
  };
  const { graph, leaves } = singleStepGraph({ denoise: (g, inputs) => unet(g, config, inputs) }, SHAPES, { compute, transform, storedDType: () => storage }, scalesLoss);
  const weight = (path: string): Float32Array => {
    const values = numbers(path, leaves.get(path)!.shape);
    return storage === 'f16' ? f16ToF32(f32ToF16(values)) : values;
  };
  const weights: WeightSource = (path) => ({ kind: 'memory', data: storage === 'f16' ? f32ToF16(weight(path)) : weight(path) });
  const feeds = new Map<string, HostTensor>();
  for (const [path, { leaf, shape }] of leaves) {
    if (leaf!.kind === 'trainable' || leaf!.kind === 'input') feeds.set(path, f32(path === 'timestep' ? Float32Array.of(10, 500) : numbers(path, shape), shape));
  }
  return { graph, weight, weights, feeds };
}

/** Random values of a sensible size, the same everywhere. */
function numbers(path: string, shape: readonly number[]): Float32Array {
  const values = rng(1, 'doctor', path).fillNormal(new Float32Array(sizeOf(shape)));
  if (path.endsWith(MAGNITUDE)) return values.map((value) => 1 + 0.1 * value);
  if (/norm[^.]*\.weight$/.test(path)) return values.map((value) => 1 + 0.1 * value);
  const isInput = !path.includes('.');
  const scale = isInput ? 1 : shape.length === 1 ? 0.1 : 1 / Math.sqrt(sizeOf(shape) / shape[0]!);
  return values.map((value) => value * scale);
}


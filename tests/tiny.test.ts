// The tour: from weights to a falling loss. Everything larger is more of the same.
import { expect, test } from 'vitest';
import { rng } from '../src-main/base/rng.ts';
import { dora } from '../src-main/catalog/adapters/dora.ts';
import { adamw } from '../src-main/catalog/optimizers/adamw.ts';
import { defaultSettings } from '../src-main/contract/fields.ts';
import type { Builder, Layer } from '../src-main/graph/builder.ts';
import { printGraph } from '../src-main/graph/print.ts';
import { linear } from '../src-main/nn/linear.ts';
import { createOnnxRuntime } from '../src-main/runtime/onnx/onnx-runtime.ts';
import { f32, type DeviceTensor } from '../src-main/runtime/runtime.ts';
import { stepGraph } from '../src-main/train/step-graph.ts';
import { packsApart } from '../src-main/train/packs.ts';
import { updateGraph } from '../src-main/train/update-graph.ts';

test('a DoRA learns', async () => {
  const random = (name: string, size: number) => rng(1, name).fillNormal(new Float32Array(size));
  const runtime = createOnnxRuntime({ device: 'cpu', threads: 1 });

  // A model is a function that builds a graph. Its weights are leaves with the keys of its file; here they lie in memory.
  const weights = new Map([['in.weight', random('a', 24)], ['in.bias', new Float32Array(8)], ['out.weight', random('b', 16)], ['out.bias', new Float32Array(2)]]);
  const source = (path: string) => ({ kind: 'memory' as const, data: weights.get(path)! });
  const model = (g: Builder) => linear(g, 'out', g.silu(linear(g, 'in', g.input('x', [16, 3]), 8)), 2);
  const buildLoss = (g: Builder) => {
    const error = g.sub(model(g), g.input('y', [16, 2]));
    return g.mean(g.mul(error, error), { axes: [0, 1], keep: false });
  };

  // An adapter replaces layers; the model does not know. This one takes both: A and B of rank 2, and a magnitude.
  const settings = { ...defaultSettings(dora.fields), rank: 2, alpha: 2 };
  const transform = (g: Builder, layer: Layer) => {
    const parts = dora.parameters({ ...layer, shape: layer.weight.shape }, settings).map(({ name, shape }) => [name, g.trainable(`${layer.path}.${name}`, shape)]);
    return dora.apply(g, layer, Object.fromEntries(parts), settings, null);
  };

  // Differentiated, that is a training step: inputs and trained tensors in, loss and gradients out. One for the optimizer.
  const step = stepGraph(buildLoss, { builder: { transform }, checkpointing: true, scalesLoss: false });
  expect(printGraph(step)).toContain('grad.in.lora_A.weight <- ');
  const trained = step.nodes.filter(({ leaf }) => leaf?.kind === 'trainable').map(({ leaf, shape }) => ({ name: leaf!.name, shape }));
  const update = updateGraph(packsApart(trained), { optimizer: adamw, settings: defaultSettings(adamw.fields), clip: 1, ema: 0 });

  // Both are compiled. B and the optimizer's state begin at zero, magnitudes are the norms of the rows.
  const [stepProgram, updateProgram] = [await runtime.compile(step, { weights: source, name: 'step' }), await runtime.compile(update, { weights: source, name: 'update' })];
  const start = (name: string, shape: readonly number[]): Float32Array => {
    const size = shape.reduce((a, b) => a * b, 1);
    const isState = name.includes(':');
    if (!isState && name.endsWith('lora_A.weight')) return random(name, size);
    const weight = isState ? undefined : weights.get(name.replace('lora_magnitude_vector', 'weight'));
    if (!weight) return new Float32Array(size);
    return Float32Array.from({ length: size }, (_, row) => Math.hypot(...weight.subarray((row * weight.length) / size, ((row + 1) * weight.length) / size)));
  };
  const values = new Map<string, DeviceTensor>();
  for (const { leaf, shape } of update.nodes) if (leaf?.kind === 'trainable') values.set(leaf.name, runtime.upload(f32(start(leaf.name, shape), shape)));

  const batch = [['x', runtime.upload(f32(random('x', 48), [16, 3]))], ['y', runtime.upload(f32(random('y', 32), [16, 2]))]] as const;
  const losses: number[] = [];
  for (let i = 1; i <= 60; i++) {
    const result = await stepProgram.run(new Map([...values, ...batch]));
    losses.push(((await result.get('loss')!.read()) as Float32Array)[0]!);
    const scalars = Object.entries({ ...adamw.scalars(i, 0.05, defaultSettings(adamw.fields)), gradient_factor: 1 }).map(([name, value]) => [name, runtime.upload(f32(Float32Array.of(value), []))] as const);
    for (const [name, tensor] of await updateProgram.run(new Map([...values, ...result, ...scalars]))) values.set(name, tensor);
  }
  expect(losses.at(-1)).toBeLessThan(losses[0]! / 4);
});

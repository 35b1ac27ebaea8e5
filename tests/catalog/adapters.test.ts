// Adapters on single layers: against PyTorch/PEFT, against their own dense form, against central differences.
import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { sizeOf, type Shape } from '../../src-main/base/shape.ts';
import { adapters } from '../../src-main/catalog/adapters/index.ts';
import type { Adapter } from '../../src-main/catalog/define/adapter.ts';
import { defaultSettings } from '../../src-main/contract/fields.ts';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { gradients } from '../../src-main/graph/autodiff.ts';
import { createBuilder, type Builder, type Layer } from '../../src-main/graph/builder.ts';
import { evaluate } from '../../src-main/graph/evaluate.ts';
import type { Value } from '../../src-main/graph/types.ts';
import { verify } from '../../src-main/graph/verify.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import { expectClose, relativeError, runOn } from '../ops/run-graph.ts';

const dora = adapters.dora as unknown as Adapter;
const lora = adapters.lora as unknown as Adapter;
const cpu = createOnnxRuntime({ device: 'cpu', threads: 1 });

test('the list of adapters and the folder agree', () => {
  expect(Object.keys(adapters).sort()).toEqual(readdirSync('src-main/catalog/adapters').filter((f) => f !== 'index.ts').map((f) => f.slice(0, -3)).sort());
});

interface LayerCase {
  readonly kind: Layer['kind'];
  readonly weight: Shape;
  readonly x: Shape;
  readonly stride: number;
  readonly pads: readonly [number, number, number, number];
  readonly hasBias: boolean;
}

function buildLayer(g: Builder, { kind, weight, x, stride, pads, hasBias }: LayerCase): Layer {
  return {
    kind, path: 'layer', x: g.input('x', x), weight: g.param('layer.weight', weight),
    bias: hasBias ? g.param('layer.bias', [weight[0]!]) : null,
    ...(kind === 'conv' ? { conv: { stride, pads } } : {}),
  };
}

const baseOf = (g: Builder, layer: Layer, weight: Value): Value => {
  const y = layer.kind === 'linear' ? g.linear(layer.x, weight, null) : g.conv2d(layer.x, weight, layer.conv!);
  if (!layer.bias) return y;
  return g.add(y, layer.kind === 'linear' ? layer.bias : g.reshape(layer.bias, { shape: [1, layer.bias.shape[0]!, 1, 1] }));
};

describe('PyTorch', () => {
  const files = readdirSync('tests/golden/layers').filter((name) => name.endsWith('.safetensors'));
  const variants: [string, Adapter, Record<string, unknown>][] = [
    ['lora', lora, {}], ['lora_rslora', lora, { rsLora: true }], ['dora', dora, {}], ['dora_rslora', dora, { rsLora: true }],
    ['dora_exact', dora, { norm: 'exact' }], ['dora_input_axis', dora, { axis: 'input' }], ['dora_input_axis_exact', dora, { axis: 'input', norm: 'exact' }],
  ];
  describe.each(files)('%s', (name) => {
    const file = openSafetensors(`tests/golden/layers/${name}`);
    const spec = specOf(name, file);
    test.each(variants)('%s: output and gradients', async (variant, adapter, changes) => {
      const settings = { ...defaultSettings(adapter.fields), rank: 3, alpha: 2, ...changes };
      const g = createBuilder();
      const layer = buildLayer(g, spec);
      const tensors = adapter.parameters({ kind: spec.kind, path: 'layer', shape: spec.weight }, settings as never);
      const p = Object.fromEntries(tensors.map((tensor) => [tensor.name, g.trainable(tensor.name, tensor.shape)]));
      const y = adapter.apply(g, layer, p, settings as never, null);
      const loss = g.reduceSum(g.mul(y, g.input('loss_weight', y.shape)), { axes: y.shape.map((_, axis) => axis), keep: false });
      const wanted = [layer.x, ...Object.values(p)];
      const found = gradients(g, loss, wanted);
      const outputs = Object.fromEntries(wanted.map((value, i) => [`grad.${value.leaf!.name}`, found[i]!]));
      const graph = verify(g.graph({ y, ...outputs }));
      const magnitude = variant.includes('input_axis') ? 'lora_magnitude_vector.input_axis' : 'lora_magnitude_vector';
      const feeds = new Map<string, Float32Array>([
        ['x', file.readF32('x')], ['layer.weight', file.readF32('weight')], ['loss_weight', file.readF32('loss_weight')],
        ['lora_A.weight', file.readF32('lora_A')], ['lora_B.weight', file.readF32('lora_B')], ['lora_magnitude_vector', file.readF32(magnitude)],
        ...(spec.hasBias ? [['layer.bias', file.readF32('bias')] as const] : []),
      ]);
      const goldenName = (output: string): string => output === 'y' ? `${variant}.y` : `${variant}.${output.replace('.weight', '')}`;
      for (const results of [new Map([...evaluate(graph, feeds)].map(([key, { data }]) => [key, data])), await runOn(cpu, graph, feeds)]) {
        for (const [output, data] of results) expectClose(data, file.readF32(goldenName(output)), 5e-5);
      }
    });
  });
});

function specOf(name: string, file: ReturnType<typeof openSafetensors>): LayerCase {
  const shape = (tensor: string): Shape => file.tensors.get(tensor)!.shape;
  const kind = shape('weight').length === 4 ? 'conv' : 'linear';
  const stride = name.includes('stride2') ? 2 : 1;
  const pad = kind === 'conv' && shape('weight')[2] === 3 ? 1 : 0;
  return { kind, weight: shape('weight'), x: shape('x'), stride, pads: [pad, pad, pad, pad], hasBias: file.tensors.has('bias') };
}

const cases: Record<string, LayerCase> = {
  'linear [5,7]': { kind: 'linear', weight: [5, 7], x: [2, 3, 7], stride: 1, pads: [0, 0, 0, 0], hasBias: true },
  'square linear': { kind: 'linear', weight: [6, 6], x: [4, 6], stride: 1, pads: [0, 0, 0, 0], hasBias: false },
  'conv 3x3 stride 2': { kind: 'conv', weight: [4, 3, 3, 3], x: [2, 3, 6, 5], stride: 2, pads: [1, 1, 1, 1], hasBias: true },
  'conv 1x1': { kind: 'conv', weight: [4, 3, 1, 1], x: [1, 3, 3, 3], stride: 1, pads: [0, 0, 0, 0], hasBias: true },
};
const kinds: [string, Adapter, Record<string, unknown>][] = [
  ['LoRA', lora, {}], ['rank-stabilised LoRA', lora, { rsLora: true }],
  ['DoRA', dora, {}], ['DoRA on the input axis', dora, { axis: 'input' }], ['exact DoRA', dora, { norm: 'exact' }], ['exact DoRA on the input axis', dora, { axis: 'input', norm: 'exact' }],
];
const numbers = (shape: Shape, seed: number): Float64Array => Float64Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(seed * 12.9898 + i * 7.233));

describe.each(kinds)('%s', (_, adapter, changes) => {
  const settings = { ...defaultSettings(adapter.fields), rank: 2, alpha: 3, ...changes } as never;

  function build(spec: LayerCase) {
    const g = createBuilder();
    const layer = buildLayer(g, spec);
    const described = adapter.parameters({ kind: spec.kind, path: 'layer', shape: spec.weight }, settings);
    const p = Object.fromEntries(described.map(({ name, shape }) => [name, g.trainable(name, shape)]));
    const feeds = new Map<string, Float64Array>([['x', numbers(spec.x, 1)], ['layer.weight', numbers(spec.weight, 2)], ['layer.bias', numbers([spec.weight[0]!], 3)]]);
    const norm = adapter.norm ? evaluate(g.graph({ norm: adapter.norm(g, layer.weight, settings) }), feeds).get('norm')!.data : null;
    return { g, layer, described, p, feeds, norm };
  }

  test.each(Object.entries(cases))('%s: a fresh adapter changes nothing, not even a bit on ONNX Runtime', async (_name, spec) => {
    const { g, layer, described, p, feeds } = build(spec);
    const withAdapter = g.graph({ y: adapter.apply(g, layer, p, settings, null), base: baseOf(g, layer, layer.weight) });
    const normGraph = adapter.norm ? g.graph({ norm: adapter.norm(g, layer.weight, settings) }) : null;
    const norm = normGraph ? (await runOn(cpu, normGraph, feeds)).get('norm')! : new Float32Array();
    for (const { name, shape, initial } of described) feeds.set(name, initial === 'norm' ? Float64Array.from(norm) : initial === 'zero' ? new Float64Array(sizeOf(shape)) : numbers(shape, 4));
    const exact = evaluate(withAdapter, feeds);
    expect(relativeError(exact.get('y')!.data, exact.get('base')!.data)).toBeLessThan(1e-6);
    const results = await runOn(cpu, withAdapter, feeds);
    expect(relativeError(results.get('y')!, results.get('base')!)).toBeLessThan(1e-6);
  });

  test.each(Object.entries(cases))('%s: applying equals merging on trained values, and is not the base', (_name, spec) => {
    const { g, layer, described, p, feeds, norm } = build(spec);
    described.forEach(({ name, shape, initial }, i) => feeds.set(name, initial === 'norm' ? norm!.map((v, at) => v * (1.1 + 0.1 * Math.sin(at))) : numbers(shape, 5 + i)));
    const graph = g.graph({ y: adapter.apply(g, layer, p, settings, null), merged: baseOf(g, layer, adapter.merge(g, layer.weight, p, settings)), base: baseOf(g, layer, layer.weight) });
    const result = evaluate(graph, feeds);
    expectClose(result.get('y')!.data, result.get('merged')!.data, 1e-10);
    expect(relativeError(result.get('y')!.data, result.get('base')!.data)).toBeGreaterThan(1e-2);
  });

  test.each(Object.entries(cases))('%s: gradients are central differences, but for a detached norm', (_name, spec) => {
    const { g, layer, described, p, feeds, norm } = build(spec);
    described.forEach(({ name, shape, initial }, i) => feeds.set(name, initial === 'norm' ? norm!.map((v, at) => v * (1.1 + 0.1 * Math.sin(at))) : numbers(shape, 5 + i)));
    const y = adapter.apply(g, layer, p, settings, null);
    const loss = g.reduceSum(g.mul(y, g.constant([...numbers(y.shape, 9)], y.shape)), { axes: y.shape.map((_axis, i) => i), keep: false });
    const lossGraph = g.graph({ loss });
    const found = evaluate(g.graph(Object.fromEntries(Object.entries(p).map(([name, value]) => [name, gradients(g, loss, [value])[0]!]))), feeds);
    const isDetached = 'norm' in (settings as object) && (settings as { norm: string }).norm === 'detached';
    for (const { name } of described) {
      const at = feeds.get(name)!;
      const differences = at.map((value, i) => {
        const lossAt = (v: number): number => evaluate(lossGraph, new Map([...feeds, [name, at.with(i, v)]])).get('loss')!.data[0]!;
        return (lossAt(value + 1e-5) - lossAt(value - 1e-5)) / 2e-5;
      });
      const error = relativeError(found.get(name)!.data, differences);
      // The magnitude's gradient is the same either way; A's and B's must differ when the norm is held constant.
      if (isDetached && name !== 'lora_magnitude_vector') expect(error).toBeGreaterThan(1e-3);
      else expect(error).toBeLessThan(1e-6);
    }
  });
});

test('dropout leaves the base path alone: with everything dropped the layer is the base', () => {
  const settings = { ...defaultSettings(dora.fields), rank: 2, alpha: 2, dropout: 0.5 } as never;
  const spec = cases['linear [5,7]']!;
  const g = createBuilder();
  const layer = buildLayer(g, spec);
  const described = dora.parameters({ kind: 'linear', path: 'layer', shape: spec.weight }, settings);
  const p = Object.fromEntries(described.map(({ name, shape }) => [name, g.trainable(name, shape)]));
  const graph = g.graph({ y: dora.apply(g, layer, p, settings, g.input('mask', spec.x)), base: baseOf(g, layer, layer.weight), full: dora.apply(g, layer, p, settings, null) });
  const feeds = new Map<string, Float64Array>([['x', numbers(spec.x, 1)], ['layer.weight', numbers(spec.weight, 2)], ['layer.bias', numbers([5], 3)], ...described.map(({ name, shape }, i) => [name, numbers(shape, 4 + i)] as const)]);
  const dropped = evaluate(graph, new Map([...feeds, ['mask', new Float64Array(sizeOf(spec.x))]]));
  expectClose(dropped.get('y')!.data, dropped.get('base')!.data, 1e-12);
  const kept = evaluate(graph, new Map([...feeds, ['mask', new Float64Array(sizeOf(spec.x)).fill(1)]]));
  expectClose(kept.get('y')!.data, kept.get('full')!.data, 1e-12);
});

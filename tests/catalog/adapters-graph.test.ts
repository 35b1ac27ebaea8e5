// What the graphs of adapters are made of: element types in half precision, what gradients go through, which layers change.
import { describe, expect, test } from 'vitest';
import { sizeOf, type Shape } from '../../src-main/base/shape.ts';
import { adapters } from '../../src-main/catalog/adapters/index.ts';
import type { Adapter } from '../../src-main/catalog/define/adapter.ts';
import { defaultSettings } from '../../src-main/contract/fields.ts';
import type { DType } from '../../src-main/base/dtype.ts';
import { gradients } from '../../src-main/graph/autodiff.ts';
import { createBuilder, type Builder, type Layer } from '../../src-main/graph/builder.ts';
import { evaluate } from '../../src-main/graph/evaluate.ts';
import type { Value } from '../../src-main/graph/types.ts';
import { verify } from '../../src-main/graph/verify.ts';
import { expectClose } from '../ops/run-graph.ts';

type Kind = Layer['kind'];
const weightShapes: Readonly<Record<Kind, Shape>> = { linear: [5, 7], conv: [4, 3, 3, 3] };
const inputShapes: Readonly<Record<Kind, Shape>> = { linear: [2, 3, 7], conv: [2, 3, 6, 5] };
const numbers = (shape: Shape, seed: number): Float64Array => Float64Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(seed * 12.9898 + i * 7.233));

function build(id: 'lora' | 'dora', kind: Kind, changes: Readonly<Record<string, unknown>>, compute: DType) {
  const adapter = adapters[id] as unknown as Adapter;
  const settings = { ...defaultSettings(adapter.fields), rank: 2, alpha: 3, ...changes } as never;
  const shape = weightShapes[kind];
  const g: Builder = createBuilder({ compute, storedDType: () => compute });
  const layer: Layer = {
    kind, path: 'layer', x: g.input('x', inputShapes[kind], compute), weight: g.param('layer.weight', shape), bias: g.param('layer.bias', [shape[0]!]),
    ...(kind === 'conv' ? { conv: { stride: 2, pads: [1, 1, 1, 1] as const } } : {}),
  };
  const described = adapter.parameters({ kind, path: 'layer', shape }, settings);
  const p = Object.fromEntries(described.map((tensor) => [tensor.name, g.trainable(tensor.name, tensor.shape)]));
  const y = adapter.apply(g, layer, p, settings, null);
  const loss = g.reduceSum(g.mul(g.cast(y, { to: 'f32' }), g.constant([...numbers(y.shape, 9)], y.shape)), { axes: y.shape.map((_, i) => i), keep: false });
  const names = Object.keys(p);
  const before = newestId(g);
  const found = gradients(g, loss, Object.values(p));
  const graph = verify(g.graph({ y, ...Object.fromEntries(names.map((name, i) => [`grad.${name}`, found[i]!])) }));
  const feeds = new Map<string, Float64Array>([
    ['x', numbers(inputShapes[kind], 1)], ['layer.weight', numbers(shape, 2)], ['layer.bias', numbers([shape[0]!], 3)],
    ...described.map((tensor, i) => [tensor.name, numbers(tensor.shape, 4 + i)] as const),
  ]);
  return { y, found, graph, feeds, backward: graph.nodes.filter(({ id: node }) => node > before) };
}

/** Ids grow, so a new constant tells how far they are. */
const newestId = (g: Builder): number => g.input('marker', []).id;

const variants: [string, 'lora' | 'dora', Readonly<Record<string, unknown>>][] = [
  ['LoRA', 'lora', {}], ['DoRA', 'dora', {}], ['DoRA on the input axis', 'dora', { axis: 'input' }], ['exact DoRA', 'dora', { norm: 'exact' }], ['exact DoRA on the input axis', 'dora', { axis: 'input', norm: 'exact' }],
];

/** Computed values that `value` is made of. */
function reachableBelow(value: Value, found = new Set<Value>()): Set<Value> {
  for (const input of value.inputs) {
    if (!input.leaf) found.add(input);
    reachableBelow(input, found);
  }
  return found;
}

describe.each(['linear', 'conv'] as const)('%s', (kind) => {
  test.each(variants)('%s in half precision: half activations, everything of the norm and all gradients in f32, the same numbers', (_, id, changes) => {
    const half = build(id, kind, changes, 'f16');
    const single = build(id, kind, changes, 'f32');
    expect(half.y.dtype).toBe('f16');
    for (const gradient of half.found) expect(gradient!.dtype).toBe('f32');
    const ofNorm = half.graph.nodes.filter(({ op }) => op === 'sqrt' || op === 'sumSquares' || op === 'maximum');
    expect(ofNorm.length).toBe(id === 'lora' ? 0 : 3);
    for (const node of ofNorm) expect(node.dtype, node.op).toBe('f32');
    const [a, b] = [evaluate(half.graph, half.feeds), evaluate(single.graph, single.feeds)];
    for (const [name, { data }] of b) expectClose(a.get(name)!.data, data, 1e-12);
  });

  test.each([['output'], ['input']])('on the %s axis a norm held constant has no backward part', (axis) => {
    const detached = build('dora', kind, { axis }, 'f32');
    const exact = build('dora', kind, { axis, norm: 'exact' }, 'f32');
    // The magnitude's gradient divides by the norm itself; nothing uses what the norm is made of.
    const parts = (nodes: readonly Value[]): Set<Value> => reachableBelow(nodes.find(({ op }) => op === 'sqrt')!);
    const behind = ({ graph, backward }: typeof detached): Value[] => backward.filter(({ inputs }) => inputs.some((input) => parts(graph.nodes).has(input)));
    expect(behind(detached).map(({ op }) => op)).toEqual([]);
    expect(behind(exact).length).toBeGreaterThan(3);
  });
});

test('full fine-tuning replaces no layer and adds no tensor', () => {
  expect(adapters.full.trainsWeights).toBe(true);
  expect(adapters.full.parameters({ kind: 'linear', path: 'layer', shape: [2, 2] }, {})).toEqual([]);
});

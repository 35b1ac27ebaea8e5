// Parts of a layer's outputs against slices of the whole output: values and gradients.
import { describe, expect, test } from 'vitest';
import { gradients } from '../../src-main/graph/autodiff.ts';
import { createBuilder, type Builder } from '../../src-main/graph/builder.ts';
import { evaluate } from '../../src-main/graph/evaluate.ts';
import type { Value } from '../../src-main/graph/types.ts';
import { splitOutputs } from '../../src-main/nn/split-outputs.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import { valuesOf } from '../ops/oracle.ts';
import { expectClose, runOn } from '../ops/run-graph.ts';

const cpu = createOnnxRuntime({ device: 'cpu', threads: 1 });

const layers: Readonly<Record<string, { readonly build: (g: Builder, x: Value) => Value; readonly cutsOutput: boolean }>> = {
  'frozen layer': { build: (g, x) => g.linear(x, g.param('w', [6, 4]), g.param('b', [6])), cutsOutput: false },
  'frozen layer without bias': { build: (g, x) => g.linear(x, g.param('w', [6, 4]), null), cutsOutput: false },
  'trained layer': { build: (g, x) => g.linear(x, g.trainable('w', [6, 4]), g.trainable('b', [6])), cutsOutput: true },
  'something else': { build: (g, x) => g.mul(g.linear(x, g.param('w', [6, 4]), null), 2), cutsOutput: true },
  ...Object.fromEntries((['none', 'output', 'input'] as const).flatMap((gain) => [true, false].map((bias) => [`low-rank layer, gain ${gain}${bias ? ', bias' : ''}`, {
    build: (g: Builder, x: Value) => g.lowRankLinear([
      x, g.param('w', [6, 4]), g.trainable('a', [2, 4]), g.trainable('up', [6, 2]),
      ...(gain === 'none' ? [] : [g.trainable('gain', [gain === 'output' ? 6 : 4])]), ...(bias ? [g.param('b', [6])] : []),
    ], { scale: 1.5, gain, bias }),
    cutsOutput: false,
  }]))),
};

describe.each(Object.entries(layers))('%s', (_, { build, cutsOutput }) => {
  // Different factors for the parts, so that mistaking one for the other shows.
  const graphOf = (parts: (g: Builder, y: Value) => Value[]) => {
    const g = createBuilder();
    const x = g.trainable('x', [5, 4]);
    const [first, second] = parts(g, build(g, x)) as [Value, Value];
    const loss = g.reduceSum(g.mul(g.mul(first, first), g.mul(second, 3)), { axes: [0, 1], keep: false });
    const trained = [...g.leaves.values()].filter(({ leaf }) => leaf!.kind === 'trainable');
    return g.graph(Object.fromEntries([['first', first], ['second', second], ...gradients(g, loss, trained).map((value, i) => [`grad.${trained[i]!.leaf!.name}`, value!] as const)]));
  };
  const cut = graphOf((g, y) => [0, 3].map((start) => g.slice(y, { starts: [0, start], sizes: [5, 3] })));
  const split = graphOf((g, y) => splitOutputs(g, y, 2));
  const feeds = new Map(cut.nodes.flatMap(({ leaf, shape }, i) => (leaf && leaf.kind !== 'constant' ? [[leaf.name, valuesOf({ shape, range: [0.5, 1.5] }, i)] as const] : [])));

  test('gives the slices of the output, and their gradients', async () => {
    const expected = evaluate(cut, feeds);
    for (const [name, { data }] of evaluate(split, feeds)) expectClose(data, expected.get(name)!.data, 1e-12);
    for (const [name, data] of await runOn(cpu, split, feeds)) expectClose(data, expected.get(name)!.data, 2e-5);
    expect([...split.outputs.keys()]).toEqual([...cut.outputs.keys()]);
  });

  test(cutsOutput ? 'cuts the output' : 'cuts no activation', () => {
    const sliced = split.nodes.filter(({ op, inputs }) => op === 'slice' && inputs[0]!.shape[0] === 5);
    expect(sliced.length > 0).toBe(cutsOutput);
  });
});

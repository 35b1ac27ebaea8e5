import { describe, expect, test } from 'vitest';
import { gradients } from '../../src-main/graph/autodiff.ts';
import { createBuilder } from '../../src-main/graph/builder.ts';
import { evaluate } from '../../src-main/graph/evaluate.ts';
import { recompute } from '../../src-main/graph/passes/recompute.ts';
import { printGraph } from '../../src-main/graph/print.ts';
import type { Graph, Value } from '../../src-main/graph/types.ts';
import { verify } from '../../src-main/graph/verify.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import { expectClose, runOn } from '../ops/run-graph.ts';
import { smallStep, unetStep } from './step-graphs.ts';

const isBackward = (node: Value): boolean => node.region.endsWith('~back');

/** Values made in a forward region and used in a backward one: what lives through the whole step. */
const kept = (graph: Graph): Value[] => [...new Set(graph.nodes.filter(isBackward).flatMap((node) => node.inputs))]
  .filter((value) => value.op !== 'leaf' && !isBackward(value));

/** Forward values that some other forward region, or an output, needs anyway. */
function crossing(graph: Graph): Set<Value> {
  const used = graph.nodes.filter((node) => !isBackward(node)).flatMap((node) => node.inputs.filter((input) => input.region !== node.region));
  return new Set([...used, ...graph.outputs.values()]);
}

function expectSame(graph: Graph, feeds: ReadonlyMap<string, Float64Array>, other: Graph, tolerance: number): void {
  const expected = evaluate(graph, feeds);
  const actual = evaluate(verify(other), feeds);
  expect([...actual.keys()]).toEqual([...expected.keys()]);
  for (const [name, { data }] of expected) expectClose(actual.get(name)!.data, data, tolerance);
}

describe('recomputation', () => {
  test('gives the same numbers', () => {
    const { graph, feeds } = smallStep();
    expectSame(graph, feeds, recompute(graph, () => true), 1e-15);
  });

  test('frees all that is inside of a region', () => {
    const { graph } = smallStep();
    const inside = (of: Graph): number => kept(of).filter((value) => !crossing(of).has(value)).length;
    expect(inside(graph)).toBeGreaterThan(8);
    expect(inside(recompute(graph, () => true))).toBe(0);
  });

  test('works in one region of two, and changes only its backward part', () => {
    const { graph, feeds } = smallStep(2);
    const partly = recompute(graph, (region) => region === 'block1');
    expectSame(graph, feeds, partly, 1e-15);
    const inside = kept(partly).filter((value) => !crossing(partly).has(value)).map(({ region }) => region);
    expect(new Set(inside)).toEqual(new Set(['block0']));
    const count = (of: Graph, region: string): number => of.nodes.filter((node) => node.region === region && node.op !== 'leaf').length;
    for (const region of ['block0', 'block1', 'block0~back', 'loss', 'loss~back']) expect(count(partly, region), region).toBe(count(graph, region));
    expect(count(partly, 'block1~back')).toBeGreaterThan(count(graph, 'block1~back'));
  });

  test('computes a value once, however often the backward part needs it', () => {
    const g = createBuilder();
    const x = g.input('x', [3]);
    const y = g.region('block', () => {
      const shared = g.exp(x);
      return g.mul(g.mul(shared, shared), shared);
    });
    const loss = g.region('loss', () => g.reduceSum(y, { axes: [0], keep: false }));
    const graph = recompute(g.graph({ dx: gradients(g, loss, [x])[0]! }), () => true);
    expect(graph.nodes.filter(({ op, region }) => op === 'exp' && region === 'block~back')).toHaveLength(1);
  });

  test('leaves outputs and values between regions as they are', () => {
    const g = createBuilder();
    const x = g.input('x', [3]);
    const [shown, y] = g.region('block', () => {
      const inner = g.exp(x);
      return [inner, g.mul(inner, inner)];
    });
    const loss = g.region('loss', () => g.reduceSum(g.mul(y!, y!), { axes: [0], keep: false }));
    const graph = recompute(g.graph({ shown: shown!, dx: gradients(g, loss, [x])[0]! }), () => true);
    expect(graph.nodes.filter(({ op }) => op === 'exp')).toHaveLength(1);
  });

  test('without checkpointed regions the graph is the same', () => {
    const { graph } = smallStep();
    expect(printGraph(recompute(graph, () => false))).toBe(printGraph(graph));
  });
});

describe('the tiny UNet', () => {
  const trained = /to_q\.weight$|conv1\.(weight|bias)$|norm2\.weight$|time_embedding/;

  test('has the same step with recomputation, in f64', () => {
    const { graph, feeds } = unetStep(trained);
    const again = recompute(graph, () => true);
    expectSame(graph, feeds, again, 1e-15);
    expect(kept(again).filter((value) => !crossing(again).has(value)).length).toBe(0);
    expect(kept(again).length).toBeLessThan(kept(graph).length / 4);
  });

  test('and through ONNX Runtime', async () => {
    const { graph, feeds } = unetStep(trained);
    const cpu = createOnnxRuntime({ device: 'cpu', threads: 1 });
    const plain = await runOn(cpu, graph, feeds);
    const again = await runOn(cpu, recompute(graph, () => true), feeds);
    for (const [name, values] of plain) expectClose(again.get(name)!, values, 1e-5);
  });
});

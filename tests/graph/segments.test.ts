// The schedule in segments: what crosses a cut, when it is freed, and that a program of many sessions computes the graph.
import { Tensor } from 'onnxruntime-node';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createBuilder } from '../../src-main/graph/builder.ts';
import { evaluate } from '../../src-main/graph/evaluate.ts';
import { recompute } from '../../src-main/graph/passes/recompute.ts';
import type { Graph, Value } from '../../src-main/graph/types.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import { cutIntoSegments } from '../../src-main/runtime/onnx/segments.ts';
import { f32 } from '../../src-main/runtime/runtime.ts';
import { expectClose, runOn } from '../ops/run-graph.ts';
import { smallStep, unetStep } from './step-graphs.ts';

const cpu = createOnnxRuntime({ device: 'cpu', threads: 1 });

/** A value made in the first region is used in the second and the third; another is an output and used later. */
function threeRegions() {
  const g = createBuilder();
  const x = g.input('x', [2]);
  const [early, shown] = g.region('a', () => [g.exp(x), g.neg(x)] as const);
  const middle = g.region('b', () => g.mul(early, shown));
  const last = g.region('c', () => g.add(g.mul(early, middle), g.input('z', [2])));
  return { graph: g.graph({ shown, last }), early, shown, middle, last };
}

describe('cutting', () => {
  test('says what goes in, comes out and is freed', () => {
    const { graph, early, shown, middle, last } = threeRegions();
    const segments = cutIntoSegments(graph);
    expect(segments.map(({ region }) => region)).toEqual(['a', 'b', 'c']);
    const names = (values: readonly Value[]): string[] => values.map((value) => value.leaf?.name ?? ['early', 'shown', 'middle', 'last'][[early, shown, middle, last].indexOf(value)]!);
    expect(segments.map(({ inputs }) => names(inputs))).toEqual([['x'], ['early', 'shown'], ['early', 'middle', 'z']]);
    expect(segments.map(({ outputs }) => names(outputs))).toEqual([['early', 'shown'], ['middle'], ['last']]);
    expect(segments.map(({ lastUses }) => names(lastUses))).toEqual([[], [], ['early', 'middle']]);
  });

  test('what follows from frozen values alone is made where it is used, unless it is a result', () => {
    const g = createBuilder();
    const w = g.param('w', [2]);
    const scaled = g.region('a', () => g.mul(w, 2));
    const first = g.region('a', () => g.mul(g.input('x', [2]), scaled));
    const second = g.region('b', () => g.mul(first, scaled));
    const shown = g.region('b', () => g.neg(scaled));
    const segments = cutIntoSegments(g.graph({ second, shown }));
    expect(segments.map(({ nodes }) => nodes)).toEqual([[scaled, first], [scaled, second, shown]]);
    expect(segments.map(({ outputs }) => outputs)).toEqual([[first], [second, shown]]);
    for (const { constants } of segments) expect(constants).toContain(w);
  });

  test.each([['a plain step', (graph: Graph) => graph], ['a step with recomputation', (graph: Graph) => recompute(graph, () => true)]])(
    'keeps in %s what is needed later, and nothing else', (_, pass) => {
      const graph = pass(unetStep(/attn2\.to_k\.weight$/).graph);
      const segments = cutIntoSegments(graph);
      // Each block is one segment forward and one backward.
      expect(segments.map(({ region }) => region)).toEqual([...new Set(segments.map(({ region }) => region))]);
      const results = new Set(graph.outputs.values());
      const live = new Set<Value>();
      segments.forEach((segment, index) => {
        for (const input of segment.inputs) if (input.op !== 'leaf') expect(live.has(input), `%${input.id} is there`).toBe(true);
        for (const value of segment.outputs) live.add(value);
        for (const value of segment.lastUses) expect(live.delete(value), `%${value.id} is freed once`).toBe(true);
        const needed = new Set(segments.slice(index + 1).flatMap(({ inputs }) => inputs));
        for (const value of live) expect(needed.has(value) || results.has(value), `%${value.id} is still needed`).toBe(true);
      });
      expect(live).toEqual(results);
    },
  );
});

describe('running', () => {
  afterEach(() => void vi.restoreAllMocks());

  test('gives what the evaluator gives', async () => {
    for (const { graph, feeds } of [smallStep(), { graph: threeRegions().graph, feeds: new Map([['x', [0.5, -1]], ['z', [2, 3]]]) }]) {
      const actual = await runOn(cpu, graph, feeds);
      for (const [name, { data }] of evaluate(graph, feeds)) expectClose(actual.get(name)!, data, 2e-5);
    }
  });

  test('disposes of every value at its last use, and of nothing else', async () => {
    const { graph, early, middle } = threeRegions();
    const program = await cpu.compile(graph, { weights: () => expect.fail('there are no weights'), name: 'test' });
    const feeds = new Map([['x', cpu.upload(f32(Float32Array.of(1, 2), [2]))], ['z', cpu.upload(f32(Float32Array.of(3, 4), [2]))]]);
    const disposed = vi.spyOn(Tensor.prototype, 'dispose');
    const first = await program.run(feeds);
    expect(disposed).toHaveBeenCalledTimes([early, middle].length);
    const second = await program.run(feeds);
    expect(disposed).toHaveBeenCalledTimes(4);
    for (const name of ['shown', 'last']) expect(await second.get(name)!.read()).toEqual(await first.get(name)!.read());
    expect(program.timing.runs).toBe(2);
    await program.dispose();
  });

  test('holds no more tensors during a step than the schedule says', async () => {
    const { graph, feeds } = smallStep();
    const segments = cutIntoSegments(graph);
    const freed = segments.flatMap(({ lastUses }) => lastUses).length;
    const made = segments.flatMap(({ outputs }) => outputs).length;
    expect(made - freed).toBe(graph.outputs.size);
    const disposed = vi.spyOn(Tensor.prototype, 'dispose');
    await runOn(cpu, graph, feeds);
    expect(disposed).toHaveBeenCalledTimes(freed);
  });

  test('an input that is not fed is our mistake', async () => {
    const program = await cpu.compile(threeRegions().graph, { weights: () => expect.fail(), name: 'test' });
    await expect(program.run(new Map())).rejects.toThrow(/x is not fed/);
    await program.dispose();
  });
});

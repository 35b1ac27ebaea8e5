// The backward part of attention in pieces: the same gradients however small the pieces are.
import { expect, test } from 'vitest';
import { gradients } from '../../src-main/graph/autodiff.ts';
import { createBuilder } from '../../src-main/graph/builder.ts';
import { evaluate } from '../../src-main/graph/evaluate.ts';
import { pieces } from '../../src-main/graph/ops/attention.ts';
import type { Graph } from '../../src-main/graph/types.ts';
import { verify } from '../../src-main/graph/verify.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import { valuesOf, weighted } from '../ops/oracle.ts';
import { expectClose, runOn } from '../ops/run-graph.ts';

const shapes = { q: [2, 5, 8], k: [2, 7, 8], v: [2, 7, 8] };
const feeds = new Map(Object.entries(shapes).map(([name, shape], i) => [name, valuesOf({ shape }, i + 1)]));

function gradientGraph(wanted: readonly string[], largestScores?: number): Graph {
  const g = createBuilder(largestScores === undefined ? {} : { largestScores });
  const [q, k, v] = Object.entries(shapes).map(([name, shape]) => g.input(name, shape));
  const loss = weighted(g, g.attention(q!, k!, v!, { heads: 4 }));
  const found = gradients(g, loss, wanted.map((name) => ({ q, k, v })[name]!));
  return verify(g.graph(Object.fromEntries(wanted.map((name, i) => [name, found[i]!]))));
}

test.each([1, 7, 20, 35, 70, 100])('scores of at most %i elements', (limit) => {
  for (const wanted of [['q', 'k', 'v'], ['k'], ['v'], ['q', 'v']]) {
    const expected = evaluate(gradientGraph(wanted), feeds);
    const graph = gradientGraph(wanted, limit);
    const scores = graph.nodes.filter(({ op }) => op === 'softmax').map(({ shape }) => shape.reduce((a, b) => a * b, 1));
    // A row of scores is never cut.
    expect(Math.max(...scores)).toBeLessThanOrEqual(Math.max(limit, shapes.k[1]!));
    for (const [name, { data }] of evaluate(graph, feeds)) expectClose(data, expected.get(name)!.data, 1e-13);
  }
});

test('ONNX Runtime agrees', async () => {
  const actual = await runOn(createOnnxRuntime({ device: 'cpu', threads: 1 }), gradientGraph(['q', 'k', 'v'], 14), feeds);
  for (const [name, { data }] of evaluate(gradientGraph(['q', 'k', 'v']), feeds)) expectClose(actual.get(name)!, data, 2e-5);
});

test('pieces cover everything once', () => {
  for (const [entries, queries, keys, limit] of [[8, 5, 7, 1], [8, 5, 7, 14], [8, 5, 7, 80], [3, 4, 4, 1000], [1, 1, 1, 1]] as const) {
    const seen = pieces(entries, queries, keys, limit).flatMap(({ from, count, rows }) =>
      Array.from({ length: count }, (_, i) => rows.flatMap(([start, end]) => Array.from({ length: end - start }, (__, j) => `${from + i}:${start + j}`))).flat());
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.length).toBe(entries * queries);
  }
});

// Every case of every op against three oracles: the f64 evaluator, central differences, and ONNX Runtime on the CPU.
import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { sizeOf } from '../../src-main/base/shape.ts';
import { gradients } from '../../src-main/graph/autodiff.ts';
import { evaluate } from '../../src-main/graph/evaluate.ts';
import { ops, type OpName } from '../../src-main/graph/ops/index.ts';
import type { Graph, Value } from '../../src-main/graph/types.ts';
import { verify } from '../../src-main/graph/verify.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import { buildCase, opOf, weighted } from './oracle.ts';
import { expectClose, runOn } from './run-graph.ts';

const names = Object.keys(ops) as OpName[];
const cpu = createOnnxRuntime({ device: 'cpu', threads: 1 });

test('the list of ops and the folder agree', () => {
  const files = readdirSync('src-main/graph/ops').filter((file) => file !== 'index.ts').map((file) => file.replace('.ts', ''));
  const kebab = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  expect(names.map(kebab).sort()).toEqual(files.sort());
});

describe.each(names)('%s', (name) => {
  const op = opOf(name);
  test('has cases', () => expect(op.cases.length).toBeGreaterThan(0));

  describe.each(op.cases.map((spec, index) => [index, spec] as const))('case %i', (_, spec) => {
    const isFloat = (value: Value): boolean => value.dtype === 'f32';

    test('evaluates to as many elements as its shape has', () => {
      const { g, output, feeds } = buildCase(name, spec);
      const y = evaluate(verify(g.graph({ y: output })), feeds).get('y')!;
      expect(y.data.length).toBe(sizeOf(output.shape));
      expect(y.data.every(Number.isFinite)).toBe(true);
    });

    test('ONNX Runtime agrees with the evaluator', async () => {
      const { g, output, feeds } = buildCase(name, spec);
      const y = name === 'detach' ? g.neg(output) : output;
      const graph = g.graph({ y });
      const actual = await runOn(cpu, graph, feeds);
      expectClose(actual.get('y')!, evaluate(graph, feeds).get('y')!.data, op.tolerance ?? 2e-5);
    });

    if (op.kind === 'composite' && op.grad) {
      test('the shortcut gradient equals the gradient of the body', () => {
        const short = gradientGraph(name, spec, false);
        const long = gradientGraph(name, spec, true);
        const expected = evaluate(long.graph, long.feeds);
        for (const [key, value] of evaluate(short.graph, short.feeds)) expectClose(value.data, expected.get(key)!.data, 1e-9);
      });
    }

    if (op.grad !== 'blocked' && isFloat(buildCase(name, spec).output)) {
      test('the gradient equals central differences', () => {
        const { graph, feeds, loss } = gradientGraph(name, spec, false);
        const found = evaluate(verify(graph), feeds);
        spec.inputs.forEach((input, i) => {
          if (input.fixed) return;
          const x = feeds.get(`x${i}`)!;
          const differences = x.map((value, at) => {
            const at2 = (v: number): number => evaluate(loss, new Map([...feeds, [`x${i}`, x.with(at, v)]])).get('loss')!.data[0]!;
            const h = 1e-4;
            return (at2(value + h) - at2(value - h)) / (2 * h);
          });
          expectClose(found.get(`x${i}`)!.data, differences, 1e-6);
        });
      });

      test('ONNX Runtime agrees on the gradient', async () => {
        const { graph, feeds } = gradientGraph(name, spec, false);
        const actual = await runOn(cpu, graph, feeds);
        for (const [key, value] of evaluate(graph, feeds)) expectClose(actual.get(key)!, value.data, op.tolerance ?? 5e-5);
      });
    }
  });
});

interface GradientGraph {
  readonly graph: Graph;
  readonly loss: Graph;
  readonly feeds: ReadonlyMap<string, Float64Array>;
}

function gradientGraph(name: OpName, spec: Parameters<typeof buildCase>[1], throughBody: boolean): GradientGraph {
  const { g, inputs, output, feeds } = buildCase(name, spec);
  const op = opOf(name);
  const y = throughBody && op.kind === 'composite' ? op.body(g, inputs, spec.attrs ?? {}) : output;
  const loss = weighted(g, y);
  const wanted = inputs.filter((_, i) => !spec.inputs[i]!.fixed);
  const found = gradients(g, loss, wanted);
  // Adding a zero keeps a gradient that is a plain constant or input from being an output without a node.
  const outputs = Object.fromEntries(found.map((value, i) => [wanted[i]!.leaf!.name, g.add(value!, g.mul(wanted[i]!, 0))]));
  return { graph: g.graph(outputs), loss: g.graph({ loss }), feeds };
}

// Every case of every op on the WebGPU provider (software adapter) against the f64 evaluator: forward and gradient. Nothing
// may fall back to the CPU: what the provider lacks is an error that names it.
import { describe, expect, test } from 'vitest';
import { gradients } from '../../src-main/graph/autodiff.ts';
import { evaluate } from '../../src-main/graph/evaluate.ts';
import { ops, type OpName } from '../../src-main/graph/ops/index.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import { buildCase, opOf, weighted } from '../ops/oracle.ts';
import { expectClose, runOn } from '../ops/run-graph.ts';
import { missingWebGpu, useSwiftShader } from './swiftshader.ts';

useSwiftShader();
const gpu = createOnnxRuntime({ device: 'webgpu' });
const names = Object.keys(ops) as OpName[];

/** Cases that the provider of onnxruntime-node 1.30 has no kernel for. */
const lacking: Readonly<Record<string, RegExp>> = { 'cast 0': /"webgpu" has no operation Cast of i64/ };

describe.skipIf(missingWebGpu !== null)(missingWebGpu ?? 'webgpu', () => {
  describe.each(names)('%s', (name) => {
    const op = opOf(name);
    describe.each(op.cases.map((spec, index) => [index, spec] as const))('case %i', (index, spec) => {
      test('forward', async () => {
        const { g, output, feeds } = buildCase(name, spec);
        const graph = g.graph({ y: name === 'detach' ? g.neg(output) : output });
        const lacks = lacking[`${name} ${index}`];
        if (lacks) {
          await expect(runOn(gpu, graph, feeds)).rejects.toThrow(lacks);
          return;
        }
        const actual = await runOn(gpu, graph, feeds);
        expectClose(actual.get('y')!, evaluate(graph, feeds).get('y')!.data, op.tolerance ?? 2e-5);
      });

      if (op.grad !== 'blocked' && buildCase(name, spec).output.dtype === 'f32') {
        test('gradient', async () => {
          const { g, inputs, output, feeds } = buildCase(name, spec);
          const wanted = inputs.filter((_, i) => !spec.inputs[i]!.fixed);
          if (wanted.length === 0) return;
          const found = gradients(g, weighted(g, output), wanted);
          const graph = g.graph(Object.fromEntries(found.map((value, i) => [`g${i}`, g.add(value!, g.mul(wanted[i]!, 0))])));
          const actual = await runOn(gpu, graph, feeds);
          for (const [key, value] of evaluate(graph, feeds)) expectClose(actual.get(key)!, value.data, op.tolerance ?? 5e-5);
        });
      }
    });
  });
});

// A step cut into segments on the WebGPU provider (software adapter): the numbers of the CPU, values that stay on the device
// between segments and are freed at their last use, and errors that name what the device lacks.
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { join } from 'node:path';
import { encodeTensor } from '../../src-main/files/convert.ts';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { writeSafetensors } from '../../src-main/files/safetensors-write.ts';
import { f32 } from '../../src-main/runtime/runtime.ts';
import { temporaryFolder } from '../files/temporary.ts';
import { createBuilder } from '../../src-main/graph/builder.ts';
import { recompute } from '../../src-main/graph/passes/recompute.ts';
import { missingOpError } from '../../src-main/runtime/onnx/missing-op.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import { cutIntoSegments } from '../../src-main/runtime/onnx/segments.ts';
import type { Graph } from '../../src-main/graph/types.ts';
import { runSingleStep } from '../../src-main/train/single-step.ts';
import { smallStep } from '../../src-main/train/small-step.ts';
import { packsTogether } from '../../src-main/train/packs.ts';
import { updateGraph } from '../../src-main/train/update-graph.ts';
import { adamw } from '../../src-main/catalog/optimizers/adamw.ts';
import { defaultSettings } from '../../src-main/contract/fields.ts';
import { valuesOf } from '../ops/oracle.ts';
import { relativeError, runOn } from '../ops/run-graph.ts';
import { missingWebGpu, useSwiftShader } from './swiftshader.ts';

useSwiftShader();
const gpu = createOnnxRuntime({ device: 'webgpu' });
const cpu = createOnnxRuntime({ device: 'cpu', threads: 1 });
const noWeights = () => expect.unreachable();

afterEach(() => void vi.restoreAllMocks());

/** Watches the tensors that sessions make until they are disposed of. */
function watchTensors() {
  const live = new Set<Tensor>();
  const seen = { peak: 0, made: 0, places: new Set<string>() };
  const create = InferenceSession.create as (...args: unknown[]) => Promise<InferenceSession>;
  vi.spyOn(InferenceSession, 'create').mockImplementation((async (...args: unknown[]) => {
    const session = await create.apply(InferenceSession, args);
    const run = session.run.bind(session);
    session.run = async (feeds: InferenceSession.FeedsType) => {
      const outputs = await run(feeds);
      for (const tensor of Object.values(outputs) as Tensor[]) {
        live.add(tensor);
        seen.places.add(tensor.location);
        seen.made++;
      }
      seen.peak = Math.max(seen.peak, live.size);
      return outputs;
    };
    return session;
  }) as typeof InferenceSession.create);
  const dispose = Tensor.prototype.dispose;
  vi.spyOn(Tensor.prototype, 'dispose').mockImplementation(function (this: Tensor) {
    live.delete(this);
    dispose.call(this);
  });
  return { live, seen };
}

// Every session compiles its own shaders, on the CPU.
describe.skipIf(missingWebGpu !== null)(missingWebGpu ?? 'webgpu', { timeout: 300_000 }, () => {
  test('a step with a DoRA and checkpoints equals the CPU', async () => {
    const { graph, weights, feeds } = smallStep({ compute: 'f32' });
    expect(cutIntoSegments(graph).length).toBeGreaterThan(10);
    const expected = await runSingleStep(cpu, graph, weights, feeds);
    expect([...expected.keys()].filter((name) => name.startsWith('grad.')).length).toBeGreaterThan(50);
    const actual = await runSingleStep(gpu, recompute(graph, () => true), weights, feeds);
    for (const [name, data] of expected) expect(relativeError(actual.get(name)!, data), name).toBeLessThan(1e-4);
  });

  test('weights that a file has in bf16 are made for the device by the session', async () => {
    const file = join(temporaryFolder(), 'model.safetensors');
    const values = Float32Array.from(valuesOf({ shape: [4, 3] }, 1), (value) => Number(value.toPrecision(2)));
    await writeSafetensors(file, [{ name: 'w', dtype: 'bf16', shape: [4, 3], data: encodeTensor(values, 'bf16', 'w') }]);
    const { offset, length } = openSafetensors(file).locate('w');
    const weights = () => ({ kind: 'file', file, offset, length, isBf16: true }) as const;
    const g = createBuilder({ storedDType: () => 'f32' });
    const graph = g.graph({ y: g.linear(g.input('x', [2, 3]), g.param('w', [4, 3]), null) });
    const data = Float32Array.from(valuesOf({ shape: [2, 3] }, 2));
    const results = await Promise.all([cpu, gpu].map(async (runtime) => {
      const program = await runtime.compile(graph, { weights, name: 'bf16' });
      const found = await (await program.run(new Map([['x', runtime.upload(f32(data, [2, 3]))]]))).get('y')!.read() as Float32Array;
      await program.dispose();
      return found;
    }));
    expect(relativeError(results[1]!, results[0]!)).toBeLessThan(1e-5);
  });

  test('values stay on the device between segments, and none is left behind', async () => {
    const { graph, weights, feeds } = smallStep({ compute: 'f32' });
    const { live, seen } = watchTensors();
    const program = await gpu.compile(graph, { weights, name: 'step' });
    const tensors = new Map([...feeds].map(([name, tensor]) => [name, gpu.upload(tensor)]));
    for (let step = 0; step < 2; step++) {
      const results = await program.run(tensors);
      expect([...seen.places]).toEqual(['gpu-buffer']);
      expect(live.size).toBe(graph.outputs.size);
      expect(seen.peak).toBeLessThan(seen.made);
      for (const tensor of results.values()) tensor.dispose();
      expect(live.size).toBe(0);
    }
    await program.dispose();
  });

  test('an optimizer step of many small tensors, updated together, equals the CPU', async () => {
    const tensors = Array.from({ length: 40 }, (_, i) => ({ name: `p${i}`, shape: i % 2 ? [4, 3 + i] : [5 + i] }));
    const packs = packsTogether(tensors, () => null);
    expect(packs.length).toBe(1);
    const graph = updateGraph(packs, { optimizer: adamw, settings: defaultSettings(adamw.fields), clip: 1, ema: 0.9 });
    const feeds = new Map(graph.nodes.flatMap(({ leaf, shape }, i) => (leaf && leaf.kind !== 'constant' ? [[leaf.name, valuesOf({ shape, range: [0.1, 1] }, i)] as const] : [])));
    const expected = await runOn(cpu, graph, feeds);
    for (const [name, data] of await runOn(gpu, graph, feeds)) expect(relativeError(data, expected.get(name)!), name).toBeLessThan(1e-5);
  });

  test('an operation that the device lacks is named, with the part of the model', async () => {
    const g = createBuilder();
    const x = g.region('first', () => g.add(g.exp(g.input('x', [3])), 1));
    const y = g.region('second', () => g.mul(g.neg(x), g.cast(g.input('index', [3], 'i64'), { to: 'f32' })));
    const graph: Graph = g.graph({ y });
    await expect(gpu.compile(graph, { weights: noWeights, name: 'train' })).rejects.toMatchObject({
      name: 'UserError', code: 'device.missing-op', data: { device: 'webgpu', op: 'Cast of i64', part: 'train.1.second' },
    });
    const program = await cpu.compile(graph, { weights: noWeights, name: 'train' });
    await program.dispose();
  });

  test('the first such operation is found among many', async () => {
    const nodes = ['Abs', 'Exp', 'Neg', 'Sign', 'Sqrt', 'Tanh'].map((opType, i) => ({ opType, domain: '', inputs: [i === 0 ? 'x' : `v${i - 1}`], outputs: [`v${i}`], attrs: {} }));
    const spec = { name: 'many', nodes, initializers: [], inputs: [{ name: 'x', dtype: 'f32' as const, shape: [4] }], outputs: [{ name: 'v5', dtype: 'f32' as const, shape: [4] }] };
    const error = await missingOpError(spec, { device: 'webgpu', folder: null, threads: 1, repacks: true }, 'many');
    expect(error.data).toMatchObject({ op: 'Sign' });
  });
});

// A step in f16 (weights stored in f16, activations f16, norms and adapters f32) against the same in f32. The CPU provider
// computes f16 operations in f32 between casts, so this tests the types of the graph and the rounding of what is stored.
import { expect, test } from 'vitest';
import { dora } from '../../src-main/catalog/adapters/dora.ts';
import { lora } from '../../src-main/catalog/adapters/lora.ts';
import type { Adapter } from '../../src-main/catalog/define/adapter.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import { runSingleStep } from '../../src-main/train/single-step.ts';
import { smallStep } from '../../src-main/train/small-step.ts';

const cpu = createOnnxRuntime({ device: 'cpu', threads: 1 });
const step = (options: Parameters<typeof smallStep>[0]): Promise<Map<string, Float32Array>> => {
  const { graph, weights, feeds } = smallStep(options);
  return runSingleStep(cpu, graph, weights, feeds);
};

/** ‖a − b‖ / ‖b‖ */
function relative(actual: Float32Array, expected: Float32Array): number {
  const square = (values: Float32Array): number => values.reduce((sum, value) => sum + value * value, 0);
  return Math.sqrt(square(actual.map((value, i) => value - expected[i]!)) / square(expected));
}

function largestError(actual: ReadonlyMap<string, Float32Array>, expected: ReadonlyMap<string, Float32Array>, prefix: string): number {
  const names = [...expected.keys()].filter((name) => name.startsWith(prefix));
  expect(names.length).toBeGreaterThan(0);
  return Math.max(...names.map((name) => relative(actual.get(name)!, expected.get(name)!)));
}

test.each([['LoRA', lora], ['DoRA', dora]] as const)('a step with a %s in f16 is the step in f32, rounded', async (_, kind) => {
  const adapter = kind as unknown as Adapter;
  const expected = await step({ compute: 'f32', storage: 'f16', adapter });
  const actual = await step({ compute: 'f16', storage: 'f16', adapter });
  expect([...actual.keys()]).toEqual([...expected.keys()]);
  expect(largestError(actual, expected, 'prediction')).toBeLessThan(5e-3);
  expect(largestError(actual, expected, 'loss')).toBeLessThan(2e-3);
  expect(largestError(actual, expected, 'grad.')).toBeLessThan(2e-2);
  // It is f16 indeed.
  expect(largestError(actual, expected, 'prediction')).toBeGreaterThan(1e-5);
});

test('the scale of the loss divides out exactly, being a power of two', async () => {
  const plain = await step({ compute: 'f32', scalesLoss: false });
  const scaled = await step({ compute: 'f32', scalesLoss: true });
  expect(largestError(scaled, plain, 'grad.')).toBeLessThan(1e-6);
  expect(scaled.get('loss')).toEqual(plain.get('loss'));
});

test('in f16 a scaled loss keeps gradients that would vanish', async () => {
  // Errors of a millionth make gradients below the least f16, 6e-8.
  const tiny = async (scalesLoss: boolean, compute: 'f16' | 'f32'): Promise<Map<string, Float32Array>> => {
    const { graph, weights, feeds } = smallStep({ compute, storage: 'f16', scalesLoss });
    const first = await runSingleStep(cpu, graph, weights, feeds);
    const prediction = first.get('prediction')!;
    const target = { ...feeds.get('target')!, data: prediction.map((value, i) => value + 1e-6 * Math.sin(i)) };
    return runSingleStep(cpu, graph, weights, new Map([...feeds, ['target', target]]));
  };
  const zeros = (results: ReadonlyMap<string, Float32Array>): number =>
    [...results].filter(([name, data]) => name.startsWith('grad.') && data.every((value) => value === 0)).length;
  expect(zeros(await tiny(false, 'f16'))).toBeGreaterThan(0);
  expect(zeros(await tiny(true, 'f16'))).toBe(0);
});

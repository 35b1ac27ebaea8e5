// Tensors with a learning rate of their own.
import { describe, expect, test } from 'vitest';
import { rng } from '../../src-main/base/rng.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import { f32, type HostTensor } from '../../src-main/runtime/runtime.ts';
import { OptimizerState } from '../../src-main/train/optimizer-state.ts';
import { optimizerOf } from '../../src-main/train/plan.ts';
import { toyJob } from './toy.ts';

const runtime = createOnnxRuntime({ device: 'cpu', threads: 1 });
const tensors = ['unet.a', 'text_encoder.b'].map((name) => ({ name, shape: [2, 3], initial: () => rng(1, name).fillNormal(new Float32Array(6)) }));

/** Three steps on some of the tensors; gradients depend on the name and the step only. */
async function run(kind: string, names: readonly string[], rate: number, ownRate?: number): Promise<Map<string, HostTensor>> {
  const { optimizer, settings } = optimizerOf(toyJob({ optimizer: { kind } }));
  const own = tensors.filter(({ name }) => names.includes(name));
  const hasOwnRate = (name: string): boolean => name.startsWith('text_encoder');
  const state = await OptimizerState.create(runtime, own, { optimizer, settings, clip: 0, ema: 0.5, ...(ownRate === undefined ? {} : { hasOwnRate }) }, false);
  for (let step = 1; step <= 3; step++) {
    const gradients = new Map(own.map(({ name, shape }) => [`grad.${name}`, runtime.upload(f32(rng(step, name).fillNormal(new Float32Array(6)), shape))]));
    await state.apply(gradients, 1, step, rate, ownRate);
  }
  const values = await state.snapshot();
  await state.dispose();
  return values;
}

describe.each(['adamw', 'lion', 'prodigy', 'adafactor'])('%s', (kind) => {
  test('with two rates gives what two optimizers give', async () => {
    const both = await run(kind, ['unet.a', 'text_encoder.b'], 0.1, 0.01);
    const [first, second] = [await run(kind, ['unet.a'], 0.1), await run(kind, ['text_encoder.b'], 0.01)];
    for (const [name, { data }] of both) {
      const alone = name.startsWith('shared:own:') ? second.get(name.replace('own:', '')) : (first.get(name) ?? second.get(name));
      expect(data, name).toEqual(alone!.data);
    }
    expect(both.size).toBe(first.size + second.size);
  });
});

test('the length of an update is measured where it is asked for, and measuring changes no value', async () => {
  const { optimizer, settings } = optimizerOf(toyJob({ optimizer: { kind: 'adamw' } }));
  const advance = async (measures: boolean): Promise<{ norms: (number | null)[]; far: number[]; values: Map<string, HostTensor> }> => {
    const state = await OptimizerState.create(runtime, tensors, { optimizer, settings, clip: 0, ema: 0 }, false);
    const norms: (number | null)[] = [];
    const far: number[] = [];
    for (let step = 1; step <= 3; step++) {
      const before = await state.snapshot();
      const gradients = new Map(tensors.map(({ name, shape }) => [`grad.${name}`, runtime.upload(f32(rng(step, name).fillNormal(new Float32Array(6)), shape))]));
      norms.push((await state.apply(gradients, 1, step, 0.1, 0.1, 0, measures && step > 1)).updateNorm);
      const after = await state.snapshot();
      far.push(Math.sqrt(tensors.reduce((sum, { name }) => sum + (after.get(name)!.data as Float32Array).reduce((squares, value, at) => squares + (value - (before.get(name)!.data as Float32Array)[at]!) ** 2, 0), 0)));
    }
    const values = await state.snapshot();
    await state.dispose();
    return { norms, far, values };
  };
  const [measured, plain] = [await advance(true), await advance(false)];
  expect(measured.norms[0]).toBeNull();
  for (const step of [1, 2]) expect(measured.norms[step]! / measured.far[step]!).toBeCloseTo(1, 5);
  expect(plain.norms).toEqual([null, null, null]);
  for (const [name, { data }] of measured.values) expect(plain.values.get(name)!.data, name).toEqual(data);
});

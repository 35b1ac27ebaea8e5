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

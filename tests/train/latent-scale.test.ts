// The scale of latents, measured on pictures of any shape.
import { expect, test } from 'vitest';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import type { Program } from '../../src-main/runtime/runtime.ts';
import { latentScale } from '../../src-main/train/latent-scale.ts';
import { openBase } from '../../src-main/train/open-model.ts';
import { makePlan } from '../../src-main/train/plan.ts';
import { rng } from '../../src-main/base/rng.ts';
import { jobAt, usePlace } from './run.ts';

const place = usePlace();

test('pictures need not be square, and nothing is left on the device', async () => {
  const job = { ...jobAt(place), task: 'autoencoder' as const };
  const { model, baseModel } = openBase({ ...job, init: 'file' });
  const inner = createOnnxRuntime({ device: 'cpu', threads: 1 });
  let living = 0;
  const counted = <T extends { dispose(): unknown }>(item: T): T => {
    living++;
    return Object.assign(Object.create(item) as T, { dispose: () => { living--; return item.dispose(); } });
  };
  const runtime: typeof inner = {
    ...inner, upload: (tensor) => counted(inner.upload(tensor)),
    compile: async (graph, options) => {
      const program = counted(await inner.compile(graph, options));
      const run: Program['run'] = async (feeds) => new Map([...await inner.compile(graph, options).then((own) => own.run(feeds))].map(([name, tensor]) => [name, counted(tensor)]));
      return Object.assign(program, { run });
    },
  };
  const plan = { ...makePlan(jobAt(place), model, baseModel, 'f32'), builder: { storedDType: baseModel.storedDType } };
  const picture = (width: number, height: number) => ({ pixels: rng(1, 'picture', width).fillNormal(new Float32Array(3 * width * height)), count: 1, width, height });
  const settings = { model, baseModel, runtime, plan };
  const wide = await latentScale(settings, new Map(), [picture(32, 16)]);
  expect(wide).toBeGreaterThan(0);
  expect(living).toBe(0);
  // Turned on its side a picture has the same number of values but is another one.
  expect(await latentScale(settings, new Map(), [{ ...picture(32, 16), width: 16, height: 32 }])).not.toBe(wide);
});

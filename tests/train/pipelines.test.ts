// Whole pipelines of diffusers and PEFT, recorded: the same folders through our own way from a folder to a picture.
import { expect, describe, test, beforeAll, afterAll } from 'vitest';
import { alphasCumprodOf } from '../../src-main/catalog/noise.ts';
import { detectModel } from '../../src-main/catalog/families/index.ts';
import { objectiveFor } from '../../src-main/catalog/objectives/index.ts';
import { f32 } from '../../src-main/runtime/runtime.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import type { Encoded } from '../../src-main/train/condition.ts';
import { Autoencoder, ShapedPrograms, TextEncoders } from '../../src-main/train/encoders.ts';
import { namedModel } from '../../src-main/train/named-model.ts';
import { noiseOf } from '../../src-main/train/noise-of.ts';
import { openModel } from '../../src-main/train/open-model.ts';
import { Painter } from '../../src-main/train/painter.ts';
import { makePlan } from '../../src-main/train/plan.ts';
import { readAdapter } from '../../src-main/train/read-adapter.ts';
import { gradientName, LOSS } from '../../src-main/train/step-graph.ts';
import { StepPrograms } from '../../src-main/train/step-programs.ts';
import { createDenoiserTask, type Example } from '../../src-main/train/tasks/denoiser.ts';
import { expectClose, goldenPath, readGolden } from '../nn/golden.ts';
import { tinyJob } from './tiny-model.ts';

const PROMPTS = ['A red House, at (sun:1.2);', '', 'café  naïve 42'];
const LONG = 'a red house and the sea at night with a boat and a moon over the hill, painted by hand';
const TOLERANCE = 2e-5;

const runtime = createOnnxRuntime({ device: 'cpu', threads: 1 });

describe.each(['sd1', 'sd2', 'sdxl'])('%s', (name) => {
  const root = goldenPath('pipelines', name);
  const golden = readGolden('pipelines', name, 'io.safetensors');
  const baseModel = openModel(root);
  const model = detectModel(baseModel.files);
  const programs = new ShapedPrograms(runtime, baseModel);
  const autoencoder = new Autoencoder(model, programs);
  const text = new TextEncoders(model, baseModel, programs);
  let long: Encoded;
  let first: Encoded;
  let moments: Float32Array;
  beforeAll(async () => {
    [first, long] = (await text.encode([PROMPTS[0]!, LONG])) as [Encoded, Encoded];
    moments = await autoencoder.encode(Float32Array.from(golden.data('pixels')), [2, 3, 16, 16]);
  });
  afterAll(() => programs.dispose());

  test('token ids', () => {
    const parts = model.textEncoders.map(({ component }) => component);
    parts.forEach((part, i) => {
      PROMPTS.forEach((prompt, k) => expect(text.tokens(prompt).get(part)!.map(({ ids }) => ids)).toEqual([[...golden.data(`ids.${i}.${k}`)]]));
      const cut = new TextEncoders(model, baseModel, programs, 18);
      expect(cut.tokens(LONG).get(part)!.map(({ ids }) => ids)).toEqual([[...golden.data(`ids.${i}.cut`)]]);
      expect(cut.cut(LONG)).toMatchObject({ used: 18 });
      expect(text.cut(LONG)).toBeNull();
      expect(text.tokens(LONG).get(part)).toHaveLength(3);
    });
  });

  test('text embeddings, also of a prompt in three chunks and of the empty one', async () => {
    const expectEncoded = ({ context, contextShape, pooled }: Encoded, key: string): void => {
      expect(contextShape).toEqual(golden.shape(`context.${key}`));
      expectClose(context, golden.data(`context.${key}`), `context.${key}`, TOLERANCE);
      if (golden.has(`pooled.${key}`)) expectClose(pooled!, golden.data(`pooled.${key}`), `pooled.${key}`, TOLERANCE);
      else expect(pooled).toBeNull();
    };
    for (const [i, encoded] of (await text.encode(PROMPTS)).entries()) expectEncoded(encoded, String(i));
    expectEncoded(long, 'long');
  });

  test('moments of the autoencoder', () => expectClose(moments, golden.data('moments'), 'moments', TOLERANCE));

  test.each(['lora', 'dora'])('loss and gradients of a step with PEFT’s %s', async (kind) => {
    const job = tinyJob({ base: { model: root }, adapter: { kind, rank: 4, alpha: 4, ...(kind === 'dora' ? { axis: 'output' } : {}) } });
    const plan = makePlan(job, model, baseModel, 'f32');
    const { noise, prediction } = noiseOf(job, model);
    const alphasCumprod = alphasCumprodOf(noise);
    const objective = objectiveFor(prediction);
    const timeIds = golden.has('time_ids') ? golden.data('time_ids') : new Float64Array(12);
    const size = moments.length / 2;
    const examples = [first, long].map((encoded, i): Example => ({
      moments: moments.slice(i * size, (i + 1) * size), height: 8, width: 8, isRegularization: false,
      prompt: { text: '', tokens: new Map(), encoded }, timeIds: Array.from(timeIds.subarray(6 * i, 6 * i + 6)),
    }));
    const task = createDenoiserTask({
      model, job, objective, alphasCumprod, tensors: [], builder: plan.builder, trainsText: false, dropout: 0,
      examples: { batchAt: async () => examples, measuringBatches: async () => [] },
    });
    const batch = await task.batchAt(0);

    // Latents without noise of their own, and the recorded noise and timesteps.
    const noisy = new Float32Array(size);
    const target = new Float32Array(size);
    for (let i = 0; i < 2; i++) {
      const clean = moments.slice(i * size, i * size + size / 2).map((value) => (value - model.latent.shift) * model.latent.scale);
      const own = Float32Array.from(golden.data('noise').slice((i * size) / 2, ((i + 1) * size) / 2));
      const sample = objective.sample(clean, own, alphasCumprod[golden.data('timestep')[i]!]!);
      noisy.set(sample.noisy, (i * size) / 2);
      target.set(sample.target, (i * size) / 2);
    }
    expectClose(noisy, golden.data('noisy'), 'noisy', TOLERANCE);
    expectClose(target, golden.data('target'), 'target', TOLERANCE);
    const feeds = new Map([...batch.feeds, ['sample', f32(noisy, [2, 4, 8, 8])] as const, ['target', f32(target, [2, 4, 8, 8])] as const, ['timestep', f32(Float32Array.from(golden.data('timestep')), [2])] as const]);

    const adapter = readAdapter(goldenPath('pipelines', name, `${kind}.safetensors`), namedModel(baseModel.files, model.denoiserComponent));
    expect([...adapter.values.keys()].sort()).toEqual(plan.tensors.map((tensor) => tensor.name).sort());
    const steps = new StepPrograms(task, { runtime, weights: baseModel.weights, checkpointing: kind === 'dora', scalesLoss: false });
    const result = await steps.gradients({ ...batch, feeds }, new Map([...adapter.values].map(([key, tensor]) => [key, runtime.upload(tensor)])), 1);
    const read = async (key: string): Promise<Float32Array> => (await result.get(key)!.read()) as Float32Array;
    expectClose(await read(LOSS), golden.data(`loss.${kind}`), 'loss', TOLERANCE);
    for (const [ours, key] of adapter.keys) expectClose(await read(gradientName(ours)), golden.data(`grad.${kind}.${key}`), key, 2e-3);
    expect(adapter.keys.size).toBe(golden.names.filter((one) => one.startsWith(`grad.${kind}.`)).length);
    await steps.dispose();
  });

  test('text encoders inside the step give the loss that their outputs give, at mixed lengths', async () => {
    const job = tinyJob({ base: { model: root } });
    const prompts = [{ text: '', tokens: text.tokens(PROMPTS[0]!), encoded: first }, { text: '', tokens: text.tokens(LONG), encoded: long }];
    const examples = prompts.map((prompt): Example => ({ moments: moments.slice(0, moments.length / 2), height: 8, width: 8, isRegularization: false, prompt, timeIds: [16, 16, 0, 0, 16, 16] }));
    const losses = await Promise.all([false, true].map(async (trainsText) => {
      const task = createDenoiserTask({
        model, job, objective: objectiveFor('epsilon'), alphasCumprod: alphasCumprodOf(model.noise), tensors: [], builder: { storedDType: baseModel.storedDType }, trainsText, dropout: 0,
        examples: { batchAt: async () => examples, measuringBatches: async () => [] },
      });
      const steps = new StepPrograms(task, { runtime, weights: baseModel.weights, checkpointing: false, scalesLoss: false });
      const loss = await steps.measure([await task.batchAt(0)], new Map());
      await steps.dispose();
      return loss;
    }));
    expect(losses[1]).toBeCloseTo(losses[0]!, 5);
  });

  test('five guided steps of a sampler, and the picture', async () => {
    const start = golden.data('start');
    const size = start.length / 2;
    let latents: Float32Array | undefined;
    const painter = new Painter({
      model, baseModel, runtime, builder: { storedDType: baseModel.storedDType }, trainsText: false,
      noise: noiseOf({ base: { model: root, prediction: 'auto' }, noise: { schedule: 'auto', zeroTerminalSnr: false, minTimestep: 0 } }, model),
      noiseFor: (seed, wanted) => {
        expect(wanted).toBe(size);
        return Float32Array.from(start.slice(seed * size, (seed + 1) * size));
      },
      onLatents: (values, shape) => {
        expect(shape).toEqual([2, 4, 8, 8]);
        latents = values;
      },
    });
    const sampler = name === 'sdxl' ? 'euler' : 'ddim';
    const pictures = await painter.paint(new Map(), ['a red house', 'the sea at night'].map((prompt, seed) => (
      { prompt, negative: 'a hill', seed, sampler, steps: 5, guidance: 5, width: 16, height: 16 })));
    await painter.dispose();
    expectClose(latents!, golden.data('latents'), 'latents', 2e-4);
    const image = golden.data('image');
    pictures.forEach(({ rgb }, k) => {
      for (let channel = 0; channel < 3; channel++) {
        for (let i = 0; i < 256; i++) {
          const value = Math.min(255, Math.max(0, 127.5 * (image[(k * 3 + channel) * 256 + i]! + 1)));
          expect(Math.abs(rgb[3 * i + channel]! - value)).toBeLessThan(0.6);
        }
      }
    });
  });
});

// Adapters with text encoders and the libraries themselves: what diffusers' own loaders make of our files, what we make of those
// of diffusers (PEFT) and of LyCORIS' network for kohya's scripts, and a step that trains UNet and text encoders together.
// With ADORA_RECORD=1 the files of ours are written anew, for tests/golden/make/text.py to load.
import { copyFileSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { detectModel } from '../../src-main/catalog/families/index.ts';
import { formats } from '../../src-main/catalog/formats/index.ts';
import { alphasCumprodOf } from '../../src-main/catalog/noise.ts';
import { objectiveFor } from '../../src-main/catalog/objectives/index.ts';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { writeSafetensors, type TensorToWrite } from '../../src-main/files/safetensors-write.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import { f32 } from '../../src-main/runtime/runtime.ts';
import { ShapedPrograms, TextEncoders } from '../../src-main/train/encoders.ts';
import { changeOf } from '../../src-main/train/export-lora.ts';
import { mergedFile } from '../../src-main/train/merged-weights.ts';
import { namedModel } from '../../src-main/train/named-model.ts';
import { noiseOf } from '../../src-main/train/noise-of.ts';
import { openModel } from '../../src-main/train/open-model.ts';
import { makePlan } from '../../src-main/train/plan.ts';
import { readAdapter } from '../../src-main/train/read-adapter.ts';
import { gradientName, LOSS } from '../../src-main/train/step-graph.ts';
import { StepPrograms } from '../../src-main/train/step-programs.ts';
import { createDenoiserTask, type Example } from '../../src-main/train/tasks/denoiser.ts';
import { writeAdapter } from '../../src-main/train/write-adapter.ts';
import { refusal, temporaryFolder } from '../files/temporary.ts';
import { expectClose, goldenPath, readGolden } from '../nn/golden.ts';
import { sourceAt } from './random-source.ts';
import { tinyJob } from './tiny-model.ts';

const runtime = createOnnxRuntime({ device: 'cpu', threads: 1 });
const isRecording = process.env['ADORA_RECORD'] === '1';
const norm = (values: ArrayLike<number>): number => Math.sqrt(Array.from(values).reduce((sum, value) => sum + value * value, 0));
const difference = (a: ArrayLike<number>, b: ArrayLike<number>): number => norm(Array.from(a, (value, i) => value - b[i]!));
const kindOf = (name: string): string => name.split('_')[0]!;

describe('files of other programs', () => {
  const cases = readdirSync(goldenPath('text', 'theirs')).map((file) => file.replace('.safetensors', ''));

  test('there are all of them', () => {
    expect(cases.sort()).toEqual(['sd1_lycoris_input', 'sd1_lycoris_lora', 'sd1_lycoris_norms', 'sd1_lycoris_output', 'sd1_peft_dora', 'sd1_peft_lora', 'sdxl_lycoris_input', 'sdxl_peft_dora']);
  });

  test.each(cases)('%s means the same here', async (name) => {
    const base = openModel(goldenPath('pipelines', kindOf(name)));
    const named = namedModel(base.files, 'unet');
    const read = readAdapter(goldenPath('text', 'theirs', `${name}.safetensors`), named);
    expect(read.axis).toBe(/input/.test(name) ? 'input' : /output|dora/.test(name) ? 'output' : null);
    const io = openSafetensors(goldenPath('text', 'io', `${name}.safetensors`));
    expect(read.layers.map(({ path }) => `${path}.weight`).sort()).toEqual([...io.tensors.keys()].sort());
    expect(new Set(read.layers.map(({ path }) => path.split('.')[0]))).toEqual(new Set(['unet', 'text_encoder', ...(kindOf(name) === 'sdxl' ? ['text_encoder_2'] : [])]));
    for await (const { path, merged } of mergedFile(read, base, runtime, named.layers)) {
      const theirs = io.readF32(path);
      expect(difference(theirs, merged) / difference(theirs, base.readF32(path)), path).toBeLessThan(5e-6);
    }
  });

  test('an expression that could take forever is refused', async () => {
    const model = namedModel(openModel(goldenPath('pipelines', 'sd1')).files, 'unet');
    const file = openSafetensors(goldenPath('text', 'theirs', 'sd1_peft_lora.safetensors'));
    const tensors = [...file.tensors].map(([key, info]): TensorToWrite => ({ name: key, ...info, data: file.read(key).bytes }));
    for (const pattern of ['(a+)+b', '(', '.*.*.*.*.*x']) {
      const path = join(temporaryFolder(), 'a.safetensors');
      await writeSafetensors(path, tensors, { lora_adapter_metadata: JSON.stringify({ 'unet.lora_alpha': 2, 'unet.alpha_pattern': { [pattern]: 4 } }) });
      expect(refusal('adapter.alpha', () => readAdapter(path, model)).message).toContain(pattern);
    }
  });
});

describe.each(['sd1', 'sdxl'])('our files for %s in the pipeline of diffusers', (kind) => {
  const cases = [['lora_peft', 'peft', null], ['dora_peft', 'peft', 'output'], ['lora_kohya', 'kohya', null]] as const;

  test.each(cases)('%s', async (name, layout, axis) => {
    const source = sourceAt(goldenPath('pipelines', kind), { axis, layers: (path) => /^unet\.mid_block\.(?:attentions.*(?:attn2|proj_in)|resnets\.0\.conv1)|\.encoder\.layers\.0\./.test(path) });
    const { path } = await writeAdapter(source, formats[layout]!, join(temporaryFolder(), 'a.safetensors'), { dtype: 'f32', note: '' });
    const given = goldenPath('text', 'ours', `${kind}_${name}.safetensors`);
    if (isRecording) {
      mkdirSync(goldenPath('text', 'ours'), { recursive: true });
      copyFileSync(path, given);
    }
    const [file, theirs] = [openSafetensors(path), openSafetensors(given)];
    expect([...file.tensors.keys()].sort()).toEqual([...theirs.tensors.keys()].sort());
    for (const key of file.tensors.keys()) expect(file.read(key), key).toEqual(theirs.read(key));
    if (isRecording && !existsSync(goldenPath('text', 'io', `${kind}_${name}.safetensors`))) return;
    const io = openSafetensors(goldenPath('text', 'io', `${kind}_${name}.safetensors`));
    expect([...io.tensors.keys()].sort()).toEqual(source.layers.map((layer) => `${layer.path}.weight`).sort());
    for (const layer of source.layers) {
      const [change, base] = [await changeOf(source, layer), source.baseModel.readF32(`${layer.path}.weight`)];
      const wanted = io.readF32(`${layer.path}.weight`);
      expect(difference(wanted.map((value, i) => value - base[i]!), change) / norm(change), layer.path).toBeLessThan(5e-6);
    }
  });
});

describe.each(['sd1', 'sdxl'])('a step of %s that trains the text encoders, clip skip 2', (kind) => {
  const root = goldenPath('pipelines', kind);
  const golden = readGolden('text', `${kind}.step.safetensors`);
  const io = readGolden('pipelines', kind, 'io.safetensors');
  const baseModel = openModel(root);

  test('loss and gradients', async () => {
    const job = tinyJob({ base: { model: root, clipSkip: 2 }, adapter: { kind: 'dora', targets: 'attention', textEncoder: true, rank: 3, alpha: 3, axis: 'output' } });
    const model = detectModel(baseModel.files, { clipSkip: 2 });
    const plan = makePlan(job, model, baseModel, 'f32');
    const keys = golden.names.filter((name) => name.startsWith('adapter.')).map((name) => name.slice('adapter.'.length));
    const ours = (key: string): string => key.replace(/\.lora_magnitude_vector\.weight$/, '.lora_magnitude_vector');
    expect(plan.tensors.map(({ name }) => name).sort()).toEqual(keys.map(ours).sort());
    const programs = new ShapedPrograms(runtime, baseModel);
    const text = new TextEncoders(model, baseModel, programs);
    const prompts = ['A red House, at (sun:1.2);', 'café  naïve 42'].map((one) => ({ text: one, tokens: text.tokens(one), encoded: null }));
    const examples = prompts.map((prompt, i): Example => ({
      moments: new Float32Array(512), height: 8, width: 8, isRegularization: false, prompt, timeIds: io.has('time_ids') ? Array.from(io.data('time_ids').subarray(6 * i, 6 * i + 6)) : [],
    }));
    const { noise, prediction } = noiseOf(job, model);
    const task = createDenoiserTask({
      model, job, objective: objectiveFor(prediction), alphasCumprod: alphasCumprodOf(noise), tensors: [], builder: plan.builder, trainsText: true, dropout: 0,
      examples: { batchAt: async () => examples, measuringBatches: async () => [] },
    });
    const batch = await task.batchAt(0);
    const feeds = new Map([...batch.feeds, ['weight', f32(new Float32Array(2).fill(1), [2])] as const, ...(['noisy', 'target'] as const).map((name) => [name === 'noisy' ? 'sample' : name, f32(Float32Array.from(io.data(name)), [2, 4, 8, 8])] as const),
      ['timestep', f32(Float32Array.from(io.data('timestep')), [2])] as const]);
    const values = new Map(keys.map((key) => [ours(key), runtime.upload(f32(Float32Array.from(golden.data(`adapter.${key}`)), plan.tensors.find(({ name }) => name === ours(key))!.shape))]));
    const steps = new StepPrograms(task, { runtime, weights: baseModel.weights, checkpointing: false, scalesLoss: false });
    const result = await steps.gradients({ ...batch, feeds }, values, 1);
    expectClose((await result.get(LOSS)!.read()) as Float32Array, golden.data('loss'), 'loss', 2e-5);
    for (const key of keys) expectClose((await result.get(gradientName(ours(key)))!.read()) as Float32Array, golden.data(`grad.${key}`), key, 2e-3);
    await steps.dispose();
    await programs.dispose();
  });
});

// From a job to what is trained.
import { beforeAll, describe, expect, test } from 'vitest';
import { readJobFile } from '../../src-main/app/job-file.ts';
import { detectModel } from '../../src-main/catalog/families/index.ts';
import type { Model } from '../../src-main/catalog/define/family.ts';
import { catalogFields } from '../../src-main/catalog/index.ts';
import type { AdapterTargets } from '../../src-main/contract/job.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import { openModel, type OpenModel } from '../../src-main/train/open-model.ts';
import { adapterOf, drawStart, makePlan, optimizerOf, type Plan } from '../../src-main/train/plan.ts';
import { trainedTensors } from '../../src-main/train/start-values.ts';
import { countElements } from '../../src-main/train/trained.ts';
import { refusal } from '../files/temporary.ts';
import { goldenPath } from '../nn/golden.ts';
import { expectClose } from '../ops/run-graph.ts';
import { jobAt, usePlace, type JobChanges } from './run.ts';

const place = usePlace();
let folder: OpenModel;
let model: Model;
beforeAll(() => {
  folder = openModel(place.model);
  model = detectModel(folder.files);
});

const planOf = (changes: JobChanges): Plan => makePlan(jobAt(place, changes), model, folder, 'f32');
const dora = { kind: 'dora', targets: 'attention', rank: 2, alpha: 2 } as const;
const elements = (component: string): number => countElements([...folder.files.get(component)!.tensors.values()]);

describe('adapters', () => {
  test('take the layers of their targets, in the order of the model', () => {
    const count = (targets: AdapterTargets): number => planOf({ adapter: { ...dora, targets } }).layers.length;
    const counts = (['attention', 'attention+feed-forward', 'linear', 'linear+conv'] as const).map(count);
    // A tiny UNet has 4 transformers of 8 attention projections and 2 feed-forward layers.
    expect(counts[0]).toBe(32);
    expect(counts[1]).toBe(40);
    expect(counts[2]).toBeGreaterThan(counts[1]!);
    expect(counts[3]).toBeGreaterThan(counts[2]!);
    const paths = planOf({ adapter: dora }).layers.map(({ path }) => path);
    expect(new Set(paths).size).toBe(32);
    expect(paths[0]).toMatch(/^unet\.down_blocks\.0/);
    expect(paths.at(-1)).toMatch(/^unet\.up_blocks\.1/);
  });

  test('leave the model frozen', () => {
    const { tensors, frozen, layers } = planOf({ adapter: dora });
    expect(frozen).toBe(elements('unet'));
    expect(tensors.map(({ name }) => name)).toEqual(layers.flatMap(({ path }) => ['lora_A.weight', 'lora_B.weight', 'lora_magnitude_vector'].map((part) => `${path}.${part}`)));
  });

  test.each([
    ['attention', ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj', 'self_attn.out_proj']],
    ['attention+feed-forward', ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj', 'self_attn.out_proj', 'mlp.fc1', 'mlp.fc2']],
  ] as const)('on text encoders take the layers of the targets %s', (targets, expected) => {
    const { layers, trainsText, frozen } = planOf({ adapter: { ...dora, targets, textEncoder: true } });
    expect(trainsText).toBe(true);
    const own = layers.filter(({ path }) => path.startsWith('text_encoder.')).map(({ path }) => path.replace(/.*layers\.\d+\./, ''));
    expect([...new Set(own)].sort()).toEqual([...expected].sort());
    expect(frozen).toBe(elements('unet') + elements('text_encoder'));
  });

  test.each([
    ['sdxl', undefined, ['text_encoder']],
    ['sd1', 2, ['text_encoder']],
    ['sd1', undefined, []],
  ] as const)('leave layers out that the model does not use, as the last one of a text encoder of %s with clip skip %s', (name, clipSkip, cut) => {
    const files = openModel(goldenPath('pipelines', name));
    const own = detectModel(files.files, clipSkip === undefined ? {} : { clipSkip });
    const plan = (adapter: JobChanges['adapter']): Plan => makePlan(jobAt(place, { base: { model: goldenPath('pipelines', name) }, adapter }), own, files, 'f32');
    for (const { component } of own.textEncoders) {
      const indices = (paths: readonly string[]): string[] => [...new Set(paths.filter((path) => path.startsWith(`${component}.`)).map((path) => /layers\.(\d+)/.exec(path)?.[1] ?? ''))];
      const isCut = (cut as readonly string[]).includes(component);
      const { layers, unused } = plan({ ...dora, textEncoder: true });
      expect(indices(layers.map(({ path }) => path))).toEqual(isCut ? ['0'] : ['0', '1']);
      expect(indices(unused)).toEqual(isCut ? ['1'] : []);
      const { tensors } = plan({ kind: 'full', targets: 'all', textEncoder: true });
      expect(indices(tensors.map((tensor) => tensor.name)).includes('1')).toBe(!isCut);
      expect(tensors.some((tensor) => tensor.name === `${component}.text_model.final_layer_norm.weight`)).toBe(name === 'sd1' || component === 'text_encoder_2');
    }
  });

  test('leave layers out that the program has no name for, and say so', () => {
    const files = openModel(goldenPath('pipelines', 'sdxl'));
    const planFor = (target: 'comfyui' | 'a1111' | 'all'): Plan =>
      makePlan(jobAt(place, { base: { model: goldenPath('pipelines', 'sdxl') }, adapter: { ...dora, targets: 'linear', textEncoder: true }, output: { for: target } }), detectModel(files.files), files, 'f32');
    const has = ({ layers }: Plan): boolean => layers.some(({ path }) => path === 'text_encoder_2.text_projection');
    const told = ({ warnings }: Plan): string[] => warnings.filter(({ code }) => code === 'job.unnamed-layer').map(({ text }) => text);
    expect([has(planFor('comfyui')), told(planFor('comfyui'))]).toEqual([true, []]);
    for (const target of ['a1111', 'all'] as const) {
      expect(has(planFor(target))).toBe(false);
      expect(told(planFor(target)).join()).toContain('A1111 has no name for the layer "text_encoder_2.text_projection"');
    }
  });

  test('start as they should: A drawn by its name, B zero, magnitudes the norms of the weights', async () => {
    const rows = { ...dora, axis: 'output' } as const;
    const plan = planOf({ adapter: rows });
    const values = trainedTensors(plan, jobAt(place, { adapter: rows }), folder, createOnnxRuntime({ device: 'cpu', threads: 1 }));
    const [down, up, magnitude] = values.slice(3, 6);
    const { path, shape } = plan.layers[1]!;
    const a = await down!.initial();
    expect(down!.name).toBe(`${path}.lora_A.weight`);
    expect(a.some((value) => value !== 0) && a.every((value) => Math.abs(value) <= 1 / Math.sqrt(shape[1]!))).toBe(true);
    expect(await down!.initial()).toEqual(a);
    expect((await up!.initial()).every((value) => value === 0)).toBe(true);
    const weight = folder.readF32(`${path}.weight`);
    const norms = Array.from({ length: shape[0]! }, (_, row) => Math.hypot(...weight.slice(row * shape[1]!, (row + 1) * shape[1]!)));
    expectClose(await magnitude!.initial(), norms, 1e-6);
    const other = makePlan(jobAt(place, { adapter: dora, train: { seed: 99 } }), model, folder, 'f32');
    expect(drawStart(other.tensors[3]!)).not.toEqual(a);
  });

  test('of rsLoRA, rank and kind that do not exist are refused', () => {
    refusal('job.unknown-adapter', () => adapterOf({ ...jobAt(place), adapter: { ...jobAt(place).adapter, kind: 'lokr' } }));
    refusal('job.unknown-optimizer', () => optimizerOf({ ...jobAt(place), optimizer: { kind: 'sgd' } }));
    refusal('job.targets', () => planOf({ adapter: { ...dora, targets: 'all' } }));
  });
});

describe('the rank', () => {
  test('that no layer can use is refused with the name of a layer', () => {
    const error = refusal('job.rank', () => planOf({ adapter: { ...dora, rank: 17 } }));
    expect(error.message).toMatch(/adapter\.rank = 17 is larger than both sides of the layer "unet\.down_blocks\.0\..*" \(8 inputs, 8 outputs\): choose at most 8/);
  });

  test('that some layers cannot use is a warning', () => {
    const large = openModel('tests/golden/pipelines/sdxl');
    const { warnings } = makePlan(jobAt(place, { adapter: { ...dora, targets: 'linear+conv', rank: 12 } }), detectModel(large.files), large, 'f32');
    expect(warnings).toMatchObject([{ code: 'job.rank', text: expect.stringMatching(/more than 16 of 125 layers can use, first "unet\.time_embedding\.linear_1" \(8 inputs, 32 outputs\): 6 % of the adapter's values are of no use/) as string }]);
    expect(planOf({ adapter: { ...dora, rank: 8 } }).warnings).toEqual([]);
    // The last layer has 4 outputs in every model: that is no fault of the settings.
    expect(planOf({ adapter: { ...dora, targets: 'linear+conv', rank: 8 } }).warnings).toEqual([]);
  });

  test('what the demo trains on the starter model needs no warning', async () => {
    const { job } = await readJobFile('assets/recipes/demo.toml', catalogFields());
    const starter = openModel('assets/starter');
    expect(makePlan(job, detectModel(starter.files), starter, 'f32').warnings).toEqual([]);
  });
});

test('settings that do nothing are told', () => {
  const ignored = (changes: JobChanges) => planOf(changes).warnings.map(({ code, data }) => [code, data['setting']]);
  expect(ignored({ adapter: { ...dora, textEncoderLearningRate: 1e-5 } })).toEqual([['job.ignored', 'adapter.textEncoderLearningRate']]);
  expect(ignored({ adapter: { ...dora, textEncoder: true, textEncoderLearningRate: 1e-5 } })).toEqual([]);
  expect(ignored({ task: 'autoencoder', adapter: {}, preview: { every: 10 } })).toEqual([['job.ignored', 'preview.every']]);
  const settings = (changes: JobChanges) => ignored(changes).map(([, setting]) => setting).sort();
  expect(settings({ task: 'autoencoder', adapter: {}, objective: { weighting: 'debiased', noiseOffset: 0.1 }, noise: { minTimestep: 5 } })).toEqual(['noise.minTimestep', 'objective.noiseOffset', 'objective.weighting']);
  expect(settings({ task: 'pretrain', adapter: { kind: 'full', targets: 'all' } })).toEqual(['adapter.kind', 'adapter.targets']);
  expect(settings({ adapter: dora, init: 'random', autoencoder: { part: 'decoder' } })).toEqual(['autoencoder.part', 'init']);
  expect(settings({ adapter: { kind: 'full', targets: 'all' }, init: 'random' })).toEqual([]);
  const folders = [{ path: place.pictures }];
  const data = { folders, buckets: { enabled: false, step: 8 }, caption: { keepTokens: 2 } };
  expect(settings({ adapter: dora, data, objective: { minSnrGamma: 3 }, train: { priorWeight: 2 } })).toEqual(['data.buckets.step', 'data.caption.keepTokens', 'objective.minSnrGamma', 'train.priorWeight']);
  expect(settings({
    adapter: dora, objective: { weighting: 'min-snr', minSnrGamma: 3 }, train: { priorWeight: 2 },
    data: { folders: [...folders, { path: place.folder, regularization: true }], buckets: { step: 8 }, caption: { shuffle: true, keepTokens: 2 } },
  })).toEqual([]);
  expect(settings({ adapter: dora, optimizer: { kind: 'adafactor', relativeStep: true }, schedule: { kind: 'cosine', warmup: 3 } })).toEqual(['schedule.kind', 'schedule.warmup']);
  expect(settings({ adapter: dora, optimizer: { kind: 'adafactor', relativeStep: true, relativeWarmup: true, learningRate: 1e-5 } })).toEqual(['optimizer.learningRate']);
  expect(settings({ adapter: dora, optimizer: { kind: 'adafactor', relativeWarmup: true, learningRate: 1e-5 } })).toEqual(['optimizer.relativeWarmup']);
  expect(settings({ adapter: dora, optimizer: { kind: 'lion', learningRate: 1e-5 } })).toEqual([]);
  expect(settings({ adapter: dora, optimizer: { kind: 'adafactor' }, schedule: { kind: 'cosine', warmup: 3 } })).toEqual([]);
  expect(settings({ adapter: dora, optimizer: { kind: 'prodigy' }, schedule: { kind: 'rex', warmup: 3 } })).toEqual([]);
});

describe('whole weights', () => {
  test('of target layers leave the rest frozen', () => {
    const { tensors, layers, frozen, builder } = planOf({ adapter: { kind: 'full', targets: 'attention' } });
    expect(layers).toEqual([]);
    // 32 projections; only those of the outputs have a bias.
    expect(tensors).toHaveLength(40);
    expect(countElements(tensors) + frozen).toBe(elements('unet'));
    expect(tensors.every(({ start }) => start.kind === 'file')).toBe(true);
    expect(builder.trains!(tensors[0]!.name)).toBe(true);
  });

  test('start as the file says', async () => {
    const changes = { adapter: { kind: 'full', targets: 'attention' } } as const;
    for (const { name, initial } of trainedTensors(planOf(changes), jobAt(place, changes), folder, createOnnxRuntime({ device: 'cpu' }))) {
      expect(await initial(), name).toEqual(folder.readF32(name));
    }
  });

  test('of everything', () => {
    const { tensors, frozen } = planOf({ adapter: { kind: 'full', targets: 'all' } });
    expect([countElements(tensors), frozen]).toEqual([elements('unet'), 0]);
  });

  test('of the autoencoder and of pretraining', () => {
    expect(countElements(planOf({ task: 'autoencoder' }).tensors)).toBe(elements('vae'));
    const { tensors, trainsText } = planOf({ task: 'pretrain', init: 'random' });
    expect(countElements(tensors)).toBe(elements('unet') + elements('text_encoder'));
    expect(trainsText).toBe(true);
    expect(tensors.every(({ start }) => start.kind === 'random')).toBe(true);
  });
});

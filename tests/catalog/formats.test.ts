// Layouts of adapter files: names, shapes, what they carry; and what other programs compute from the tensors of a file.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { rng } from '../../src-main/base/rng.ts';
import { sizeOf, type Shape } from '../../src-main/base/shape.ts';
import { formats } from '../../src-main/catalog/formats/index.ts';
import type { AdapterFacts, AdapterPart, DoraAxis, NamedModel } from '../../src-main/catalog/define/format.ts';
import { exactIn } from '../../src-main/catalog/programs.ts';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { dataSectionHash, writeSafetensors, type TensorToWrite } from '../../src-main/files/safetensors-write.ts';
import { ldmUnetNames } from '../../src-main/nn/ldm-unet-names.ts';
import { openModel } from '../../src-main/train/open-model.ts';
import { namedModel } from '../../src-main/train/named-model.ts';
import { readAdapter } from '../../src-main/train/read-adapter.ts';
import { relativeError } from '../ops/run-graph.ts';
import { temporaryFolder } from '../files/temporary.ts';

const golden = 'tests/golden/unet';
const kohya = formats['kohya']!;
const peft = formats['peft']!;

const goldenModel = (name: string): NamedModel => namedModel(openModel(join(golden, name)).files, 'unet');

/** A model with these layers and nothing else. */
const modelOf = (layers: Readonly<Record<string, Shape>>, textEncoders = ['text_encoder']): NamedModel => ({ denoiser: 'unet', textEncoders, layers: new Map(Object.entries(layers)) });

test('the list of formats and the folder agree', () => {
  expect(Object.keys(formats).sort()).toEqual(readdirSync('src-main/catalog/formats').filter((file) => file !== 'index.ts').map((file) => file.slice(0, -3)).sort());
});

describe('names', () => {
  const block = 'unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k';
  const text = 'text_model.encoder.layers.0.self_attn.q_proj';
  const parts: readonly AdapterPart[] = ['lora_A.weight', 'lora_B.weight', 'lora_magnitude_vector', 'alpha'];

  test('kohya: one text encoder', () => {
    const model = modelOf({ [block]: [320, 768] });
    const flat = 'lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k';
    expect(parts.map((part) => kohya.keyOf(block, part, model))).toEqual([`${flat}.lora_down.weight`, `${flat}.lora_up.weight`, `${flat}.dora_scale`, `${flat}.alpha`]);
    expect(kohya.keyOf(`text_encoder.${text}`, 'alpha', model)).toBe('lora_te_text_model_encoder_layers_0_self_attn_q_proj.alpha');
    expect(kohya.keyOf('vae.conv_in', 'alpha', model)).toBeNull();
  });

  test('kohya: SDXL has two text encoders and the original block names', () => {
    const layers: Record<string, Shape> = { [block]: [640, 2048], 'unet.add_embedding.linear_1': [1280, 2816] };
    for (const layer of ['0.resnets.0.conv1', '0.resnets.1.conv1', '1.resnets.0.conv1', '1.resnets.1.conv1']) layers[`unet.down_blocks.${layer}`] = [640, 640, 3, 3];
    const model = modelOf(layers, ['text_encoder', 'text_encoder_2']);
    expect(kohya.keyOf(block, 'lora_A.weight', model)).toBe('lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k.lora_down.weight');
    expect(kohya.keyOf(`text_encoder.${text}`, 'alpha', model)).toBe('lora_te1_text_model_encoder_layers_0_self_attn_q_proj.alpha');
    expect(kohya.keyOf(`text_encoder_2.${text}`, 'alpha', model)).toBe('lora_te2_text_model_encoder_layers_0_self_attn_q_proj.alpha');
    // Files with the names of diffusers exist too.
    expect(kohya.modulesOf(block, model)).toContain('lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k');
  });

  test('PEFT', () => {
    const model = modelOf({ [block]: [320, 768] });
    expect(parts.map((part) => peft.keyOf(block, part, model))).toEqual([`${block}.lora_A.weight`, `${block}.lora_B.weight`, `${block}.lora_magnitude_vector.weight`, null]);
    for (const key of [`${block}.lora_A.default.weight`, `${block}.lora_A.weight`]) expect(peft.parse(key)).toEqual({ module: block, part: 'lora_A.weight' });
    for (const key of ['', '.weight', '.default.weight'].map((end) => `${block}.lora_magnitude_vector${end}`)) {
      expect(peft.parse(key)).toEqual({ module: block, part: 'lora_magnitude_vector' });
    }
  });

  test('every layer of every model has one name, and it is found again', () => {
    for (const name of readdirSync(golden)) {
      const model = goldenModel(name);
      expect(model.layers.size).toBeGreaterThan(30);
      for (const format of Object.values(formats)) {
        const names = [...model.layers.keys()].map((path) => format.keyOf(path, 'lora_B.weight', model)!);
        expect(new Set(names).size).toBe(model.layers.size);
        for (const path of model.layers.keys()) {
          const parsed = format.parse(format.keyOf(path, 'lora_B.weight', model)!)!;
          expect(parsed.part).toBe('lora_B.weight');
          expect(format.modulesOf(path, model)).toContain(parsed.module);
        }
      }
    }
  });

  test('a name belongs to one layout', () => {
    for (const name of ['unet.conv_in.lora_A.weight', 'lora_unet_conv_in.alpha', 'lora_unet_conv_in.hada_w1_a', 'conv_in.weight', 'unet.conv_in.weight']) {
      expect(Object.values(formats).filter((format) => format.parse(name)).length, name).toBe(/lora_A|alpha/.test(name) ? 1 : 0);
    }
  });
});

describe('original block names', () => {
  // Where the blocks of real models lie: two resnets per block, attention in all but the last (SD1.x) or first (SDXL) level.
  const paths = (levels: number, attending: readonly number[]): string[] => Array.from({ length: levels }, (_, i) => i).flatMap((i) => [
    `down_blocks.${i}.resnets.0.conv1`, `down_blocks.${i}.resnets.1.conv1`,
    ...[0, 1, 2].map((j) => `up_blocks.${i}.resnets.${j}.conv1`),
    ...(attending.includes(i) ? [0, 1].map((j) => `down_blocks.${i}.attentions.${j}.proj_in`) : []),
    ...(attending.includes(levels - 1 - i) ? [0, 1, 2].map((j) => `up_blocks.${i}.attentions.${j}.proj_in`) : []),
  ]);

  test.each([
    ['down_blocks.0.attentions.0.proj_in', 'input_blocks.1.1.proj_in'],
    ['down_blocks.2.attentions.1.proj_in', 'input_blocks.8.1.proj_in'],
    ['down_blocks.0.downsamplers.0.conv', 'input_blocks.3.0.op'],
    ['down_blocks.2.downsamplers.0.conv', 'input_blocks.9.0.op'],
    ['down_blocks.3.resnets.1.conv2', 'input_blocks.11.0.out_layers.3'],
    ['mid_block.resnets.0.conv1', 'middle_block.0.in_layers.2'],
    ['mid_block.attentions.0.proj_out', 'middle_block.1.proj_out'],
    ['mid_block.resnets.1.time_emb_proj', 'middle_block.2.emb_layers.1'],
    ['up_blocks.0.upsamplers.0.conv', 'output_blocks.2.1.conv'],
    ['up_blocks.1.upsamplers.0.conv', 'output_blocks.5.2.conv'],
    ['up_blocks.3.attentions.2.transformer_blocks.0.ff.net.2', 'output_blocks.11.1.transformer_blocks.0.ff.net.2'],
    ['up_blocks.1.resnets.0.conv_shortcut', 'output_blocks.3.0.skip_connection'],
    ['conv_in', 'input_blocks.0.0'], ['conv_out', 'out.2'], ['time_embedding.linear_2', 'time_embed.2'],
  ])('SD1.x: %s', (own, original) => {
    expect(ldmUnetNames(paths(4, [0, 1, 2]))(own)).toBe(original);
  });

  test.each([
    ['down_blocks.1.attentions.0.proj_in', 'input_blocks.4.1.proj_in'],
    ['down_blocks.2.attentions.1.proj_in', 'input_blocks.8.1.proj_in'],
    ['up_blocks.0.attentions.2.proj_in', 'output_blocks.2.1.proj_in'],
    ['up_blocks.0.upsamplers.0.conv', 'output_blocks.2.2.conv'],
    ['up_blocks.1.upsamplers.0.conv', 'output_blocks.5.2.conv'],
    ['add_embedding.linear_1', 'label_emb.0.0'],
  ])('SDXL: %s', (own, original) => {
    expect(ldmUnetNames(paths(3, [1, 2]))(own)).toBe(original);
  });

  test('no module outside of the layout gets a name', () => {
    expect(ldmUnetNames(paths(4, [0, 1, 2]))('encoder_hid_proj')).toBeNull();
  });
});

describe('PEFT files of diffusers', () => {
  const files = readdirSync(golden).flatMap((name) => readdirSync(join(golden, name)).filter((file) => /^(lora|dora)(_conv)?\.safetensors$/.test(file)).map((file) => [name, file] as const));

  test.each(files)('%s/%s: read, named and shaped alike', (name, file) => {
    const model = goldenModel(name);
    const path = join(golden, name, file);
    const original = openSafetensors(path);
    const adapter = readAdapter(path, model);
    expect(adapter).toMatchObject({ layout: 'peft', axis: file.startsWith('dora') ? 'output' : null });
    expect(adapter.layers.every(({ rank, scale }) => rank === 4 && scale === 1)).toBe(true);
    const written = [...adapter.values].map(([parameter, { shape, data }]) => {
      const layer = [...model.layers.keys()].find((layerPath) => parameter.startsWith(`${layerPath}.lora_`))!;
      const part = parameter.slice(layer.length + 1) as AdapterPart;
      // PEFT's own saving leaves the end of a magnitude's name away, which text encoders are not loaded without.
      return { key: peft.keyOf(layer, part, model)!.replace(/(lora_magnitude_vector)\.weight$/, '$1'), shape: part === 'lora_magnitude_vector' ? peft.magnitudeShape(model.layers.get(layer)!, 'output') : shape, data };
    });
    expect(written.map(({ key }) => key).sort()).toEqual([...original.tensors.keys()].sort());
    for (const { key, shape, data } of written) {
      expect(shape).toEqual(original.tensors.get(key)!.shape);
      expect(data).toEqual(original.readF32(key));
    }
  });
});

const facts: AdapterFacts = {
  title: 'ink', kind: 'dora', axis: 'input', rank: 4, alpha: 2, trigger: 'in ink', note: '', hash: 'ab',
  base: { name: 'base', architecture: 'stable-diffusion-v1', implementation: 'diffusers', kohyaVersion: 'sd_v1', isVersion2: false, prediction: 'epsilon', side: 512, hashes: new Map([['unet', 'cd']]), fileHash: 'ef' },
  training: {
    steps: 10, totalSteps: 20, seed: 1, learningRate: 1e-4, textLearningRate: null, optimizer: 'adamw', schedule: 'constant', warmup: 2, batch: 2, accumulate: 1, checkpointing: true,
    dropout: 0, noiseOffset: 0, minSnrGamma: 5, clipSkip: null, job: '{}', recipe: '{}',
  },
  data: {
    folders: [{ name: '10_ink', repeats: 10, pictures: 3, tags: new Map([['in ink', 3], ['tree', 1]]) }], buckets: [{ width: 512, height: 448, count: 30 }],
    draws: 30, regularization: 0, width: 512, height: 512,
  },
};

describe('metadata', () => {
  test('kohya has what readers look for', () => {
    const metadata = kohya.metadata(facts);
    for (const key of ['ss_v2', 'ss_base_model_version', 'ss_network_module', 'ss_network_dim', 'ss_network_alpha', 'ss_network_args']) expect(metadata, key).toHaveProperty([key]);
    expect(metadata).toMatchObject({
      format: 'pt', ss_v2: 'False', ss_network_dim: '4', ss_network_alpha: '4', ss_network_module: 'lycoris.kohya', sshs_model_hash: 'ab', 'modelspec.hash_sha256': '0xab',
      'modelspec.architecture': 'stable-diffusion-v1/lora', 'modelspec.trigger_phrase': 'in ink', 'adora.dora_axis': 'input', 'adora.base_sha256.unet': 'cd',
    });
    expect(JSON.parse(metadata['ss_network_args']!)).toEqual({ algo: 'locon', dora_wd: 'True', wd_on_output: 'False' });
    expect(kohya.metadata({ ...facts, axis: null })).toMatchObject({ ss_network_module: 'networks.lora', ss_network_args: '{}' });
    expect(metadata).toMatchObject({
      ss_sd_model_name: 'base', ss_new_sd_model_hash: 'ef', ss_steps: '10', ss_max_train_steps: '20', ss_epoch: '1', ss_num_epochs: '2', ss_learning_rate: '0.0001', ss_text_encoder_lr: 'None',
      ss_gradient_checkpointing: 'True', ss_clip_skip: 'None', ss_min_snr_gamma: '5', ss_noise_offset: 'None', ss_num_train_images: '30', ss_resolution: '(512, 512)',
      ss_tag_frequency: '{"10_ink":{"in ink":3,"tree":1}}', ss_dataset_dirs: '{"10_ink":{"n_repeats":10,"img_count":3}}',
      ss_bucket_info: '{"buckets":{"0":{"resolution":[512,448],"count":30}}}',
    });
    // Every value is a text, and nothing is written that is not known.
    expect(Object.values(metadata).every((value) => typeof value === 'string')).toBe(true);
    const bare = kohya.metadata({ ...facts, training: null, data: null });
    expect(Object.keys(bare).filter((key) => /steps|tag|epoch|resolution|images/.test(key))).toEqual(['modelspec.resolution']);
  });

  test('the most frequent tags are kept when there are many', () => {
    const tags = new Map(Array.from({ length: 3000 }, (_, i) => [`tag ${i}`, 1 + (i % 7)]));
    const data = { ...facts.data!, folders: [{ ...facts.data!.folders[0]!, tags }] };
    const kept = (JSON.parse(kohya.metadata({ ...facts, data })['ss_tag_frequency']!) as Record<string, Record<string, number>>)['10_ink']!;
    expect(Object.keys(kept)).toHaveLength(1000);
    expect(Math.min(...Object.values(kept))).toBe(5);
  });

  test('PEFT has no configuration, which would be taken in place of the tensors', () => {
    expect(Object.keys(peft.metadata(facts)).filter((key) => /^(ss_|lora_adapter)/.test(key))).toEqual([]);
  });

  test('a date stands there only when it is given', () => {
    expect(Object.keys(kohya.metadata(facts)).filter((key) => /date|time|_at$/.test(key))).toEqual([]);
    expect(kohya.metadata({ ...facts, date: '2030-01-01' })['modelspec.date']).toBe('2030-01-01');
  });
});

// What each program makes of the tensors of a file, as its own source has it. Matrices as arrays of rows, f64.
type Matrix = readonly (readonly number[])[];
interface Tensors { readonly down: Matrix; readonly up: Matrix; readonly alpha: number | null; readonly scale: { readonly shape: Shape; readonly values: readonly number[] } | null }

const matrixOf = (values: ArrayLike<number>, rows: number): Matrix => Array.from({ length: rows }, (_, i) => Array.from({ length: values.length / rows }, (_, j) => values[(i * values.length) / rows + j]!));
const product = (up: Matrix, down: Matrix): Matrix => up.map((row) => down[0]!.map((_, j) => row.reduce((sum, value, k) => sum + value * down[k]![j]!, 0)));
const plus = (a: Matrix, b: Matrix, factor: number): Matrix => a.map((row, i) => row.map((value, j) => value + factor * b[i]![j]!));
const norm = (values: readonly number[]): number => Math.hypot(...values);

/** Columns belong to an input channel each; a kernel of k positions has k of them. */
function byInput(weight: Matrix, kernel: number, scale: (channel: number, norm: number) => number): Matrix {
  const norms = Array.from({ length: weight[0]!.length / kernel }, (_, channel) => norm(weight.flatMap((row) => row.slice(channel * kernel, (channel + 1) * kernel))));
  return weight.map((row) => row.map((value, j) => value * scale(Math.floor(j / kernel), norms[Math.floor(j / kernel)]!)));
}

const consumers: Readonly<Record<string, (base: Matrix, tensors: Tensors, kernel: number) => Matrix>> = {
  /** Knows columns only; the division by the rank comes before the magnitude. */
  a1111: (base, { down, up, alpha, scale }, kernel) => {
    const changed = plus(base, product(up, down), (alpha ?? down.length) / down.length);
    return scale === null ? changed : byInput(changed, kernel, (channel, size) => scale.values[scale.values.length === 1 ? 0 : channel]! / size);
  },
  /** Decides the axis by the first extent of the magnitude; on rows it divides by the norm of the base. */
  comfyui: (base, { down, up, alpha, scale }, kernel) => {
    const changed = plus(base, product(up, down), alpha === null ? 1 : alpha / down.length);
    if (scale === null) return changed;
    if (scale.shape[0] === base.length) return changed.map((row, i) => row.map((value) => (value * scale.values[i]!) / (norm(base[i]!) + 2 ** -23)));
    return byInput(changed, kernel, (channel, size) => scale.values[channel]! / (size + 2 ** -23));
  },
  peft: (base, { down, up, scale }) => {
    const changed = plus(base, product(up, down), 1);
    return scale === null ? changed : changed.map((row, i) => row.map((value) => (value * scale.values[i]!) / norm(row)));
  },
};

/** The trained weight by the definition of the method. */
function trained(base: Matrix, down: Matrix, up: Matrix, factor: number, magnitude: readonly number[] | null, axis: DoraAxis, kernel: number): Matrix {
  const changed = plus(base, product(up, down), factor);
  if (!magnitude) return changed;
  if (axis === 'output') return changed.map((row, i) => row.map((value) => (value * magnitude[i]!) / norm(row)));
  return byInput(changed, kernel, (channel, size) => magnitude[channel]! / size);
}

describe('other programs', () => {
  const shapes: Readonly<Record<string, Shape>> = { 'unet.wide': [6, 9], 'unet.square': [8, 8], 'unet.conv': [5, 7, 3, 3], 'unet.flat': [6, 4, 1, 1] };
  const model = modelOf(shapes);
  const rank = 3;
  const factor = 2 / rank;
  const random = (name: string, size: number): Float32Array => rng(3, name).fillNormal(new Float32Array(size));

  async function fileOf(layout: string, axis: DoraAxis | null, scale = 1): Promise<string> {
    const format = formats[layout]!;
    const tensors = Object.entries(shapes).flatMap(([path, shape]): TensorToWrite[] => {
      const [out, inputs, ...kernel] = shape as [number, number, ...number[]];
      const tensor = (part: AdapterPart, own: Shape, data: Float32Array) => ({ name: format.keyOf(path, part, model)!, dtype: 'f32' as const, shape: own, data });
      return [
        tensor('lora_A.weight', [rank, inputs, ...kernel], random(`${path}.down`, rank * sizeOf(shape.slice(1)))),
        tensor('lora_B.weight', [out, rank, ...kernel.map(() => 1)], random(`${path}.up`, out * rank).map((value) => value * scale)),
        ...(format.hasAlpha ? [tensor('alpha', [], Float32Array.of(rank))] : []),
        ...(axis ? [tensor('lora_magnitude_vector', format.magnitudeShape(shape, axis), magnitudeOf(path, shape, axis))] : []),
      ];
    });
    const path = join(temporaryFolder(), 'adapter.safetensors');
    await writeSafetensors(path, tensors, format.metadata({ ...facts, axis, hash: await dataSectionHash(tensors) }));
    return path;
  }

  const magnitudeOf = (path: string, shape: Shape, axis: DoraAxis): Float32Array => random(`${path}.${axis}`, shape[axis === 'output' ? 0 : 1]!).map((value) => 1 + Math.abs(value));

  /** Largest error of a layer relative to the change that training made. */
  async function errorIn(program: string, layout: string, axis: DoraAxis | null): Promise<Record<string, number>> {
    const format = formats[layout]!;
    const file = openSafetensors(await fileOf(layout, axis, factor));
    return Object.fromEntries(Object.entries(shapes).map(([path, shape]) => {
      const values = (part: AdapterPart): Float32Array | null => {
        const key = format.keyOf(path, part, model);
        return key !== null && file.tensors.has(key) ? file.readF32(key) : null;
      };
      const base = matrixOf(random(`${path}.base`, sizeOf(shape)), shape[0]!);
      const [down, up] = [matrixOf(values('lora_A.weight')!, rank), matrixOf(values('lora_B.weight')!, shape[0]!)];
      const magnitude = values('lora_magnitude_vector');
      const scaleKey = format.keyOf(path, 'lora_magnitude_vector', model)!;
      const tensors: Tensors = { down, up, alpha: values('alpha')?.[0] ?? null, scale: magnitude && { shape: file.tensors.get(scaleKey)!.shape, values: [...magnitude] } };
      const kernel = sizeOf(shape.slice(2));
      const wanted = trained(base, down, matrixOf(random(`${path}.up`, shape[0]! * rank), shape[0]!), factor, axis && [...magnitudeOf(path, shape, axis)], axis ?? 'output', kernel);
      const found = consumers[program]!(base, tensors, kernel);
      const change = plus(wanted, base, -1).flat();
      return [path, norm(plus(found, wanted, -1).flat()) / norm(change)];
    }));
  }

  test.each([
    ['a1111', 'kohya', null], ['comfyui', 'kohya', null], ['peft', 'peft', null],
    ['a1111', 'kohya', 'input'], ['comfyui', 'kohya', 'input'], ['peft', 'peft', 'output'],
  ] as const)('%s renders a %s file, axis %s, as trained', async (program, layout, axis) => {
    for (const [path, error] of Object.entries(await errorIn(program, layout, axis))) expect(error, path).toBeLessThan(1e-6);
    expect(exactIn(program === 'peft' ? 'diffusers' : program, axis)).toBe(true);
  });

  test.each([['comfyui', 'kohya', 'output'], ['a1111', 'kohya', 'output']] as const)('%s is not said to render a %s file, axis %s', async (program, layout, axis) => {
    expect(exactIn(program, axis)).toBe(false);
    if (program === 'comfyui') expect(Math.max(...Object.values(await errorIn(program, layout, axis)))).toBeGreaterThan(0.05);
  });

  test('the input axis has no place in PEFT', () => {
    expect(peft.axes).toEqual(['output']);
    expect(exactIn('diffusers', 'input')).toBe(false);
  });

  test.each([['kohya', null], ['kohya', 'input'], ['kohya', 'output'], ['peft', null], ['peft', 'output']] as const)('%s, axis %s: read as written', async (layout, axis) => {
    const adapter = readAdapter(await fileOf(layout, axis), model);
    expect(adapter).toMatchObject({ layout, axis });
    expect(adapter.layers.map(({ path, rank: own, scale }) => [path, own, scale])).toEqual(Object.keys(shapes).map((path) => [path, rank, 1]));
    for (const [path, shape] of Object.entries(shapes)) {
      expect(adapter.values.get(`${path}.lora_A.weight`)!.data).toEqual(random(`${path}.down`, rank * sizeOf(shape.slice(1))));
      expect(adapter.values.get(`${path}.lora_B.weight`)!.data).toEqual(random(`${path}.up`, shape[0]! * rank));
      if (!axis) continue;
      const magnitude = adapter.values.get(`${path}.lora_magnitude_vector`)!;
      expect(magnitude.data).toEqual(magnitudeOf(path, shape, axis));
      const extent = shape[axis === 'output' ? 0 : 1]!;
      expect(magnitude.shape).toEqual(shape.length === 4 ? [1, extent, 1, 1] : axis === 'output' ? [extent] : [1, extent]);
    }
  });

  test('magnitudes are never plain vectors for programs that would take an outer product', () => {
    for (const shape of Object.values(shapes)) for (const axis of ['output', 'input'] as const) expect(kohya.magnitudeShape(shape, axis)).toHaveLength(shape.length);
    expect(kohya.magnitudeShape([6, 9], 'output')).toEqual([6, 1]);
    expect(kohya.magnitudeShape([5, 7, 3, 3], 'input')).toEqual([1, 7, 1, 1]);
  });

  test('the same values give the same bytes', async () => {
    const [a, b] = [openSafetensors(await fileOf('kohya', 'input')), openSafetensors(await fileOf('kohya', 'input'))];
    expect([...a.metadata]).toEqual([...b.metadata]);
    expect(a.metadata.get('sshs_model_hash')).toMatch(/^[0-9a-f]{64}$/);
    expect(relativeError(a.readF32('lora_unet_wide.lora_down.weight'), b.readF32('lora_unet_wide.lora_down.weight'))).toBe(0);
  });
});

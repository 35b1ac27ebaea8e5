// Single files: what a checkpoint is, from its header alone; parameters against diffusers' own conversion, bit for bit.
import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Model } from '../../src-main/catalog/define/family.ts';
import { UserError } from '../../src-main/base/errors.ts';
import { detectModel, summariseCheckpoint } from '../../src-main/catalog/families/index.ts';
import { f16ToF32 } from '../../src-main/base/half.ts';
import { decodeF32, encodeTensor } from '../../src-main/files/convert.ts';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { ldmUnetNames } from '../../src-main/nn/ldm-unet-names.ts';
import { findParts } from '../../src-main/nn/checkpoint-parts.ts';
import { putParameter } from '../../src-main/nn/tensor-layout.ts';
import { inspectCommand } from '../../src-main/train/inspect.ts';
import { noiseOf as noiseOfJob } from '../../src-main/train/noise-of.ts';
import { openModel, type OpenModel } from '../../src-main/train/open-model.ts';
import { storedFiles } from '../../src-main/train/stored-files.ts';
import { refusal, temporaryFolder } from '../files/temporary.ts';
import { goldenPath } from '../nn/golden.ts';
import { keyList, recorded, rename, writeSparse, type Shapes } from './checkpoint-files.ts';

const KINDS = { sd15: 'Stable Diffusion 1.x, 860 M parameters', sd21: 'Stable Diffusion 2.x, 866 M parameters', sdxl: 'Stable Diffusion XL, 2567 M parameters' } as const;
type Kind = keyof typeof KINDS;
const kinds = Object.keys(KINDS) as Kind[];
const UNET = 'model.diffusion_model.';
const VAE = 'first_stage_model.';

function sparse(shapes: Shapes, dtype?: string, metadata?: Readonly<Record<string, string>>): string {
  const path = join(temporaryFolder(), 'model.safetensors');
  writeSparse(path, shapes, dtype, metadata);
  return path;
}

const modelOf = (path: string): Model => detectModel(openModel(path).files);
const without = (shapes: Shapes, part: string): Shapes => Object.fromEntries(Object.entries(shapes).filter(([name]) => !name.includes(part)));

describe.each(kinds)('a checkpoint of %s', (kind) => {
  const list = keyList(kind);

  test.each([{ sd15: 'F32', sd21: 'F16', sdxl: 'BF16' }[kind]])('in %s is told by its header', (dtype) => {
    const { files, unused } = openModel(sparse(list.ldm, dtype));
    const model = detectModel(files);
    expect(model.label).toBe(KINDS[kind]);
    expect(unused).toEqual([]);
    expect(model.latent.scale).toBe(kind === 'sdxl' ? 0.13025 : 0.18215);
    expect(model.nativeSide).toBe({ sd15: 512, sd21: 512, sdxl: 1024 }[kind]);
    expect(model.noise).toMatchObject({ steps: 1000, betaStart: 0.00085, betaEnd: 0.012, betaSchedule: 'scaled_linear', prediction: 'epsilon', zeroTerminalSnr: false });
    expect(model.textEncoders.map(({ length, padding }) => [length, padding])).toEqual({ sd15: [[77, 49407]], sd21: [[77, 0]], sdxl: [[77, 49407], [77, 0]] }[kind]);
  });

  test('has exactly the parameters of the diffusers layout, in the same shapes', () => {
    const { files } = openModel(sparse(list.ldm));
    const found = Object.fromEntries([...files].filter(([, { tensors }]) => tensors.size > 0).map(([name, { tensors }]) =>
      [name, Object.fromEntries([...tensors].map(([key, { shape }]) => [key, shape]))]));
    expect(found).toEqual(list.diffusers);
  });

  test('has the configuration that diffusers has for it', () => {
    const { files } = openModel(sparse(list.ldm));
    for (const [component, config] of Object.entries(list.configs)) {
      const own = files.get(component)!.config;
      const known = Object.fromEntries(Object.keys(config).map((key) => [key, own[key]]));
      const expected = component === 'scheduler' ? { ...config, prediction_type: 'epsilon' } : component === 'unet' && kind === 'sd21' ? { ...config, sample_size: 64 } : config;
      expect(known, component).toEqual(expected);
    }
  });

  test('as a UNet alone, in either naming, with an autoencoder and text encoders in other files', () => {
    const vae = sparse(rename(list.ldm, VAE, ''));
    const text = Object.keys(list.diffusers).filter((name) => name.startsWith('text')).map((name) => sparse({ ...list.diffusers[name], logit_scale: [] }));
    for (const unet of [rename(list.ldm, UNET, ''), list.diffusers['unet']!]) {
      const path = sparse(unet);
      const alone = modelOf(path);
      expect(alone.label).toBe(KINDS[kind]);
      expect(refusal('model.missing-part', () => alone.latent).message).toContain('base.vae');
      expect(refusal('model.missing-part', () => alone.textEncoders).message).toContain('base.textEncoders');
      const whole = openModel({ model: path, vae, textEncoders: text.toReversed() });
      const model = detectModel(whole.files);
      expect(model.latent.scale).toBe(kind === 'sdxl' ? 0.13025 : 0.18215);
      expect(model.textEncoders.map(({ component }) => component)).toEqual(Object.keys(list.diffusers).filter((name) => name.startsWith('text')));
      const location = whole.weights('vae.decoder.conv_in.weight');
      expect(location.kind === 'file' && location.file).toBe(vae);
    }
  });

  test('is written by the same names that it is read by', () => {
    const { unet } = findParts(new Map(Object.entries(list.ldm).map(([name, shape]) => [name, { dtype: 'f16', shape }])));
    const modules = [...new Set([...unet!.keys()].map((key) => key.replace(/\.(weight|bias)$/, '')))];
    const nameOf = ldmUnetNames(modules);
    for (const [key, { tensor }] of unet!) expect(`${UNET}${nameOf(key.replace(/\.(weight|bias)$/, ''))}`).toBe(tensor.replace(/\.(weight|bias)$/, ''));
  });
});

describe('spellings of older and other programs', () => {
  const { ldm, diffusers } = keyList('sd15');
  const replaced = (from: RegExp, to: string, shapes: Shapes = ldm): Shapes => Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name.replace(from, to), shape]));
  const OLD: Readonly<Record<string, string>> = { to_q: 'query', to_k: 'key', to_v: 'value', 'to_out.0': 'proj_attn' };
  const oldVae = Object.fromEntries(Object.entries(diffusers['vae']!).map(([name, shape]) => [name.replace(/to_([qkv]|out\.0)/, (part) => OLD[part]!), shape]));

  test.each([
    ['text encoders without "text_model."', replaced(/^cond_stage_model\.transformer\.text_model\./, 'cond_stage_model.transformer.')],
    ['UNets under "model.model."', replaced(/^model\.diffusion_model\./, 'model.model.')],
    ['autoencoders under "vae."', replaced(/^first_stage_model\./, 'vae.')],
    ['parts in the diffusers naming', { ...replaced(/^/, 'model.diffusion_model.', diffusers['unet']), ...replaced(/^/, 'first_stage_model.', diffusers['vae']), ...replaced(/^/, 'cond_stage_model.transformer.', diffusers['text_encoder']) }],
    ['the first names of attention', { ...without(ldm, VAE), ...replaced(/^/, 'first_stage_model.', oldVae) }],
    ['a projection and a logit scale of CLIP', { ...ldm, 'cond_stage_model.transformer.text_projection.weight': [768, 768], 'cond_stage_model.transformer.logit_scale': [] }],
  ])('%s', (_, shapes) => {
    const { files, unused } = openModel(sparse(shapes, 'F32'));
    expect(detectModel(files).label).toBe(KINDS.sd15);
    expect(unused).toEqual([]);
    for (const component of Object.keys(diffusers)) {
      expect(Object.fromEntries([...files.get(component)!.tensors].map(([key, { shape }]) => [key, shape]))).toEqual(diffusers[component]);
    }
  });
});

describe('what a model predicts', () => {
  const noiseOf = (kind: Kind, more: Shapes, metadata?: Readonly<Record<string, string>>) => modelOf(sparse({ ...keyList(kind).ldm, ...more }, 'F16', metadata)).noise;

  test('is said by marks of XL checkpoints', () => {
    expect(noiseOf('sdxl', { v_pred: [0] })).toMatchObject({ prediction: 'v_prediction', zeroTerminalSnr: false });
    expect(noiseOf('sdxl', { v_pred: [0], ztsnr: [0] })).toMatchObject({ prediction: 'v_prediction', zeroTerminalSnr: true });
    // As ComfyUI reads it: alone the second mark says nothing.
    expect(noiseOf('sdxl', { ztsnr: [0] })).toMatchObject({ prediction: 'epsilon', zeroTerminalSnr: false });
  });

  test('is said by the metadata where no mark does', () => {
    expect(noiseOf('sdxl', {}, { 'modelspec.prediction_type': 'v' }).prediction).toBe('v_prediction');
    expect(noiseOf('sdxl', {}, { 'modelspec.predict_key': 'epsilon' }).prediction).toBe('epsilon');
    expect(noiseOf('sdxl', { v_pred: [0] }, { 'modelspec.prediction_type': 'epsilon' }).prediction).toBe('v_prediction');
  });

  test('is what the user says, whatever the file does', () => {
    const said = (prediction: 'auto' | 'epsilon' | 'v', more: Shapes = {}, zeroTerminalSnr = false) => {
      const { noise, prediction: used } = noiseOfJob({ base: { model: '', prediction }, noise: { schedule: 'auto', zeroTerminalSnr, minTimestep: 0 } }, modelOf(sparse({ ...keyList('sdxl').ldm, ...more })));
      return [used, noise.prediction, noise.zeroTerminalSnr];
    };
    const marked = { v_pred: [0], ztsnr: [0] };
    expect(said('auto', marked)).toEqual(['v_prediction', 'v_prediction', true]);
    expect(said('v', marked)).toEqual(['v_prediction', 'v_prediction', true]);
    expect(said('v')).toEqual(['v_prediction', 'v_prediction', false]);
    expect(said('v', {}, true)).toEqual(['v_prediction', 'v_prediction', true]);
    // Noise cannot be predicted where there is nothing else.
    expect(said('epsilon', marked)).toEqual(['epsilon', 'epsilon', false]);
  });

  test.each([[0.08, 'epsilon', 512], [0.1, 'v_prediction', 768]] as const)('of version 2 is told by the spread %d of a weight', (deviation, prediction, side) => {
    const path = join(temporaryFolder(), 'v2.safetensors');
    const name = `${UNET}output_blocks.11.1.transformer_blocks.0.norm1.bias`;
    const at = writeSparse(path, keyList('sd21').ldm, 'F32').get(name)!;
    const file = openSync(path, 'r+');
    writeSync(file, new Uint8Array(Float32Array.from({ length: 320 }, (_, i) => (i % 2 ? deviation : -deviation)).buffer), 0, 1280, at);
    closeSync(file);
    const model = modelOf(path);
    expect([model.noise.prediction, model.nativeSide]).toEqual([prediction, side]);
  });
});

describe('what is refused', () => {
  const sdxl = keyList('sdxl').ldm;
  const unet = (change: Shapes): string => sparse({ ...keyList('sd15').ldm, ...change });

  test.each([
    ['model.inpainting', () => unet({ [`${UNET}input_blocks.0.0.weight`]: [320, 9, 3, 3] }), '9 channels'],
    ['model.edit', () => unet({ [`${UNET}input_blocks.0.0.weight`]: [320, 8, 3, 3] }), '8 channels'],
    ['model.edm', () => sparse({ ...sdxl, edm_mean: [4], edm_std: [4] }), 'edm_mean'],
    ['model.quantised', () => sparse({ ...sdxl, scaled_fp8: [2] }), 'scaled_fp8'],
    ['model.quantised', () => sparse({ ...sdxl, [`${UNET}input_blocks.1.0.in_layers.2.scale_weight`]: [] }), 'scale_weight'],
    ['model.quantised', () => sparse(sdxl, 'F8_E4M3'), 'F8_E4M3'],
    ['model.unknown', () => unet({ [`${UNET}input_blocks.7.1.transformer_blocks.0.attn2.to_k.weight`]: [1280, 512] }), 'context'],
    ['model.unknown', () => sparse({ 'a.weight': [1], 'b.weight': [2] }), 'model.diffusion_model.input_blocks.0.0.weight'],
    ['model.unsupported', () => sparse({ 'model.diffusion_model.double_blocks.0.img_attn.norm.key_norm.scale': [128], 'img_in.weight': [3072, 64] }), 'FLUX.1'],
    ['model.unsupported', () => sparse({ 'double_stream_modulation_img.lin.weight': [1], 'double_blocks.0.img_attn.norm.key_norm.scale': [128] }), 'FLUX.2'],
    ['model.unsupported', () => sparse({ 'joint_blocks.0.context_block.attn.qkv.weight': [1, 1] }), 'Stable Diffusion 3'],
    ['model.unsupported', () => sparse({ 'noise_refiner.0.attention.k_norm.weight': [1], 'cap_embedder.1.weight': [3840, 1] }), 'Z-Image'],
    ['model.unsupported', () => sparse({ 'head.modulation': [1, 2, 5120] }), 'Wan'],
    ['model.unsupported', () => sparse({ 'txt_norm.weight': [1] }), 'Qwen-Image'],
    ['model.unsupported', () => sparse({ emb_params: [4, 768] }), 'an embedding'],
    ['model.unsupported', () => sparse({ clip_l: [4, 768], clip_g: [4, 1280] }), 'an embedding'],
    ['model.unsupported', () => sparse({ 'vision_model.encoder.layers.0.self_attn.q_proj.weight': [1024, 1024] }), 'a vision encoder'],
    ['model.unsupported', () => sparse({ 'adaln_single.linear.weight': [1, 1], 'patchify_proj.weight': [1, 1] }), 'LTX-Video'],
    ['model.unsupported', () => sparse({ 'encoder.block.0.layer.0.SelfAttention.k.weight': [1, 1] }), 'T5'],
    ['model.unsupported', () => sparse({ 'lora_unet_down_blocks_0.lora_down.weight': [4, 4] }), 'adapter'],
    ['model.unsupported', () => sparse(rename(sdxl, VAE, '')), 'base.vae'],
    ['model.unsupported', () => sparse(keyList('sd15').diffusers['text_encoder']!), 'text encoder'],
  ])('%s, case %#', (code, make, text) => {
    const path = make();
    expect(refusal(code, () => modelOf(path)).message).toContain(text);
  });

  test('the refiner of XL', () => {
    const shapes = { [`${UNET}input_blocks.0.0.weight`]: [384, 4, 3, 3] } as Record<string, number[]>;
    for (const block of [1, 2, 4, 5]) shapes[`${UNET}input_blocks.${block}.0.in_layers.0.weight`] = [384];
    for (const block of [4, 5]) shapes[`${UNET}input_blocks.${block}.1.transformer_blocks.0.norm1.weight`] = [768];
    shapes[`${UNET}input_blocks.3.0.op.weight`] = [384, 384, 3, 3];
    shapes[`${UNET}input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight`] = [768, 1280];
    expect(refusal('model.refiner', () => openModel(sparse(shapes))).message).toContain('refiner');
  });

  test('pickles, GGUF, and folders of such', () => {
    const write = (name: string, bytes: string): string => {
      const path = join(temporaryFolder(), name);
      writeFileSync(path, Buffer.from(bytes, 'latin1'));
      return path;
    };
    refusal('files.pickle', () => openModel(write('model.ckpt', 'PK\u0003\u0004 archive/data.pkl')));
    refusal('files.pickle', () => openModel(write('model.pt', '\u0080\u0002\u008a\u000a')));
    refusal('files.gguf', () => openModel(write('model.gguf', 'GGUF\u0003\u0000\u0000\u0000')));
  });

  test('one of two text encoders, when it is wanted', () => {
    for (const [part, component, what] of [['embedders.0.', 'text_encoder"', 'CLIP-L, 768'], ['embedders.1.', 'text_encoder_2"', 'OpenCLIP bigG, 1280']] as const) {
      const model = modelOf(sparse(without(sdxl, part)));
      expect([model.label, model.lacks]).toEqual([KINDS.sdxl, [component.slice(0, -1)]]);
      const { message } = refusal('model.missing-part', () => model.textEncoders);
      for (const word of [component, what, 'base.textEncoders']) expect(message).toContain(word);
      const found = openModel({ model: sparse(without(sdxl, part)), textEncoders: [sparse(keyList('sdxl').diffusers[component.slice(0, -1)]!)] });
      expect(detectModel(found.files).textEncoders.map((encoder) => encoder.component)).toEqual(['text_encoder', 'text_encoder_2']);
    }
    expect(modelOf(sparse(without(without(sdxl, VAE), 'conditioner'))).lacks).toEqual(['vae', 'text_encoder', 'text_encoder_2']);
  });

  test('missing, misshapen and unknown tensors, by name', () => {
    const broken = { ...without(keyList('sd15').ldm, 'out.2.bias'), [`${UNET}middle_block.0.surprise`]: [3] };
    const { message } = refusal('model.parameters', () => modelOf(sparse(broken)));
    expect(message).toContain('conv_out.bias [4]');
    expect(message).toContain('middle_block.0.surprise [3]');
  });

  test('a parameter in two spellings', () => {
    const { ldm, diffusers } = keyList('sd15');
    for (const more of [{ [`${UNET}conv_in.weight`]: [320, 4, 3, 3] }, { [`${VAE}decoder.up_blocks.0.resnets.0.norm1.bias`]: [512] }, rename({ ...diffusers['text_encoder'] }, 'text_model.encoder', 'cond_stage_model.transformer.encoder')]) {
      expect(refusal('model.twice', () => openModel(sparse({ ...ldm, ...more }))).message).toContain(Object.keys(more)[0]!);
    }
  });

  test('names that mean something to JavaScript are names like any other', () => {
    const shapes = { ...keyList('sdxl').ldm, 'conditioner.embedders.1.model.constructor': [1], 'conditioner.embedders.1.model.transformer.resblocks.0.toString.weight': [2], [`${UNET}constructor`]: [3], constructor: [4], toString: [5] };
    const { message } = refusal('model.parameters', () => modelOf(sparse(shapes)));
    expect(message).toContain('constructor [3]');
    expect(openModel(sparse(shapes)).unused).toEqual(['constructor', 'toString']);
  });

  test('a file without the part that it is named for', () => {
    const path = sparse(keyList('sd15').ldm);
    const nothing = sparse({ 'a.weight': [1] });
    expect(refusal('model.no-part', () => openModel({ model: path, vae: nothing })).message).toContain('base.vae');
    expect(refusal('model.no-part', () => openModel({ model: path, textEncoders: [nothing] })).message).toContain('base.textEncoders');
  });

  test('superfluous tensors are passed over, others are named', () => {
    const path = sparse({ ...keyList('sd15').ldm, 'model_ema.diffusion_modelout2bias': [4], 'first_stage_model.loss.logvar': [], 'somebody.else': [1] });
    expect(openModel(path).unused).toEqual(['somebody.else']);
    expect(modelOf(path).label).toBe(KINDS.sd15);
  });
});

test('inspect says what a checkpoint is, or why it is none', async () => {
  const { text, data } = await inspectCommand({ file: sparse({ ...keyList('sdxl').ldm, v_pred: [0] }), tensors: false });
  expect(text).toContain('Stable Diffusion XL, 2567 M parameters');
  expect(text).toContain('predicts v');
  expect(data).toMatchObject({ what: 'model', parts: [{ name: 'unet', tensors: 1680 }, { name: 'vae' }, { name: 'text_encoder' }, { name: 'text_encoder_2', tensors: 517 }] });
  const bare = await inspectCommand({ file: sparse(rename(keyList('sdxl').ldm, UNET, '')), tensors: false });
  expect(bare.text).toContain('must come from other files: vae, text_encoder, text_encoder_2');
  expect(bare.data).toMatchObject({ lacks: ['vae', 'text_encoder', 'text_encoder_2'], prediction: 'epsilon', zeroTerminalSnr: false });
  const flux = await inspectCommand({ file: sparse({ 'double_blocks.0.img_attn.norm.key_norm.scale': [128] }), tensors: false });
  expect(flux).toMatchObject({ text: expect.stringContaining('FLUX.1') as string, data: { what: 'weights' } });
});

test('a checkpoint is one by its contents, whatever its name ends in', async () => {
  for (const name of ['model.SAFETENSORS', 'model.sft', 'モデル \u00fc (1)']) {
    const path = join(temporaryFolder(), name);
    writeSparse(path, keyList('sd15').ldm);
    expect((await inspectCommand({ file: path, tensors: false })).text).toContain(KINDS.sd15);
  }
});

describe('headers that somebody changed', () => {
  const names = (['sd15', 'sdxl'] as const).map((kind) => ({ ldm: keyList(kind).ldm, keys: Object.keys(keyList(kind).ldm) }));
  const change = fc.record({ at: fc.nat(), how: fc.constantFrom('lose', 'rename', 'shape', 'flat', 'dtype', 'again'), with: fc.nat({ max: 4000 }) });

  test('are refused by a sentence, or still are what they were', () => {
    fc.assert(fc.property(fc.constantFrom(...names), fc.array(change, { minLength: 1, maxLength: 6 }), ({ ldm, keys }, changes) => {
      const tensors = new Map(Object.entries(ldm).map(([name, shape]) => [name, { dtype: 'f16', shape }]));
      for (const { at, how, with: value } of changes) {
        const name = keys[at % keys.length]!;
        const found = tensors.get(name) ?? { dtype: 'f16', shape: [] };
        if (how !== 'again') tensors.delete(name);
        if (how === 'rename') tensors.set(name.replace(/\d+/, String(value)), found);
        if (how === 'shape') tensors.set(name, { ...found, shape: found.shape.map((extent, i) => (i === value % 4 ? value : extent)) });
        if (how === 'flat') tensors.set(name, { ...found, shape: value % 2 ? [] : [...found.shape, 1] });
        if (how === 'dtype') tensors.set(name, { ...found, dtype: ['i64', 'bool', 'f8_e4m3', 'f64', 'u8'][value % 5]! });
        if (how === 'again') tensors.set(name.replace(/^[^.]+\.[^.]+\./, ['', 'vae.', 'model.', 'text_encoder.'][value % 4]!), found);
      }
      try {
        const { label } = summariseCheckpoint({ path: 'file', tensors, metadata: new Map(), readF32: () => new Float32Array(320) });
        expect(Object.values(KINDS).map((kind) => kind.split(',')[0])).toContain(label);
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        expect(error.message).toMatch(/\w+\.$/);
      }
    }), { numRuns: 40 });
  });
});

describe.each(kinds)('the tiny checkpoint of %s', (kind) => {
  const path = goldenPath('checkpoints', `${kind}.safetensors`);
  const model = openModel(path);
  const digestOf = (values: Float32Array): string => createHash('sha256').update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength)).digest('hex').slice(0, 16);

  test("has the values of diffusers' conversion, bit for bit", () => {
    const golden = recorded<Record<string, [number[], string]>>('checkpoints', `${kind}.json.gz`);
    const found = Object.fromEntries([...model.files].flatMap(([component, { tensors }]) => [...tensors].map(([key, { shape }]) =>
      [`${component}.${key}`, [shape, digestOf(model.readF32(`${component}.${key}`))]])));
    expect(found).toEqual(golden);
    expect(detectModel(model.files).family).toBe('stable-diffusion');
  });

  test('gives the graph the same values that it reads', () => {
    for (const [component, { tensors }] of model.files) {
      for (const key of tensors.keys()) expect(digestOf(valuesAt(model, `${component}.${key}`)), key).toBe(digestOf(model.readF32(`${component}.${key}`)));
    }
  });

  test('comes back in its own layout, byte for byte', () => {
    const [file, ...others] = storedFiles(model.stored);
    expect(others).toEqual([]);
    const original = readFileSync(path);
    let position = file!.tensors[0]!.offset;
    for (const { name, dtype, shape, offset, length, parameters } of file!.tensors) {
      expect(offset, name).toBe(position);
      position += length;
      if (parameters.length === 0) continue;
      const bytes = new Uint8Array(original.subarray(offset, offset + length));
      const size = shape.reduce((a, b) => a * b, 1);
      const whole = new Float32Array(size).fill(NaN);
      for (const parameter of parameters) putParameter(whole, parameter, model.readF32(parameter.path));
      expect(Buffer.compare(encodeTensor(whole, dtype as 'f32' | 'f16' | 'bf16'), bytes), name).toBe(0);
    }
    expect(position).toBe(original.length);
    const held = file!.tensors.flatMap(({ parameters }) => parameters.map((parameter) => parameter.path)).sort();
    expect(held).toEqual([...model.files].flatMap(([component, { tensors }]) => [...tensors.keys()].map((key) => `${component}.${key}`)).sort());
  });
});

/** A parameter's values as the graph gets them. */
function valuesAt(model: OpenModel, path: string): Float32Array {
  const location = model.weights(path);
  const isHalf = model.storedDType(path) === 'f16';
  if (location.kind === 'memory') return isHalf ? f16ToF32(location.data as Uint16Array) : (location.data as Float32Array);
  const bytes = new Uint8Array(readFileSync(location.file).subarray(location.offset, location.offset + location.length));
  return decodeF32(bytes, location.isBf16 ? 'bf16' : isHalf ? 'f16' : 'f32');
}

test('only transposed tensors are held in memory', () => {
  const inMemory = (kind: Kind): string[] => {
    const model = openModel(goldenPath('checkpoints', `${kind}.safetensors`));
    return [...model.files].flatMap(([component, { tensors }]) => [...tensors.keys()].map((key) => `${component}.${key}`)).filter((path) => model.weights(path).kind === 'memory');
  };
  expect(inMemory('sd15')).toEqual([]);
  expect(inMemory('sd21')).toEqual([]);
  expect(inMemory('sdxl')).toEqual(['text_encoder_2.text_projection.weight']);
  expect(openSafetensors(goldenPath('checkpoints', 'sdxl.safetensors')).tensors.get('conditioner.embedders.1.model.text_projection')!.dtype).toBe('f16');
});

// Adapters of other programs: files that PEFT, diffusers and LyCORIS wrote, with the weights they make of them; and the names of
// OneTrainer and ai-toolkit.
import { cpSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { rng } from '../../src-main/base/rng.ts';
import { sizeOf, type Shape } from '../../src-main/base/shape.ts';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { writeSafetensors, type TensorToWrite } from '../../src-main/files/safetensors-write.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import { mergedFile } from '../../src-main/train/merged-weights.ts';
import { namedModel } from '../../src-main/train/named-model.ts';
import { openModel } from '../../src-main/train/open-model.ts';
import { readAdapter, type ReadAdapter } from '../../src-main/train/read-adapter.ts';
import { refusal, temporaryFolder } from '../files/temporary.ts';
import { goldenPath } from '../nn/golden.ts';

const norm = (values: ArrayLike<number>): number => Math.sqrt(Array.from(values).reduce((sum, value) => sum + value * value, 0));

describe('files that the libraries wrote', () => {
  const folder = goldenPath('foreign');
  const base = openModel(goldenPath('unet', 'sd1_conv'));
  const named = namedModel(base.files, 'unet');
  const io = openSafetensors(join(folder, 'io.safetensors'));
  const runtime = createOnnxRuntime({ device: 'cpu', threads: 1 });
  const cases = readdirSync(folder).map((name) => name.replace(/\.safetensors$/, '')).filter((name) => name !== 'io');

  /** The weights against the library's, relative to the change. */
  async function expectTheirs(name: string, read: ReadAdapter): Promise<void> {
    const wanted = [...io.tensors.keys()].filter((key) => key.startsWith(`${name}.`) && !key.startsWith(`${name}.f16.`));
    expect(read.layers.map(({ path }) => `${name}.${path.slice('unet.'.length)}`).sort()).toEqual(wanted.sort());
    for await (const { path, merged } of mergedFile(read, base, runtime, named.layers)) {
      const own = base.readF32(path);
      const theirs = io.readF32(`${name}.${path.slice('unet.'.length, -'.weight'.length)}`);
      expect(norm(theirs.map((value, i) => value - merged[i]!)) / norm(theirs.map((value, i) => value - own[i]!)), path).toBeLessThan(2e-6);
    }
  }

  test('there are all of them', () => {
    expect(cases.sort()).toEqual(['peft_dora', 'peft_dora.f16', 'peft_folder', 'peft_rslora', 'peft_rslora.f16', 'tucker', 'tucker.f16', 'tucker_input', 'tucker_input.f16', 'tucker_output', 'tucker_output.f16', 'wrapper']);
  });

  test.each(cases)('%s means the same here', async (name) => {
    const read = readAdapter(join(folder, name === 'peft_folder' ? name : `${name}.safetensors`), named);
    expect(read.axis).toBe(/input/.test(name) ? 'input' : /output|dora|folder/.test(name) ? 'output' : null);
    await expectTheirs(name, read);
  });

  test('without the configuration beside it, the strength of a PEFT file is another', async () => {
    const copy = join(temporaryFolder(), 'adapter');
    cpSync(join(folder, 'peft_folder'), copy, { recursive: true });
    await expectTheirs('peft_folder', readAdapter(join(copy, 'adapter_model.safetensors'), named));
    rmSync(join(copy, 'adapter_config.json'));
    await expect(expectTheirs('peft_folder', readAdapter(copy, named))).rejects.toThrow('to be less than');
  });
});

/** A model's layer in the words of other programs: [path, name with dots, original name with dots]. */
const words = {
  sd1: [
    ['unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q', 'input_blocks.1.1.transformer_blocks.0.attn1.to_q'],
    ['unet.up_blocks.1.resnets.0.conv1', 'output_blocks.2.0.in_layers.2'],
  ],
  sdxl: [
    ['unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k', 'input_blocks.3.1.transformer_blocks.0.attn2.to_k'],
    ['unet.mid_block.resnets.1.conv2', 'middle_block.2.out_layers.3'],
  ],
} as const;

type Kind = keyof typeof words;
const RANK = 2;

describe.each(['sd1', 'sdxl'] as const)('names of other trainers, %s', (kind: Kind) => {
  const base = openModel(goldenPath('pipelines', kind));
  const named = namedModel(base.files, 'unet');
  const text = 'text_encoder.text_model.encoder.layers.0.self_attn.q_proj';
  const second = 'text_encoder_2.text_model.encoder.layers.0.mlp.fc1';
  const layers = [...words[kind].map(([path]) => path), text, ...(kind === 'sdxl' ? [second] : [])];
  const original = new Map<string, string>(words[kind]);

  /** A file with two matrices in each layer, in the names that `nameOf` gives. */
  async function fileOf(nameOf: (path: string) => string, [down, up]: readonly [string, string], magnitude: ((weight: Shape) => readonly [string, Shape]) | null, alpha: number | null): Promise<string> {
    const path = join(temporaryFolder(), 'theirs.safetensors');
    const tensor = (name: string, shape: Shape, mean = 0): TensorToWrite => ({ name, dtype: 'f32', shape, data: rng(3, name.split('.').at(-2)!).fillNormal(new Float32Array(sizeOf(shape))).map((value) => mean + 0.1 * value) });
    const tensors = layers.flatMap((layer) => {
      const [out, ...rest] = named.layers.get(layer)! as [number, ...number[]];
      const own = magnitude?.([out, ...rest]);
      return [
        tensor(`${nameOf(layer)}.${down}`, [RANK, ...rest]), tensor(`${nameOf(layer)}.${up}`, [out, RANK, ...rest.slice(1).map(() => 1)]),
        ...(own ? [tensor(`${nameOf(layer)}.${own[0]}`, own[1], 1)] : []),
        ...(alpha === null ? [] : [{ name: `${nameOf(layer)}.alpha`, dtype: 'f32' as const, shape: [], data: Float32Array.of(alpha) }]),
      ];
    });
    await writeSafetensors(path, tensors, {});
    return path;
  }

  const flat = (prefix: string, path: string): string => `${prefix}_${path.replaceAll('.', '_')}`;
  const rest = (path: string): string => path.slice(path.indexOf('.') + 1);
  const textPrefix = (path: string, single: string): string => (path.startsWith('text_encoder_2') ? 'lora_te2' : single);
  const KOHYA = ['lora_down.weight', 'lora_up.weight'] as const;
  const PEFT = ['lora_A.weight', 'lora_B.weight'] as const;
  const perInput = (name: string) => ([, into, ...kernel]: Shape) => [name, [1, into!, ...kernel.map(() => 1)]] as const;
  const perOutput = (name: string) => ([out, , ...kernel]: Shape) => [name, [out!, 1, ...kernel.map(() => 1)]] as const;
  const one = kind === 'sdxl' ? 'lora_te1' : 'lora_te';
  const isUnet = (path: string): boolean => path.startsWith('unet.');
  const native = (prefix: string) => (path: string): string => (isUnet(path) ? `${prefix}${original.get(path)!}` : path.replace(/^text_encoder_2\./, 'text_encoders.clip_g.transformer.').replace(/^text_encoder\./, 'text_encoders.clip_l.transformer.'));

  const files = [
    // Nerogar/OneTrainer modules/modelSaver/mixin/LoRASaverMixin.py: _save_kohya; dora_scale per input by default (modules/module/LoRAModule.py: DoRAModule).
    ['OneTrainer KOHYA', () => fileOf((path) => (isUnet(path) ? flat('lora_unet', kind === 'sdxl' ? original.get(path)! : rest(path)) : flat(textPrefix(path, one), rest(path))), KOHYA, perInput('dora_scale'), 1), 'input', 1 / RANK],
    // Nerogar/OneTrainer modules/util/convert_lora_util.py: convert_to_mixture (SDXL's LEGACY); SD 1 writes its KOHYA.
    ['OneTrainer LEGACY', () => fileOf((path) => (isUnet(path) ? flat('lora_unet', rest(path)) : flat(textPrefix(path, one), rest(path))), KOHYA, perOutput('dora_scale'), 1), 'output', 1 / RANK],
    // Nerogar/OneTrainer modules/util/convert_lora_util.py: convert_to_diffusers, dora_scale_to_peft_magnitude; alpha is folded in.
    ['OneTrainer DIFFUSERS per output', () => fileOf((path) => path, PEFT, ([out, , ...kernel]) => ['lora_magnitude_vector.weight', kernel.length > 0 ? [1, out!, 1, 1] : [out!]], null), 'output', 1],
    ['OneTrainer DIFFUSERS per input', () => fileOf((path) => path, PEFT, perInput('dora_scale'), null), 'input', 1],
    // Nerogar/OneTrainer modules/modelSaver/mixin/LoRASaverMixin.py: _save_comfy; modules/model/StableDiffusionXLModel.py: lora_text_encoders.
    ['OneTrainer COMFY', () => fileOf(native('diffusion_model.'), PEFT, perInput('dora_scale'), 1), 'input', 1 / RANK],
    // Nerogar/OneTrainer modules/modelSaver/mixin/LoRASaverMixin.py: _save_internal.
    ['OneTrainer INTERNAL', () => fileOf((path) => path, KOHYA, perOutput('dora_scale'), 4), 'output', 4 / RANK],
    // ostris/ai-toolkit toolkit/lora_special.py (LoRASpecialNetwork: prefixes), toolkit/network_mixins.py (get_keymap: alpha becomes magnitude; SDXL by original names).
    ['ai-toolkit', () => fileOf((path) => (isUnet(path) ? flat('lora_unet', kind === 'sdxl' ? original.get(path)! : rest(path)) : flat(textPrefix(path, one), rest(path))), KOHYA, ([out]) => ['magnitude', [out!]], null), 'output', 1],
    // ostris/ai-toolkit toolkit/network_mixins.py: get_state_dict with peft_format.
    ['ai-toolkit in PEFT form', () => fileOf((path) => path, PEFT, ([out]) => ['magnitude', [out!]], null), 'output', 1],
  ] as const;

  test.each(files)('%s', async (_, write, axis, scale) => {
    const path = await write();
    const read = readAdapter(path, named);
    expect(read.layers.map((layer) => layer.path).sort()).toEqual([...layers].sort());
    expect(read.axis).toBe(axis);
    for (const layer of read.layers) expect(layer).toMatchObject({ rank: RANK, scale, hasMagnitude: true });
    const file = openSafetensors(path);
    for (const [name, key] of read.keys) {
      const factor = name.endsWith('.lora_B.weight') ? scale : 1;
      expect(read.values.get(name)!.data, name).toEqual(file.readF32(key).map((value) => Math.fround(value * factor)));
    }
  });

  // huggingface/diffusers utils/state_dict_utils.py: convert_state_dict_to_kohya leaves the last dot of a layer with magnitudes.
  test('diffusers for kohya, with magnitudes', async () => {
    const plain = await fileOf((path) => (isUnet(path) ? flat('lora_unet', rest(path)) : flat(path.startsWith('text_encoder_2') ? 'lora_te2' : 'lora_te1', rest(path))), KOHYA, ([out]) => ['dora_scale', [out!]], RANK);
    const file = openSafetensors(plain);
    const path = join(temporaryFolder(), 'theirs.safetensors');
    await writeSafetensors(path, [...file.tensors].map(([name, { shape }]): TensorToWrite => ({ name: name.replace(/_([^_.]+)\.dora_scale$/, '.$1.lora_magnitude_vector'), dtype: 'f32', shape, data: file.readF32(name) })), {});
    const [theirs, own] = [readAdapter(path, named), readAdapter(plain, named, 'output')];
    expect(theirs.axis).toBe('output');
    expect(theirs.layers.map((layer) => layer.path)).toEqual(own.layers.map((layer) => layer.path));
    for (const [name, { data }] of own.values) expect(theirs.values.get(name)!.data, name).toEqual(data);
  });

  // huggingface/diffusers utils/state_dict_utils.py: DIFFUSERS_OLD_TO_PEFT.
  test('text encoders of old diffusers', async () => {
    const path = join(temporaryFolder(), 'theirs.safetensors');
    const parts = ['q', 'k', 'v', 'out'].flatMap((part) => [['down', [RANK, 12]], ['up', [12, RANK]]].map(([end, shape]) => [`text_encoder.text_model.encoder.layers.0.self_attn.to_${part}_lora.${end as string}.weight`, shape as Shape] as const));
    const width = named.layers.get(text)![0]!;
    await writeSafetensors(path, parts.map(([name, shape]) => ({ name, dtype: 'f32', shape: shape.map((extent) => (extent === 12 ? width : extent)), data: new Float32Array(RANK * width).fill(1) })), {});
    expect(readAdapter(path, named).layers.map((layer) => layer.path.split('.').at(-1))).toEqual(expect.arrayContaining(['q_proj', 'k_proj', 'v_proj', 'out_proj']));
  });

  test('damaged files are told as what they are', async () => {
    const module = `lora_unet_${rest(layers[0]!).replaceAll('.', '_')}`;
    const [out, into] = named.layers.get(layers[0]!) as [number, number];
    const written = async (tensors: readonly (readonly [string, Shape])[]): Promise<string> => {
      const path = join(temporaryFolder(), 'theirs.safetensors');
      await writeSafetensors(path, tensors.map(([name, shape]) => ({ name, dtype: 'f32', shape, data: new Float32Array(sizeOf(shape)) })), {});
      return path;
    };
    const empty = await written([[`${module}.lora_down.weight`, [0, into]], [`${module}.lora_up.weight`, [out, 0]]]);
    expect(refusal('adapter.ranks', () => readAdapter(empty, named)).message).toContain('has the rank 0');
    const half = await written([[`${module}.lora_down.weight`, [1, into]]]);
    expect(refusal('adapter.incomplete', () => readAdapter(half, named)).message).toContain('only one of the two matrices');
    const twice = await written([[`${module}.lora_down.weight`, [1, into]], [`${module}.lora_up.weight`, [out, 1]], [`${module.replace('lora_unet', 'lycoris')}.lora_down.weight`, [1, into]], [`${module.replace('lora_unet', 'lycoris')}.lora_up.weight`, [out, 1]]]);
    expect(refusal('adapter.twice', () => readAdapter(twice, named)).message).toContain(`"${layers[0]!}" twice`);
    const flux = await written([['lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight', [1, 4]], ['lora_unet_double_blocks_0_img_attn_qkv.lora_up.weight', [12, 1]]]);
    expect(refusal('adapter.other-family', () => readAdapter(flux, named)).message).toContain('for FLUX');
    const cascade = await written([['lora_prior_unet_down_blocks_0_0_attention_attn_to_q.lora_down.weight', [1, 4]]]);
    expect(refusal('adapter.other-family', () => readAdapter(cascade, named)).message).toContain('Stable Cascade');
    const other = 'unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_v';
    const wide = await written([[`${other}.lora_A.weight`, [1, 2048]], [`${other}.lora_B.weight`, [12, 1]]]);
    expect(refusal('adapter.other-model', () => readAdapter(wide, named)).message).toMatch(/it is for Stable Diffusion XL, and this is a model whose text has \d+ channels/);
  });

  // Nerogar/OneTrainer modules/modelSaver/mixin/LoRASaverMixin.py: _save_original holds the denoiser alone, without prefix.
  test('OneTrainer ORIGINAL', async () => {
    const path = await fileOf((layer) => (isUnet(layer) ? original.get(layer)! : layer), PEFT, perInput('dora_scale'), 1);
    expect(readAdapter(path, named)).toMatchObject({ axis: 'input' });
  });

  test('biases and bundled embeddings are named in the refusal', async () => {
    const biased = await fileOf((path) => `${path}`, PEFT, () => ['lora_B.bias', [3]], null);
    expect(refusal('adapter.other-kind', () => readAdapter(biased, named)).message).toContain('biases of its own');
    const path = join(temporaryFolder(), 'bundle.safetensors');
    await writeSafetensors(path, [{ name: 'bundle_emb.<x>.clip_l', dtype: 'f32', shape: [1, 4], data: new Float32Array(4) }], {});
    expect(refusal('adapter.other-kind', () => readAdapter(path, named)).message).toContain('embedding');
  });
});

// `adora inspect`: what it says of adapters, and of files that hold no weights.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { writeSafetensors, type TensorToWrite } from '../../src-main/files/safetensors-write.ts';
import { inspectCommand } from '../../src-main/train/inspect.ts';
import { refusalOf, temporaryFolder } from '../files/temporary.ts';
import { goldenPath } from '../nn/golden.ts';

interface Facts {
  readonly axis: string | null;
  readonly family: string | null;
  readonly rankCounts: readonly { readonly rank: number; readonly layers: number }[];
  readonly layers: readonly { readonly module: string; readonly norm: number }[];
  readonly trigger: string | null;
  readonly tags: readonly { readonly tag: string; readonly count: number }[];
  readonly training: Readonly<Record<string, string>>;
  readonly programs: readonly { readonly id: string; readonly exact: boolean }[];
}

async function inspected(file: string): Promise<Facts & { text: string }> {
  const { text, data } = await inspectCommand({ file, tensors: false });
  return { ...(data as Facts), text };
}

const exact = ({ programs }: Facts): string[] => programs.filter((program) => program.exact).map(({ id }) => id);
const foreign = (name: string): string => goldenPath('foreign', name);

describe('adapters', () => {
  test('axis and programs follow from names and shapes', async () => {
    expect(exact(await inspected(foreign('tucker_input.safetensors')))).toEqual(['comfyui', 'a1111', 'forge', 'invokeai']);
    expect(await inspected(foreign('tucker_output.safetensors'))).toMatchObject({ axis: 'output' });
    expect(exact(await inspected(foreign('tucker_output.safetensors')))).toEqual([]);
    expect(exact(await inspected(foreign('peft_dora.safetensors')))).toEqual(['diffusers']);
    expect(exact(await inspected(foreign('wrapper.safetensors')))).toEqual(['comfyui', 'forge']);
    expect(exact(await inspected(foreign('tucker.safetensors')))).toEqual(['comfyui', 'a1111', 'forge', 'invokeai']);
  });

  test('ranks are counted, and a folder of PEFT is its file', async () => {
    expect((await inspected(foreign('peft_rslora.safetensors'))).rankCounts).toEqual([{ rank: 3, layers: 6 }, { rank: 4, layers: 1 }]);
    const { layers } = await inspected(foreign('peft_folder'));
    expect(layers).toHaveLength(7);
  });

  test('norms are those of the change, middle tensors and strengths included', async () => {
    const io = openSafetensors(foreign('io.safetensors'));
    const base = openSafetensors(goldenPath('unet', 'sd1_conv', 'unet', 'diffusion_pytorch_model.safetensors'));
    for (const name of ['tucker', 'peft_rslora']) {
      for (const { module, norm } of (await inspected(foreign(`${name}.safetensors`))).layers) {
        const key = [...base.tensors.keys()].find((path) => module.replace(/^lora_unet_|^unet\./, '').replaceAll('.', '_') === path.replace(/\.weight$/, '').replaceAll('.', '_'))!;
        const own = base.readF32(key);
        const change = io.readF32(`${name}.${key.replace(/\.weight$/, '')}`).map((value, i) => value - own[i]!);
        expect(norm / Math.hypot(...change), module).toBeCloseTo(1, 4);
      }
    }
  });

  test('names that a program does not look for, and files that it refuses, are no exact ones', async () => {
    const written = async (modules: readonly (readonly [module: string, out: number, into: number])[], [down, up]: readonly [string, string], alpha?: number): Promise<string> => {
      const path = join(temporaryFolder(), 'a.safetensors');
      await writeSafetensors(path, modules.flatMap(([module, out, into]): TensorToWrite[] => [
        { name: `${module}.${down}`, dtype: 'f32', shape: [1, into], data: new Float32Array(into).fill(1) }, { name: `${module}.${up}`, dtype: 'f32', shape: [out, 1], data: new Float32Array(out).fill(1) },
        ...(alpha === undefined ? [] : [{ name: `${module}.alpha`, dtype: 'f32' as const, shape: [], data: Float32Array.of(alpha) }]),
      ]), {});
      return path;
    };
    const [KOHYA, PEFT] = [['lora_down.weight', 'lora_up.weight'], ['lora_A.weight', 'lora_B.weight']] as const;
    const [original, byDiffusers] = [['lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k', 640, 2048], ['lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_v', 640, 2048]] as const;
    const all = ['comfyui', 'a1111', 'forge', 'invokeai'];
    expect(exact(await inspected(await written([original], KOHYA)))).toEqual(all);
    // InvokeAI raises on a mixture (sdxl_lora_conversion_utils.py).
    const mixed = await inspected(await written([original, byDiffusers], KOHYA));
    expect(exact(mixed)).toEqual(all.filter((id) => id !== 'invokeai'));
    expect(mixed.text).toContain('InvokeAI: Does not take the file: it refuses files that mix two kinds of block names.');
    // Magnitudes of text encoders whose names lack their end are left out by transformers 5, which loads them for diffusers.
    const magnitude = async (end: string): Promise<Facts & { text: string }> => {
      const path = join(temporaryFolder(), 'a.safetensors');
      const module = 'text_encoder.text_model.encoder.layers.0.mlp.fc1';
      await writeSafetensors(path, ([['lora_A.weight', [1, 768]], ['lora_B.weight', [3072, 1]], [`lora_magnitude_vector${end}`, [3072]]] as const).map(([name, shape]) => ({ name: `${module}.${name}`, dtype: 'f32', shape, data: new Float32Array(shape.reduce<number>((a, b) => a * b, 1)).fill(1) })), {});
      return inspected(path);
    };
    expect(exact(await magnitude('.weight'))).toEqual(['diffusers']);
    const bare = await magnitude('');
    expect(exact(bare)).toEqual([]);
    expect(bare.text).toContain('lora_magnitude_vector out');
    // InvokeAI looks for kohya's endings only.
    expect(exact(await inspected(await written([original], PEFT)))).toEqual(all.filter((id) => id !== 'invokeai'));
    const dotted = ['unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k', 640, 2048] as const;
    expect(exact(await inspected(await written([dotted], PEFT)))).toEqual(['diffusers']);
    expect((await inspected(await written([dotted], PEFT, 4))).text).toContain('diffusers: Takes alpha for the rank');
    expect(exact(await inspected(await written([['diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k', 640, 2048]], PEFT)))).toEqual([]);
    expect((await inspected(await written([['lora_unet_double_blocks_0_img_attn_qkv', 9, 3]], KOHYA))).programs).toEqual([]);
  });

  test('damage is told, and no program is said to show it', async () => {
    const module = 'lora_unet_mid_block_attentions_0_proj_in';
    const cases: readonly (readonly [RegExp, readonly TensorToWrite[]])[] = [
      [/damaged: 1 of 1 layers, first lora_unet_mid_block_attentions_0_proj_in, which lacks/, [{ name: `${module}.lora_down.weight`, dtype: 'f32', shape: [1, 2], data: new Float32Array(2) }]],
      [/damaged: .*which lacks/, [{ name: `${module}.lora_down.weight`, dtype: 'f32', shape: [0, 2], data: new Float32Array(0) }, { name: `${module}.lora_up.weight`, dtype: 'f32', shape: [2, 0], data: new Float32Array(0) }]],
      [/damaged: .*not numbers/, [{ name: `${module}.lora_down.weight`, dtype: 'f32', shape: [1, 2], data: Float32Array.of(1, NaN) }, { name: `${module}.lora_up.weight`, dtype: 'f32', shape: [2, 1], data: Float32Array.of(1, 1) }]],
    ];
    for (const [told, tensors] of cases) {
      const path = join(temporaryFolder(), 'a.safetensors');
      await writeSafetensors(path, tensors, {});
      const found = await inspected(path);
      expect(found.text).toMatch(told);
      expect(exact(found)).toEqual([]);
    }
  });

  test('adapters of other kinds and families are called by their names', async () => {
    for (const [key, told] of [['lora_unet_mid_block_attentions_0_proj_in.lokr_w1', /a LoKr .*cannot apply/], ['lora_transformer_single_transformer_blocks_0_attn_to_q.lora_down.weight', /an adapter for FLUX/], ['lora_unet_joint_blocks_0_x_block_attn_qkv.hada_w1_a', /a LoHa .* for Stable Diffusion 3/]] as const) {
      const path = join(temporaryFolder(), 'a.safetensors');
      await writeSafetensors(path, [{ name: key, dtype: 'f32', shape: [2, 2], data: new Float32Array(4) }], {});
      expect((await inspected(path)).text).toMatch(told);
    }
    const path = join(temporaryFolder(), 'flux.safetensors');
    const module = 'transformer.single_transformer_blocks.0.attn.to_q';
    await writeSafetensors(path, [{ name: `${module}.lora_A.weight`, dtype: 'f32', shape: [1, 2], data: new Float32Array(2) }, { name: `${module}.lora_B.weight`, dtype: 'f32', shape: [2, 1], data: new Float32Array(2) }], {});
    expect((await inspected(path)).family).toMatch(/^FLUX/);
  });

  test('the texts of a file are told in words', async () => {
    const path = join(temporaryFolder(), 'a.safetensors');
    const tensor = (name: string, shape: readonly number[]): TensorToWrite => ({ name, dtype: 'f32', shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(1) });
    const module = 'lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k';
    await writeSafetensors(path, [tensor(`${module}.lora_down.weight`, [2, 2048]), tensor(`${module}.lora_up.weight`, [640, 2]), tensor(`${module}.alpha`, [])], {
      'modelspec.trigger_phrase': 'neon fox', ss_tag_frequency: JSON.stringify({ '10_a': { cat: 2, dog: 1 }, '5_b': { dog: 4 } }), ss_steps: '1200', ss_optimizer: 'AdamW8bit', ss_sd_model_name: 'None', ss_unet_lr: '0.0001',
    });
    const found = await inspected(path);
    expect(found).toMatchObject({ family: 'Stable Diffusion XL', trigger: 'neon fox', tags: [{ tag: 'dog', count: 5 }, { tag: 'cat', count: 2 }], training: { steps: '1200', optimizer: 'AdamW8bit', 'learning rate': '0.0001' } });
    expect(found.training).not.toHaveProperty('base model');
    expect(found.text).toContain('trigger words: neon fox; frequent tags: dog (5), cat (2)');
    expect(found.text).toContain('rank 2');
    // alpha / rank = 1/2 of a product of ones.
    expect(found.layers[0]!.norm).toBeCloseTo(Math.sqrt(2048 * 640), 2);
  });
});

describe('what holds no weights is said to be what it is', () => {
  const folder = () => temporaryFolder();
  const png = Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 0, 0, 0, 0]);
  test.each([
    ['a.png', png, 'inspect.other-file', 'a picture (PNG)'], ['renamed.safetensors', png, 'inspect.other-file', 'a picture (PNG)'], ['job.json', '{"version":1}', 'inspect.other-file', 'JSON file that lists no weights'],
    ['a.toml', 'version = 1', 'inspect.other-file', 'a text file'], ['empty.safetensors', '', 'inspect.other-file', 'an empty file'], ['a.zip', 'PK\u0003\u0004', 'inspect.other-file', 'pickled'],
    ['model.gguf', 'GGUF1234', 'inspect.other-file', 'GGUF'], ['a.ckpt', 'PK\u0003\u0004xxxxxxxx', 'safetensors.pickle', 'pickled'],
  ])('%s', async (name, bytes, code, text) => {
    const path = join(folder(), name);
    writeFileSync(path, bytes);
    const error = await inspectCommand({ file: path, tensors: false }).then(() => null, (reason: unknown) => reason as { code: string; message: string });
    expect(error!.message).toContain(text);
    if (name !== 'a.ckpt') expect(error).toMatchObject({ code });
  });

  test('folders', async () => {
    const [empty, other, many] = [folder(), folder(), folder()];
    expect((await refusalOf('inspect.other-folder', () => inspectCommand({ file: empty, tensors: false }))).message).toContain('an empty folder');
    mkdirSync(join(other, 'pictures'));
    expect((await refusalOf('inspect.other-folder', () => inspectCommand({ file: other, tensors: false }))).message).toContain('holds no model');
    await writeSafetensors(join(many, 'a.safetensors'), [], {});
    await writeSafetensors(join(many, 'b.safetensors'), [], {});
    expect((await refusalOf('inspect.other-folder', () => inspectCommand({ file: many, tensors: false }))).message).toContain('a.safetensors');
  });
});

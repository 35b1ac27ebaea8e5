// What adapter files say of themselves after the tools have written them anew, and work without their base models.
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { rng } from '../../../src-main/base/rng.ts';
import { formats } from '../../../src-main/catalog/formats/index.ts';
import { publishedModels } from '../../../src-main/catalog/families/index.ts';
import { openSafetensors } from '../../../src-main/files/safetensors.ts';
import { writeSafetensors, type TensorToWrite } from '../../../src-main/files/safetensors-write.ts';
import { lowRankShapes } from '../../../src-main/nn/low-rank.ts';
import { convertCommand } from '../../../src-main/train/adapter-tools/convert.ts';
import { mergeCommand } from '../../../src-main/train/adapter-tools/merge-adapters.ts';
import { resizeCommand } from '../../../src-main/train/adapter-tools/resize.ts';
import { namedModel } from '../../../src-main/train/named-model.ts';
import { recipeCommand } from '../../../src-main/train/recipe-command.ts';
import { refusalOf, temporaryFolder } from '../../files/temporary.ts';

const texts = {
  'modelspec.architecture': 'stable-diffusion-v1/lora', 'modelspec.title': 'ink', 'modelspec.trigger_phrase': 'in ink', 'modelspec.author': 'somebody',
  ss_output_name: 'ink', ss_base_model_version: 'sd_v1', ss_network_module: 'networks.lora', ss_network_dim: '2', ss_network_alpha: '2', ss_steps: '100', ss_unet_lr: '0.001', ss_tag_frequency: '{"10_ink":{"tree":3}}',
  'adora.base': 'sd15', 'adora.base_sha256': 'a'.repeat(64), 'adora.trained_alpha': '8', 'adora.steps': '100',
  'adora.job': '{"version":1,"base":{"model":"m.safetensors"},"data":{"folders":[{"path":"p"}]}}', 'adora.recipe': '{"recipe":1,"versions":{"adora":"1"},"base":null,"data":null}',
};

/** A LoRA of rank 2 (or a DoRA) for some layers of a published model, in one of the layouts. */
async function adapterFor(label: string, layout: string, includes: RegExp, more: { readonly axis?: 'input' | 'output'; readonly texts?: Record<string, string> } = {}): Promise<string> {
  const { files } = publishedModels().find((model) => model.label === label)!;
  const named = namedModel(files, 'unet');
  const format = formats[layout]!;
  const values = (name: string, shape: readonly number[]) => rng(1, name).fillNormal(new Float32Array(shape.reduce((a, b) => a * b, 1)));
  const tensors = [...named.layers].filter(([path]) => includes.test(path)).flatMap(([path, weight]): TensorToWrite[] => {
    const { down, up } = lowRankShapes(weight, 2);
    const tensor = (part: 'lora_A.weight' | 'lora_B.weight' | 'lora_magnitude_vector' | 'alpha', shape: readonly number[]): TensorToWrite => {
      const name = format.keyOf(path, part, named)!;
      return { name, dtype: 'f32', shape, data: part === 'alpha' ? Float32Array.of(2) : values(path + part, shape) };
    };
    return [tensor('lora_A.weight', down), tensor('lora_B.weight', up), ...(format.hasAlpha ? [tensor('alpha', [])] : []), ...(more.axis ? [tensor('lora_magnitude_vector', format.magnitudeShape(weight, more.axis))] : [])];
  });
  expect(tensors.length).toBeGreaterThan(3);
  const path = join(temporaryFolder(), 'ink.safetensors');
  await writeSafetensors(path, tensors, more.texts ?? texts);
  return path;
}

const contents = (path: string): Map<string, Uint8Array> => {
  const file = openSafetensors(path);
  return new Map([...file.tensors.keys()].sort().map((name) => [name, file.read(name).bytes]));
};

describe('convert without a base', () => {
  test.each([
    ['Stable Diffusion 1.x', /^unet\.(?:mid_block|up_blocks\.1)\..*(?:attn2\.to_[kv]|proj_in|resnets\.0\.conv1)$|^text_encoder\..*layers\.[01]\.mlp\.fc1$/],
    ['Stable Diffusion 2.x', /^unet\..*attn2\.to_k$|^text_encoder\..*layers\.3\.self_attn/],
    ['Stable Diffusion XL', /^unet\.(?:mid_block|up_blocks)\..*(?:attn2\.to_k|upsamplers\.0\.conv)$|^text_encoder(?:_2)?\..*layers\.5\.self_attn\.q_proj$/],
  ])('%s: kohya to PEFT and back, the same tensors', async (label, includes) => {
    const file = await adapterFor(label, 'kohya', includes);
    const [peft, back] = [join(temporaryFolder(), 'peft.safetensors'), join(temporaryFolder(), 'back.safetensors')];
    const { text } = await convertCommand({ file, to: 'peft', out: peft });
    expect(text).toContain('Without --base');
    expect([...openSafetensors(peft).tensors.keys()].every((key) => /^(?:unet|text_encoder(?:_2)?)\..+\.lora_[AB]\.weight$/.test(key))).toBe(true);
    await convertCommand({ file: peft, to: 'kohya', out: back });
    expect(contents(back)).toEqual(contents(file));
  }, 60_000);

  test('of SDXL, text encoders alone are told from those of SD 1', async () => {
    const out = join(temporaryFolder(), 'peft.safetensors');
    await convertCommand({ file: await adapterFor('Stable Diffusion XL', 'kohya', /^text_encoder\..*layers\.1\./), to: 'peft', out });
    expect(openSafetensors(out).metadata.get('modelspec.architecture')).toBe('stable-diffusion-xl-v1-base/lora');
  }, 60_000);

  test('is refused where more than one kind fits, and where none does', async () => {
    const file = await adapterFor('Stable Diffusion 1.x', 'kohya', /^unet\.down_blocks\.0\..*attn1\.to_q$/);
    const { message } = await refusalOf('convert.needs-base', () => convertCommand({ file, to: 'peft', out: join(temporaryFolder(), 'a.safetensors') }));
    expect(message).toMatch(/Stable Diffusion 1\.x, Stable Diffusion 2\.x.*--base/);
    const odd = join(temporaryFolder(), 'odd.safetensors');
    await writeSafetensors(odd, [{ name: 'lora_unet_mid_block_attentions_0_proj_in.lora_down.weight', dtype: 'f32', shape: [2, 7], data: new Float32Array(14) }, { name: 'lora_unet_mid_block_attentions_0_proj_in.lora_up.weight', dtype: 'f32', shape: [7, 2], data: new Float32Array(14) }]);
    await refusalOf('convert.needs-base', () => convertCommand({ file: odd, to: 'peft', out: join(temporaryFolder(), 'a.safetensors') }));
  }, 60_000);
});

describe('texts', () => {
  const layers = /^unet\.mid_block\..*attn2\.to_[kv]$/;

  test('a converted file is as it was trained: recipe, training and tags go with it', async () => {
    const out = join(temporaryFolder(), 'out.safetensors');
    await convertCommand({ file: await adapterFor('Stable Diffusion 1.x', 'kohya', layers), to: 'peft', out });
    const { metadata } = openSafetensors(out);
    for (const key of ['adora.job', 'adora.recipe', 'adora.steps', 'adora.trained_alpha', 'adora.base', 'adora.base_sha256', 'modelspec.author', 'modelspec.title', 'modelspec.trigger_phrase', 'ss_tag_frequency', 'ss_unet_lr'] as const) expect(metadata.get(key), key).toBe(texts[key]);
    expect(metadata.has('ss_network_dim')).toBe(false);
    expect(metadata.has('adora.altered')).toBe(false);
    expect((await recipeCommand({ source: out })).text).not.toContain('altered');
  }, 60_000);

  test.each(['kohya', 'peft'])('a resized %s file says so, and so does its recipe', async (layout) => {
    const out = join(temporaryFolder(), 'out.safetensors');
    await resizeCommand({ file: await adapterFor('Stable Diffusion 1.x', layout, layers), rank: 1, out });
    expect(openSafetensors(out).metadata.get('adora.altered')).toBe('made from a LoRA of rank 2');
    expect((await recipeCommand({ source: out })).text).toMatch(/altered after its training \(made from a LoRA of rank 2\)/);
  });

  test('magnitudes that are plain vectors are not written again without the base that tells their axis', async () => {
    const whole = await adapterFor('Stable Diffusion 1.x', 'kohya', layers, { axis: 'input' });
    const [flat, out] = [join(temporaryFolder(), 'flat.safetensors'), join(temporaryFolder(), 'out.safetensors')];
    const file = openSafetensors(whole);
    await writeSafetensors(flat, [...file.tensors].map(([name, { shape }]): TensorToWrite => ({ name, dtype: 'f32', shape: name.endsWith('dora_scale') ? [shape[1]!] : shape, data: file.readF32(name) })));
    await refusalOf('resize.needs-base', () => resizeCommand({ file: flat, rank: 1, out }));
    await resizeCommand({ file: whole, rank: 1, out });
    const resized = openSafetensors(out);
    for (const [name, { shape, dtype }] of file.tensors) if (name.endsWith('dora_scale')) expect([name, resized.tensors.get(name)!.shape, resized.tensors.get(name)!.dtype]).toEqual([name, shape, dtype]);
  });

  test('a converted DoRA says which programs apply it, or that none does', async () => {
    const told = async (axis: 'input' | 'output', to: string, from: string) => {
      const out = join(temporaryFolder(), 'out.safetensors');
      const { text } = await convertCommand({ file: await adapterFor('Stable Diffusion 1.x', from, layers, { axis }), to, out });
      return [text, openSafetensors(out).metadata.get('adora.note')];
    };
    for (const text of await told('input', 'kohya', 'kohya')) expect(text).toMatch(/ComfyUI, A1111, Forge and InvokeAI apply it as it was trained/);
    for (const text of await told('output', 'peft', 'kohya')) expect(text).toMatch(/: diffusers applies it/);
    for (const text of await told('output', 'kohya', 'peft')) expect(text).toMatch(/do not apply them as they were trained/);
  }, 60_000);

  test('layers without magnitudes among others have no place in PEFT, where all are DoRA or none', async () => {
    const whole = openSafetensors(await adapterFor('Stable Diffusion 1.x', 'kohya', layers, { axis: 'output' }));
    const mixed = join(temporaryFolder(), 'mixed.safetensors');
    const dropped = [...whole.tensors.keys()].find((name) => name.endsWith('dora_scale'));
    await writeSafetensors(mixed, [...whole.tensors].filter(([name]) => name !== dropped).map(([name, { shape }]): TensorToWrite => ({ name, dtype: 'f32', shape, data: whole.readF32(name) })));
    await refusalOf('export.mixed-magnitudes', () => convertCommand({ file: mixed, to: 'peft', out: join(temporaryFolder(), 'out.safetensors') }));
    await convertCommand({ file: mixed, to: 'kohya', out: join(temporaryFolder(), 'out.safetensors') });
  }, 60_000);

  test('pictures and lists of another program do not make the header larger than programs show', async () => {
    const large = { 'modelspec.thumbnail': 'x'.repeat(700_000), ssmd_cover_images: 'y'.repeat(400_000), ss_datasets: 'z'.repeat(900_000) };
    const [file, out] = [await adapterFor('Stable Diffusion 1.x', 'kohya', layers, { texts: { ...texts, ...large } }), join(temporaryFolder(), 'out.safetensors')];
    await resizeCommand({ file, rank: 1, out });
    expect(openSafetensors(out).dataStart).toBeLessThanOrEqual(1 << 20);
    expect(openSafetensors(out).metadata.get('ss_tag_frequency')).toBe(texts.ss_tag_frequency);
    await convertCommand({ file, to: 'peft', out });
    expect(openSafetensors(out).dataStart).toBeLessThanOrEqual(1 << 20);
  }, 60_000);

  test('merged adapters have no recipe, and the trigger words of all', async () => {
    const [one, two] = [await adapterFor('Stable Diffusion 1.x', 'kohya', layers), await adapterFor('Stable Diffusion 1.x', 'kohya', layers, { texts: { ...texts, 'modelspec.trigger_phrase': 'in oil' } })];
    const out = join(temporaryFolder(), 'both.safetensors');
    await mergeCommand({ files: [`${one}:0.5`, two], out });
    const { metadata } = openSafetensors(out);
    for (const key of ['adora.job', 'adora.recipe', 'adora.steps', 'ss_tag_frequency', 'ss_unet_lr', 'modelspec.author']) expect(metadata.has(key), key).toBe(false);
    expect(metadata.get('modelspec.trigger_phrase')).toBe('in ink, in oil');
    expect(metadata.get('modelspec.title')).toBe('both');
    expect(metadata.get('adora.merged_from')).toBe('ink:0.5, ink:1');
    expect(metadata.get('modelspec.architecture')).toBe('stable-diffusion-v1/lora');
    await refusalOf('recipe.none', () => recipeCommand({ source: out }));
  });

  test('a strength that is no number is told as such, a file that is missing as an adapter', async () => {
    const file = await adapterFor('Stable Diffusion 1.x', 'kohya', layers);
    const out = join(temporaryFolder(), 'out.safetensors');
    for (const [text, strength] of [['+0.5', 0.5], ['1e-1', 0.1], ['.25', 0.25], ['-2.', -2]] as const) {
      await mergeCommand({ files: [`${file}:${text}`], out });
      expect(openSafetensors(out).metadata.get('adora.merged_from')).toBe(`ink:${strength}`);
    }
    rmSync(out);
    expect((await refusalOf('merge.strength', () => mergeCommand({ files: [`${file}:abc`], out }))).message).toContain('"abc"');
    expect((await refusalOf('files.not-found', () => mergeCommand({ files: [join(temporaryFolder(), 'gone.safetensors')], out }))).message).toContain('the adapter file');
    expect(existsSync(out)).toBe(false);
  });
});

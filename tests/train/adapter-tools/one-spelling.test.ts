// Adapters that name the same layers differently, merged: each layer stands once in the file, and its change is the sum.
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { rng } from '../../../src-main/base/rng.ts';
import { openSafetensors } from '../../../src-main/files/safetensors.ts';
import { writeSafetensors, type TensorToWrite } from '../../../src-main/files/safetensors-write.ts';
import { mergeCommand } from '../../../src-main/train/adapter-tools/merge-adapters.ts';
import { refusalOf, temporaryFolder } from '../../files/temporary.ts';
import { goldenPath } from '../../nn/golden.ts';

interface Spelling {
  readonly name: (layer: number) => string;
  readonly ends: readonly [down: string, up: string];
  readonly alpha: boolean;
}

const KOHYA = ['lora_down.weight', 'lora_up.weight'] as const;
const PEFT = ['lora_A.weight', 'lora_B.weight'] as const;

/** Two layers [out, in] under the names that each program gives them. */
const models = {
  sdxl: {
    base: goldenPath('pipelines', 'sdxl'), shapes: [[12, 20], [12, 12]],
    kohya: ['lora_unet_input_blocks_3_1_transformer_blocks_0_attn2_to_k', 'lora_unet_input_blocks_3_1_transformer_blocks_0_attn1_to_out_0'],
    dotted: ['unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k', 'unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0'],
    original: ['diffusion_model.input_blocks.3.1.transformer_blocks.0.attn2.to_k', 'diffusion_model.input_blocks.3.1.transformer_blocks.0.attn1.to_out.0'],
  },
  published: {
    base: undefined, shapes: [[640, 2048], [640, 640]],
    kohya: ['lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k', 'lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_out_0'],
    dotted: ['unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k', 'unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0'],
    original: ['diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k', 'diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_out.0'],
  },
} as const;

const flat = (name: string): string => name.replace(/^unet\./, '').replaceAll('.', '_');

function spellings({ kohya, dotted, original }: (typeof models)['sdxl' | 'published']): Record<string, Spelling> {
  return {
    kohya: { name: (i) => kohya[i]!, ends: KOHYA, alpha: true },
    'kohya by diffusers names': { name: (i) => `lora_unet_${flat(dotted[i]!)}`, ends: KOHYA, alpha: true },
    LyCORIS: { name: (i) => `lycoris_${flat(dotted[i]!)}`, ends: KOHYA, alpha: true },
    PEFT: { name: (i) => dotted[i]!, ends: PEFT, alpha: false },
    'by original names with dots': { name: (i) => original[i]!, ends: PEFT, alpha: true },
    'old diffusers': { name: (i) => dotted[i]!.replace(/\.(to_k|to_out)(?:\.0)?$/, '.processor.$1_lora'), ends: ['down.weight', 'up.weight'], alpha: false },
  };
}

const values = (name: string, shape: readonly number[]): Float32Array => rng(5, name).fillNormal(new Float32Array(shape.reduce((a, b) => a * b, 1)));

async function fileOf(kind: keyof typeof models, word: string, layers: readonly number[]): Promise<string> {
  const { name, ends, alpha } = spellings(models[kind])[word]!;
  const path = join(temporaryFolder(), `${flat(word).replaceAll(' ', '-')}.safetensors`);
  await writeSafetensors(path, layers.flatMap((layer): TensorToWrite[] => {
    const [out, into] = models[kind].shapes[layer]!;
    return [
      { name: `${name(layer)}.${ends[0]}`, dtype: 'f32', shape: [2, into], data: values(`${word} ${layer} down`, [2, into]) },
      { name: `${name(layer)}.${ends[1]}`, dtype: 'f32', shape: [out, 2], data: values(`${word} ${layer} up`, [out, 2]) },
      ...(alpha ? [{ name: `${name(layer)}.alpha`, dtype: 'f32' as const, shape: [], data: Float32Array.of(1) }] : []),
    ];
  }), {});
  return path;
}

/** Σ strength · alpha/rank · B·A of some entries, in f64 from the definition. */
function wanted(kind: keyof typeof models, parts: readonly { readonly word: string; readonly strength: number }[], layer: number, row: number, column: number): number {
  const [out, into] = models[kind].shapes[layer]!;
  return parts.reduce((sum, { word, strength }) => {
    const [down, up] = [values(`${word} ${layer} down`, [2, into]), values(`${word} ${layer} up`, [out, 2])];
    const scale = spellings(models[kind])[word]!.alpha ? 1 / 2 : 1;
    return sum + strength * scale * (up[row * 2]! * down[column]! + up[row * 2 + 1]! * down[into + column]!);
  }, 0);
}

const words = Object.keys(spellings(models.sdxl));
const pairs = words.flatMap((one) => words.filter((other) => other !== one).map((other) => [one, other] as const));

async function expectSum(kind: keyof typeof models, one: string, other: string): Promise<void> {
  // The second has a layer that the first lacks.
  const files = [`${await fileOf(kind, one, [0])}:0.5`, `${await fileOf(kind, other, [0, 1])}:-2`];
  const out = join(temporaryFolder(), 'sum.safetensors');
  const { base } = models[kind];
  await mergeCommand({ files, out, ...(base === undefined ? {} : { base }) });
  const sum = openSafetensors(out);
  const isPeft = ['PEFT', 'by original names with dots', 'old diffusers'].includes(one);
  const { name, ends } = spellings(models[kind])[isPeft ? 'PEFT' : 'kohya']!;
  expect([...sum.tensors.keys()].filter((key) => !key.endsWith('.alpha')).sort()).toEqual([0, 1].flatMap((layer) => ends.map((end) => `${name(layer)}.${end}`)).sort());
  for (const [layer, parts] of [[0, [{ word: one, strength: 0.5 }, { word: other, strength: -2 }]], [1, [{ word: other, strength: -2 }]]] as const) {
    const [down, up] = ends.map((end) => sum.readF32(`${name(layer)}.${end}`)) as [Float32Array, Float32Array];
    const rank = 2 * parts.length;
    const into = down.length / rank;
    for (const [row, column] of [[0, 0], [3, 7], [11, 11]] as const) {
      let found = 0;
      for (let k = 0; k < rank; k++) found += up[row * rank + k]! * down[k * into + column]!;
      expect(found, `${name(layer)} ${row} ${column}`).toBeCloseTo(wanted(kind, parts, layer, row, column), 4);
    }
  }
}

describe('merging files that spell their layers differently', () => {
  test.each(pairs)('%s and %s, with their base', async (one, other) => await expectSum('sdxl', one, other));
  test.each([['kohya', 'kohya by diffusers names'], ['LyCORIS', 'PEFT'], ['old diffusers', 'kohya']])('%s and %s, of a published model', async (one, other) => await expectSum('published', one, other));

  test('of a model that nothing tells is refused, and says what to name', async () => {
    const files = [await fileOf('sdxl', 'kohya', [0]), await fileOf('sdxl', 'kohya by diffusers names', [0])];
    const { message } = await refusalOf('merge.names', () => mergeCommand({ files, out: join(temporaryFolder(), 'sum.safetensors') }));
    expect(message).toMatch(/original block names.*block names of diffusers.*--base/s);
  });

  test('adapters for different kinds of models are told as such', async () => {
    const files = [await fileOf('sdxl', 'kohya', [0]), await fileOf('published', 'kohya', [0])];
    expect((await refusalOf('merge.models', () => mergeCommand({ files, out: join(temporaryFolder(), 'sum.safetensors') }))).message).toMatch(/is for a model whose text has 20 channels and .* for Stable Diffusion XL/);
  });

  test('text encoders in one file and the denoiser in the other are no two spellings', async () => {
    const text = join(temporaryFolder(), 'text.safetensors');
    const module = 'lora_te1_text_model_encoder_layers_0_mlp_fc1';
    await writeSafetensors(text, [{ name: `${module}.lora_down.weight`, dtype: 'f32', shape: [1, 3], data: new Float32Array(3) }, { name: `${module}.lora_up.weight`, dtype: 'f32', shape: [2, 1], data: new Float32Array(2) }], {});
    const out = join(temporaryFolder(), 'sum.safetensors');
    await mergeCommand({ files: [await fileOf('sdxl', 'kohya', [0]), text], out });
    expect(openSafetensors(out).tensors.size).toBe(6);
  });

  test('adapters of families that are not loaded are summed under their own names', async () => {
    const module = 'transformer.single_transformer_blocks.0.attn.to_q';
    const [one, two, out] = ['one', 'two', 'sum'].map((name) => join(temporaryFolder(), `${name}.safetensors`)) as [string, string, string];
    for (const path of [one, two]) await writeSafetensors(path, [{ name: `${module}.lora_A.weight`, dtype: 'f32', shape: [1, 3], data: Float32Array.of(1, 2, 3) }, { name: `${module}.lora_B.weight`, dtype: 'f32', shape: [2, 1], data: Float32Array.of(1, -1) }], {});
    await mergeCommand({ files: [one, two], out });
    expect([...openSafetensors(out).tensors].map(([name, { shape }]) => [name, shape])).toEqual([[`${module}.lora_A.weight`, [2, 3]], [`${module}.lora_B.weight`, [2, 2]]]);
  });
});

// One model as a checkpoint, as a folder and as a file per part computes the same, whatever its bytes lie like.
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { rng } from '../../src-main/base/rng.ts';
import { detectModel } from '../../src-main/catalog/families/index.ts';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { writeSafetensors } from '../../src-main/files/safetensors-write.ts';
import { createBuilder } from '../../src-main/graph/builder.ts';
import { f32, i64, type HostTensor } from '../../src-main/runtime/runtime.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import { buildCondition } from '../../src-main/train/condition.ts';
import { openModel, toF32, type OpenModel } from '../../src-main/train/open-model.ts';
import { temporaryFolder } from '../files/temporary.ts';
import { goldenPath } from '../nn/golden.ts';
import { keyList, writeSparse } from './checkpoint-files.ts';

const runtime = createOnnxRuntime({ device: 'cpu', threads: 1 });
const normal = (name: string, shape: readonly number[]): HostTensor => f32(rng(1, 'same', name).fillNormal(new Float32Array(shape.reduce((a, b) => a * b, 1))), shape);

/** The same values as a folder in the diffusers layout; names of text encoders as newer or as older programs write them. */
async function asFolder(model: OpenModel, hasTextModel: boolean): Promise<string> {
  const root = join(temporaryFolder(), 'folder');
  for (const [component, { config, tensors }] of model.files) {
    const folder = join(root, component);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, component === 'scheduler' ? 'scheduler_config.json' : 'config.json'), JSON.stringify(config));
    if (tensors.size === 0) continue;
    const name = component.startsWith('text') ? 'model.safetensors' : 'diffusion_pytorch_model.fp16.safetensors';
    await writeSafetensors(join(folder, name), [...tensors].map(([key, { shape }]) => ({
      name: hasTextModel ? key : key.replace(/^text_model\./, ''), dtype: 'f32' as const, shape, data: model.readF32(`${component}.${key}`),
    })));
  }
  return root;
}

/** A step of the denoiser, both ways of the autoencoder and the text encoders. */
async function outputsOf(folder: OpenModel): Promise<Map<string, Float32Array>> {
  const model = detectModel(folder.files);
  const g = createBuilder({ storedDType: folder.storedDType });
  const factor = model.latent.factor;
  const { pooled, timeIds } = model.condition(9);
  const text = buildCondition(g, model, 1);
  const context = g.mul(text.context, 1);
  const denoised = model.denoise(g, {
    sample: g.input('sample', [1, 4, 4, 4]), timestep: g.input('timestep', [1]), context,
    ...(pooled ? { pooled: text.pooled!, timeIds: g.input('timeIds', [1, ...timeIds!]) } : {}),
  });
  const graph = g.graph({ context, denoised, moments: model.encode(g, g.input('pixels', [1, 3, 4 * factor, 4 * factor])), pixels: model.decode(g, g.input('latents', [1, 4, 4, 4])) });
  const feeds = new Map<string, HostTensor>([
    ['sample', normal('sample', [1, 4, 4, 4])], ['timestep', f32(Float32Array.of(321), [1])], ['pixels', normal('pixels', [1, 3, 4 * factor, 4 * factor])],
    ['latents', normal('latents', [1, 4, 4, 4])], ['timeIds', f32(Float32Array.of(32, 24, 0, 4, 16, 16), [1, 6])],
    ...model.textEncoders.flatMap(({ component }): [string, HostTensor][] => [[`ids.${component}`, i64([38, 3, 5, 39, 0, 0, 0, 0, 0], [1, 9])], [`end.${component}`, i64([3], [1])]]),
  ]);
  const program = await runtime.compile(graph, { weights: folder.weights, name: 'same' });
  const used = new Map([...feeds].filter(([name]) => g.leaves.has(name)).map(([name, tensor]) => [name, runtime.upload(tensor)]));
  const results = await program.run(used);
  const read = new Map<string, Float32Array>();
  for (const [name, tensor] of results) read.set(name, toF32((await tensor.read()) as Float32Array).slice());
  await program.dispose();
  return read;
}

test('bytes beyond 4 GB are found where they lie', async () => {
  const path = join(temporaryFolder(), 'large.safetensors');
  const at = writeSparse(path, keyList('sdxl').ldm, 'F32');
  const places = { 'text_encoder_2.text_model.final_layer_norm.bias': 'conditioner.embedders.1.model.ln_final.bias', 'unet.time_embedding.linear_2.bias': 'model.diffusion_model.time_embed.2.bias' };
  const file = openSync(path, 'r+');
  Object.values(places).forEach((name, i) => writeSync(file, new Uint8Array(Float32Array.of(i + 1, -2).buffer), 0, 8, at.get(name)!));
  // The keys of the third projection of an attention lie in the last third of the joined bias.
  writeSync(file, new Uint8Array(Float32Array.of(7, 8).buffer), 0, 8, at.get('conditioner.embedders.1.model.transformer.resblocks.31.attn.in_proj_bias')! + 2 * 1280 * 4);
  closeSync(file);
  const model = openModel(path);
  const wanted = { ...places, 'text_encoder_2.text_model.encoder.layers.31.self_attn.v_proj.bias': '' };
  expect(at.get('model.diffusion_model.time_embed.2.bias')).toBeGreaterThan(2 ** 33);
  const g = createBuilder();
  const graph = g.graph(Object.fromEntries(Object.keys(wanted).map((name) => [name, g.mul(g.param(name, [1280]), g.input('one', [1]))])));
  const program = await runtime.compile(graph, { weights: model.weights, name: 'large' });
  const results = await program.run(new Map([['one', runtime.upload(f32(Float32Array.of(1), [1]))]]));
  const first = await Promise.all(Object.keys(wanted).map(async (name) => Array.from((await results.get(name)!.read() as Float32Array).slice(0, 3))));
  expect(first).toEqual([[1, -2, 0], [2, -2, 0], [7, 8, 0]]);
  await program.dispose();
});

describe.each(['sd15', 'sd21', 'sdxl'])('%s', (kind) => {
  const path = goldenPath('checkpoints', `${kind}.safetensors`);

  test('as a checkpoint and as a folder', async () => {
    const checkpoint = openModel(path);
    const wanted = await outputsOf(checkpoint);
    expect([...wanted.keys()].sort()).toEqual(['context', 'denoised', 'moments', 'pixels']);
    for (const values of wanted.values()) expect(values.every(Number.isFinite)).toBe(true);
    for (const hasTextModel of [true, false]) {
      expect(await outputsOf(openModel(await asFolder(checkpoint, hasTextModel)))).toEqual(wanted);
    }
  });

  test('with the autoencoder and text encoders of another file', async () => {
    const checkpoint = openModel(path);
    const wanted = await outputsOf(checkpoint);
    const folder = await asFolder(checkpoint, true);
    const zero = join(temporaryFolder(), 'zero.safetensors');
    const { tensors, metadata } = openSafetensors(path);
    await writeSafetensors(zero, [...tensors].map(([name, { dtype, shape, begin, end }]) => ({ name, dtype: dtype as 'f32', shape, data: new Uint8Array(end - begin) })), Object.fromEntries(metadata));
    for (const model of [folder, path]) {
      const other = await outputsOf(openModel({ model, vae: zero, textEncoders: [zero] }));
      expect(other.get('pixels')!.every((value) => value === 0)).toBe(true);
      expect(other.get('context')!.every((value) => value === 0)).toBe(true);
      expect(other.get('denoised')).not.toEqual(wanted.get('denoised'));
    }
    expect(await outputsOf(openModel({ model: zero, vae: path, textEncoders: [path] }))).toMatchObject({ size: 4 });
    expect((await outputsOf(openModel({ model: zero, vae: path, textEncoders: [path] }))).get('pixels')).toEqual(wanted.get('pixels'));
  });
});

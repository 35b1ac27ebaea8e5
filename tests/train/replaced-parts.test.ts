// A model folder whose autoencoder and text encoder a job takes from other files: what is written has those, not its own.
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { detectModel } from '../../src-main/catalog/families/index.ts';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { writeSafetensors } from '../../src-main/files/safetensors-write.ts';
import { exportCommand } from '../../src-main/train/export-command.ts';
import { openModel } from '../../src-main/train/open-model.ts';
import { readEvents } from '../../src-main/train/run-folder.ts';
import { refusalOf } from '../files/temporary.ts';
import { asCheckpoint } from './as-checkpoint.ts';
import { eventsOf, jobAt, train, usePlace, type JobChanges } from './run.ts';

const place = usePlace();
const events: string[] = [];
const listen = { onEvent: (event: { kind: string; text?: string }) => { if (event.kind === 'verdict') events.push(event.text ?? ''); } };

/** The part of a model with other values. */
async function other(source: string, target: string, change: (value: number, index: number) => number, name = (key: string) => key): Promise<string> {
  const file = openSafetensors(source);
  await writeSafetensors(target, [...file.tensors].map(([key, { shape }]) => ({ name: name(key), dtype: 'f32' as const, shape, data: file.readF32(key).map(change) })), {});
  return target;
}

let vae: string;
let text: string;
let base: JobChanges;
beforeAll(async () => {
  vae = await other(join(place.model, 'vae', 'diffusion_pytorch_model.safetensors'), join(place.folder, 'other-vae.safetensors'), (value) => value * 0.9 + 0.001);
  text = await other(join(place.model, 'text_encoder', 'model.safetensors'), join(place.folder, 'other-text.safetensors'), (value, i) => value * (i % 2 ? 1.1 : 0.9));
  base = { base: { model: place.model, vae, textEncoders: [text] }, train: { steps: 2, saveEvery: 0 } };
});

const compare = (merged: string, kept: readonly string[], changed: readonly string[]): void => {
  const [found, own] = [openModel(merged), openModel(place.model)];
  const mixed = openModel({ model: place.model, vae, textEncoders: [text] });
  expect([...found.files.get('text_encoder')!.tensors.keys()].sort()).toEqual([...mixed.files.get('text_encoder')!.tensors.keys()].sort());
  for (const path of kept) {
    expect(found.readF32(path), path).toEqual(mixed.readF32(path));
    expect(found.readF32(path), path).not.toEqual(own.readF32(path));
  }
  const distance = (a: Float32Array, b: Float32Array): number => Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0));
  for (const path of changed) {
    const near = distance(found.readF32(path), mixed.readF32(path));
    expect(near, path).toBeGreaterThan(0);
    expect(near, path).toBeLessThan(0.3 * distance(found.readF32(path), own.readF32(path)));
  }
};

describe('a folder with parts from elsewhere', () => {
  test('an adapter merged into it', async () => {
    const { folder } = await train(place, jobAt(place, { ...base, adapter: { kind: 'dora', targets: 'attention', rank: 2, alpha: 2, textEncoder: true } }));
    const { data } = await exportCommand({ run: folder, as: 'merged', sample: false, dtype: 'f32' }, listen);
    compare((data as { files: string[] }).files[0]!, ['vae.decoder.conv_in.weight', 'vae.encoder.conv_in.weight', 'text_encoder.text_model.embeddings.token_embedding.weight', 'text_encoder.text_model.encoder.layers.0.mlp.fc1.weight'],
      ['text_encoder.text_model.encoder.layers.0.self_attn.q_proj.weight']);
    // What was found out about the file stands in the log of the run, behind its end.
    const log = readEvents(folder);
    expect(log.at(-1)).toMatchObject({ kind: 'verdict', name: 'export', ok: true, text: expect.stringContaining('changed weights are what was trained') });
    expect(log.at(-2)!.kind).toBe('finished');
    expect(log.at(-1)!.seq).toBe(log.at(-2)!.seq + 1);
  });

  test('a whole fine-tune of it', async () => {
    const { folder } = await train(place, jobAt(place, { ...base, adapter: { kind: 'full', targets: 'all' }, output: { dtype: 'f32' } }));
    compare(join(folder, 'exports', 'model'), ['vae.decoder.conv_in.weight', 'text_encoder.text_model.encoder.layers.0.mlp.fc1.weight'], []);
  });

  test('an autoencoder trained on', async () => {
    const { folder } = await train(place, jobAt(place, { ...base, task: 'autoencoder', output: { dtype: 'f32' } }));
    compare(join(folder, 'exports', 'model'), ['text_encoder.text_model.encoder.layers.0.mlp.fc1.weight'], ['vae.decoder.conv_in.weight']);
  });
});

/** Trained far enough that a picture without it is another one. */
const textTrained: JobChanges = {
  adapter: { kind: 'dora', targets: 'attention', rank: 2, alpha: 2, textEncoder: true }, optimizer: { kind: 'adamw', learningRate: 0.3 },
  preview: { prompts: ['red (stripes)'], steps: 3, guidance: 3 }, train: { steps: 3, saveEvery: 0 }, output: { for: 'comfyui', dtype: 'f32' },
};
type Painted = { readonly files: readonly string[]; readonly proofs: readonly { readonly pictures: { readonly worst: number } }[] };
type Nodes = Readonly<Record<string, { readonly class_type: string; readonly inputs: Readonly<Record<string, unknown>> }>>;
const workflowBeside = (file: string): Nodes => JSON.parse(readFileSync(`${file.replace(/\.safetensors$/, '')}.workflow.json`, 'utf8')) as Nodes;
const named = (nodes: Nodes, type: string, input: string): unknown => Object.values(nodes).find(({ class_type }) => class_type === type)?.inputs[input];

describe('the picture and the workflow of a merged model take the parts that were written', () => {
  test('of a folder', async () => {
    const { folder } = await train(place, jobAt(place, { ...base, ...textTrained }));
    const { data } = await exportCommand({ run: folder, as: 'merged', dtype: 'f32' }, listen);
    const { files: [merged], proofs: [proof] } = data as Painted;
    expect(proof!.pictures.worst).toBeLessThanOrEqual(1);
    const nodes = workflowBeside(merged!);
    expect(named(nodes, 'DiffusersLoader', 'model_path')).toBe('tiny-merged');
    expect([named(nodes, 'VAELoader', 'vae_name'), named(nodes, 'CLIPLoader', 'clip_name')]).toEqual([undefined, undefined]);
    expect(named(nodes, 'CLIPTextEncode', 'text')).toBe('red \\(stripes\\)');
    // The adapter by itself needs the base with its replaced parts.
    const own = workflowBeside(join(folder, 'exports', 'tiny-kohya.safetensors'));
    expect([named(own, 'DiffusersLoader', 'model_path'), named(own, 'VAELoader', 'vae_name'), named(own, 'CLIPLoader', 'clip_name')]).toEqual(['model', 'other-vae.safetensors', 'other-text.safetensors']);
    expect(named(own, 'LoraLoader', 'lora_name')).toBe('tiny-kohya.safetensors');
  });

  test('of a file for each part', async () => {
    const whole = await asCheckpoint(place.model, join(place.folder, 'whole.safetensors'));
    const file = openSafetensors(whole);
    const part = async (name: string, prefix: string): Promise<string> => {
      const path = join(place.folder, `${name}.safetensors`);
      const keys = [...file.tensors.keys()].filter((key) => key.startsWith(prefix));
      await writeSafetensors(path, keys.map((key) => ({ name: key, dtype: 'f32' as const, shape: file.tensors.get(key)!.shape, data: file.readF32(key) })), Object.fromEntries(file.metadata));
      return path;
    };
    const split = { model: await part('split-unet', 'model.diffusion_model.'), vae: await part('split-vae', 'first_stage_model.'), textEncoders: [await part('split-text', 'cond_stage_model.')] };
    const { folder } = await train({ ...place, cache: join(place.folder, 'cache of split files') }, jobAt(place, { ...textTrained, base: split }));
    const { data } = await exportCommand({ run: folder, as: 'merged', dtype: 'f32' }, listen);
    const { files: [merged], proofs: [proof] } = data as Painted;
    expect(proof!.pictures.worst).toBeLessThanOrEqual(1);
    const names = (nodes: Nodes): unknown[] => [named(nodes, 'UNETLoader', 'unet_name'), named(nodes, 'CLIPLoader', 'clip_name'), named(nodes, 'VAELoader', 'vae_name')];
    expect(names(workflowBeside(merged!))).toEqual(['tiny-merged.safetensors', 'tiny-merged-split-text.safetensors', 'split-vae.safetensors']);
    const adapter = join(folder, 'exports', 'tiny-kohya.safetensors');
    expect(names(workflowBeside(adapter))).toEqual(['split-unet.safetensors', 'split-text.safetensors', 'split-vae.safetensors']);
    // The same from the file, with the parts that the job had named.
    const request = { run: adapter, base: split.model, out: join(folder, 'again'), for: 'comfyui', dtype: 'f32' } as const;
    const told = { vae: split.vae, textEncoder: split.textEncoders };
    await refusalOf('adapter.other-model', () => exportCommand(request, listen));
    const again = (await exportCommand({ ...request, ...told }, listen)).data as Painted;
    expect(names(workflowBeside(again.files[0]!))).toEqual(['split-unet.safetensors', 'split-text.safetensors', 'split-vae.safetensors']);
    expect(again.proofs[0]!.pictures.worst).toBeLessThanOrEqual(1);
    expect([...openSafetensors(again.files[0]!).tensors.keys()].sort()).toEqual([...openSafetensors(adapter).tensors.keys()].sort());
    const whole2 = (await exportCommand({ ...request, ...told, as: 'merged' }, listen)).data as Painted;
    expect(names(workflowBeside(whole2.files[0]!))).toEqual(['tiny-merged.safetensors', 'tiny-merged-split-text.safetensors', 'split-vae.safetensors']);
    for (const option of [{ base: split.model }, { vae: split.vae }, { prediction: 'v' }, { zeroTerminalSnr: true }, { clipSkip: 1 }] as const) {
      await refusalOf('export.own-base', () => exportCommand({ run: folder, ...option }, listen));
    }
  });
});

describe('what a job says of the noise of its model, and the model does not', () => {
  test.each([['epsilon', false, 'epsilon', 'eps'], ['v', true, 'v_prediction', 'v_prediction']] as const)('%s with zero terminal SNR %s stands in every file and folder that is written', async (prediction, zeroTerminalSnr, config, node) => {
    const { folder } = await train(place, jobAt(place, { ...textTrained, base: { model: place.model, prediction }, noise: { zeroTerminalSnr } }));
    const adapter = join(folder, 'exports', 'tiny-kohya.safetensors');
    expect(openSafetensors(adapter).metadata.get('modelspec.prediction_type')).toBe(prediction);
    const { data } = await exportCommand({ run: folder, as: 'merged', dtype: 'f32' }, listen);
    const { files: [merged], proofs: [proof] } = data as Painted;
    expect(JSON.parse(readFileSync(join(merged!, 'scheduler', 'scheduler_config.json'), 'utf8'))).toMatchObject({ prediction_type: config, rescale_betas_zero_snr: zeroTerminalSnr, ...(zeroTerminalSnr ? { timestep_spacing: 'trailing' } : {}) });
    expect(detectModel(openModel(merged!).files).noise).toMatchObject({ prediction: config, zeroTerminalSnr });
    expect(proof!.pictures.worst).toBeLessThanOrEqual(1);
    // The file by itself knows as little as its base, until it is told.
    const told = { run: adapter, base: place.model, out: join(folder, 'again'), for: 'comfyui', dtype: 'f32', prediction, zeroTerminalSnr } as const;
    const again = ((await exportCommand(told, listen)).data as Painted).files[0]!;
    expect(openSafetensors(again).metadata.get('modelspec.prediction_type')).toBe(prediction);
    const nodes = workflowBeside(again);
    expect([named(nodes, 'ModelSamplingDiscrete', 'sampling'), named(nodes, 'ModelSamplingDiscrete', 'zsnr')]).toEqual(prediction === 'epsilon' ? [undefined, undefined] : [node, true]);
    const folderAgain = ((await exportCommand({ ...told, as: 'merged' }, listen)).data as Painted).files[0]!;
    expect(detectModel(openModel(folderAgain).files).noise).toMatchObject({ prediction: config, zeroTerminalSnr });
  });
});

test('the log of a run that is at work is left alone', async () => {
  const ran = await train(place, jobAt(place, { train: { steps: 2, saveEvery: 1 } }));
  const copy = join(place.folder, 'at-work');
  cpSync(ran.folder, copy, { recursive: true });
  const log = join(copy, 'events.jsonl');
  writeFileSync(log, `${readFileSync(log, 'utf8').trimEnd().split('\n').slice(0, -1).filter((line) => !line.includes('"verdict"')).join('\n')}\n`);
  const before = readFileSync(log, 'utf8');
  await exportCommand({ run: copy, sample: false }, listen);
  expect(readFileSync(log, 'utf8')).toBe(before);
});

test('an autoencoder that gives no numbers is refused by name', async () => {
  const broken = await other(join(place.model, 'vae', 'diffusion_pytorch_model.safetensors'), join(place.folder, 'broken-vae.safetensors'), (value, i) => (i === 3 ? NaN : value));
  const message = await refusalOf('vae.not-finite', () => train({ ...place, cache: join(place.folder, 'cache of the broken one') }, jobAt(place, { base: { model: place.model, vae: broken } })));
  expect(String(message)).toMatch(/base\.vae|latents/);
});

test('a file tells the scale of the latents of its trained autoencoder in its metadata', async () => {
  const path = await asCheckpoint(place.model, join(place.folder, 'single.safetensors'));
  const ran = await train({ ...place, model: path }, jobAt({ ...place, model: path }, { task: 'autoencoder', train: { steps: 1 }, output: { dtype: 'f32' } }));
  const scale = openSafetensors(join(ran.folder, 'exports', 'model.safetensors')).metadata.get('adora.latent_scale');
  expect(Number(scale)).toBeGreaterThan(0);
  expect(eventsOf(ran.events, 'warning').find(({ code }) => code === 'export.no-scale')!.text).toContain(`the scale ${scale}`);
});

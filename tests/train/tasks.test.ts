// Everything that can be trained, on the tiny model: each run learns something.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { listCheckpoints, loadCheckpoint } from '../../src-main/train/checkpoint.ts';
import { refusalOf, temporaryFolder } from '../files/temporary.ts';
import { eventsOf, jobAt, train, usePlace, type JobChanges, type Ran } from './run.ts';
import { writeTinyModel } from './tiny-model.ts';

const place = usePlace();
const short = { steps: 3, saveEvery: 0, batch: 3 } as const;

/** Names of the tensors that were trained, without optimizer state. */
const trainedNames = ({ folder }: Ran): string[] => [...loadCheckpoint(listCheckpoints(join(folder, 'checkpoints')).at(-1)!.path).values.keys()].filter((name) => !name.includes(':'));

function expectLearnt({ end, events }: Ran): void {
  expect(end).toBe('finished');
  const verdicts = eventsOf(events, 'verdict').filter(({ name }) => name === 'movement' || name === 'loss-fell');
  expect(verdicts.map(({ name, ok }) => [name, ok]), JSON.stringify(verdicts)).toEqual([['movement', true], ['loss-fell', true]]);
}

describe('adapters', () => {
  const adapters: readonly (readonly [string, NonNullable<JobChanges['adapter']>, RegExp])[] = [
    ['LoRA on attention', { kind: 'lora', targets: 'attention', rank: 2, alpha: 2 }, /^unet\..*\.attn[12]\.to_(q|k|v|out\.0)\.lora_[AB]\.weight$/],
    ['DoRA per output, convolutions too', { kind: 'dora', targets: 'linear+conv', rank: 2, alpha: 4, axis: 'output' }, /^unet\..*\.(lora_[AB]\.weight|lora_magnitude_vector)$/],
    ['DoRA per input, exact gradient', { kind: 'dora', targets: 'attention+feed-forward', rank: 2, alpha: 2, axis: 'input', norm: 'exact' }, /\.(attn[12]|ff)\..*\.(lora_[AB]\.weight|lora_magnitude_vector)$/],
    ['LoRA on text encoder and attention', { kind: 'lora', targets: 'attention', rank: 2, alpha: 2, rsLora: true, textEncoder: true }, /^(unet\..*attn|text_encoder\.text_model\.encoder\.layers\.0).*lora_[AB]\.weight$/],
  ];

  test.each(adapters)('%s', async (_, adapter, names) => {
    const ran = await train(place, jobAt(place, { adapter, optimizer: { kind: 'adamw', learningRate: 0.01 }, train: short }));
    expectLearnt(ran);
    for (const name of trainedNames(ran)) expect(name).toMatch(names);
    if (adapter.textEncoder) expect(trainedNames(ran).filter((name) => name.startsWith('text_encoder.')).length).toBeGreaterThan(4);
  });

  test('on a text encoder learn at its own rate', async () => {
    const adapter = { kind: 'lora', targets: 'attention', rank: 2, alpha: 2, textEncoder: true, textEncoderLearningRate: 0 } as const;
    const error = await refusalOf('train.nothing-learnt', () => train(place, jobAt(place, { adapter, optimizer: { kind: 'adamw', learningRate: 0.01 }, train: short })));
    const { still, tensors } = error.data as { still: string[]; tensors: number };
    expect(still.every((name) => name.startsWith('text_encoder.'))).toBe(true);
    expect(tensors - still.length).toBe(64);
  });

  test('on weights that are stored as f16', async () => {
    const folder = temporaryFolder();
    const f16 = { ...place, model: await writeTinyModel(folder, 'f16'), cache: join(folder, 'cache') };
    expect(openSafetensors(join(f16.model, 'unet', 'diffusion_pytorch_model.safetensors')).tensors.get('conv_in.weight')!.dtype).toBe('f16');
    expectLearnt(await train(f16, jobAt(f16, { optimizer: { kind: 'adamw', learningRate: 0.01 }, train: short })));
  });
});

describe('whole weights', () => {
  const model = (ran: Ran, ...path: string[]): string => join(ran.folder, 'exports', 'model', ...path);

  test('of the target layers', async () => {
    const ran = await train(place, jobAt(place, { adapter: { kind: 'full', targets: 'attention' }, optimizer: { kind: 'adamw', learningRate: 1e-3 }, output: { dtype: 'f32' }, train: short }));
    expectLearnt(ran);
    for (const name of trainedNames(ran)) expect(name).toMatch(/attn[12]\.to_(q|k|v|out\.0)\.(weight|bias)$/);
    const [before, after] = [place.model, model(ran)].map((root) => openSafetensors(join(root, 'unet', 'diffusion_pytorch_model.safetensors'))) as [ReturnType<typeof openSafetensors>, ReturnType<typeof openSafetensors>];
    expect([...after.tensors.keys()].sort()).toEqual([...before.tensors.keys()].sort());
    const trained = new Set(trainedNames(ran));
    for (const key of before.tensors.keys()) {
      const isSame = Buffer.compare(before.read(key).bytes, after.read(key).bytes) === 0;
      expect(isSame, key).toBe(!trained.has(`unet.${key}`));
    }
  });

  test('of the whole denoiser', async () => {
    const ran = await train(place, jobAt(place, { adapter: { kind: 'full', targets: 'all' }, optimizer: { kind: 'adamw', learningRate: 1e-3 }, train: short }));
    expectLearnt(ran);
    const all = [...openSafetensors(join(place.model, 'unet', 'diffusion_pytorch_model.safetensors')).tensors.keys()];
    expect(trainedNames(ran).sort()).toEqual(all.map((key) => `unet.${key}`).sort());
  });

  test('denoiser and text encoder from random values', async () => {
    const ran = await train(place, jobAt(place, { task: 'pretrain', init: 'random', optimizer: { kind: 'adamw', learningRate: 3e-3 }, train: { ...short, steps: 4, ema: 0.5 } }));
    expectLearnt(ran);
    expect(trainedNames(ran)).toEqual(expect.arrayContaining(['unet.conv_in.weight', 'text_encoder.text_model.embeddings.token_embedding.weight']));
    for (const part of ['unet', 'text_encoder', 'vae', 'tokenizer', 'scheduler']) expect(existsSync(model(ran, part))).toBe(true);
  });

  test('the autoencoder, and its scale is measured', async () => {
    const ran = await train(place, jobAt(place, { task: 'autoencoder', init: 'random', optimizer: { kind: 'adamw', learningRate: 3e-3 }, train: short }));
    expectLearnt(ran);
    for (const name of trainedNames(ran)) expect(name).toMatch(/^vae\./);
    const { scaling_factor: scale } = JSON.parse(readFileSync(model(ran, 'vae', 'config.json'), 'utf8')) as { scaling_factor: number };
    expect(scale).toBeGreaterThan(0);
    expect(scale).not.toBe(1);
  });

  test('the decoder alone, for the same latents', async () => {
    const ran = await train(place, jobAt(place, { task: 'autoencoder', autoencoder: { part: 'decoder' }, optimizer: { kind: 'adamw', learningRate: 3e-3 }, output: { dtype: 'f32' }, train: short }));
    expectLearnt(ran);
    for (const name of trainedNames(ran)) expect(name).toMatch(/^vae\.(decoder|post_quant_conv)\./);
    const [before, after] = [place.model, model(ran)].map((root) => openSafetensors(join(root, 'vae', 'diffusion_pytorch_model.safetensors'))) as [ReturnType<typeof openSafetensors>, ReturnType<typeof openSafetensors>];
    const bytes = (file: ReturnType<typeof openSafetensors>, key: string): Uint8Array => file.read(key).bytes;
    expect(Buffer.compare(bytes(before, 'encoder.conv_in.weight'), bytes(after, 'encoder.conv_in.weight'))).toBe(0);
    expect(Buffer.compare(bytes(before, 'decoder.conv_out.weight'), bytes(after, 'decoder.conv_out.weight'))).not.toBe(0);
    expect(readFileSync(model(ran, 'vae', 'config.json'), 'utf8')).toBe(readFileSync(join(place.model, 'vae', 'config.json'), 'utf8'));
  });
});

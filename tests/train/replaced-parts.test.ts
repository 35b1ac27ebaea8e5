// A model folder whose autoencoder and text encoder a job takes from other files: what is written has those, not its own.
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
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

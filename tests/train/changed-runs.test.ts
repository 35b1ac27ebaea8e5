// Runs that are resumed after something was changed or broken meanwhile.
import { cpSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { listCheckpoints } from '../../src-main/train/checkpoint.ts';
import { refusalOf, temporaryFolder } from '../files/temporary.ts';
import { eventsOf, filesOf, jobAt, train, usePlace, writePictures } from './run.ts';

const place = usePlace();
const lora = { kind: 'lora', targets: 'attention', rank: 2, alpha: 2 } as const;

describe('resuming', () => {
  test('after the data set has changed is told', async () => {
    const pictures = await writePictures(join(temporaryFolder(), 'set'), 4);
    const job = jobAt({ ...place, pictures }, { adapter: lora, train: { steps: 4 } });
    let steps = 0;
    const first = await train(place, job, { control: { shouldStop: () => steps >= 2 }, onEvent: ({ kind }) => { if (kind === 'step') steps++; } });
    expect(first.end).toBe('interrupted');
    writeFileSync(join(pictures, '1.txt'), 'other words');
    const second = await train(place, job, { runFolder: first.folder, resume: true });
    expect(eventsOf(second.events, 'warning').map(({ code }) => code)).toContain('dataset.changed');
    expect(second.events.find(({ kind }) => kind === 'started')).toMatchObject({ fromStep: 2 });
  });

  test('uses an older checkpoint when the newest is broken, and is refused when none can be read', async () => {
    const job = jobAt(place, { adapter: lora, train: { steps: 4, saveEvery: 1 } });
    const first = await train(place, job);
    const files = filesOf(first.folder);
    const [older, newest] = [3, 4].map((step) => join(first.folder, 'checkpoints', `step-00000${step}.safetensors`)) as [string, string];
    writeFileSync(newest, readFileSync(newest).subarray(0, 1000));
    const second = await train(place, job, { runFolder: first.folder, resume: true });
    expect(eventsOf(second.events, 'warning').find(({ code }) => code === 'checkpoint.broken')!.text).toMatch(/step-000004.*cannot be read; the one of step 3 is used/);
    expect(filesOf(first.folder)).toEqual(files);
    for (const path of [older, newest]) writeFileSync(path, 'nothing');
    const error = await refusalOf('checkpoint.all-broken', () => train(place, job, { runFolder: first.folder, resume: true }));
    expect(error.message).toMatch(/step-000004\.safetensors".*step-000003\.safetensors".*remove them to begin the run again/);
    expect(readFileSync(newest, 'utf8')).toBe('nothing');
    for (const { path } of listCheckpoints(join(first.folder, 'checkpoints'))) rmSync(path);
    const third = await train(place, job, { runFolder: first.folder, resume: true });
    expect(eventsOf(third.events, 'warning').map(({ code }) => code)).toContain('checkpoint.none');
    expect(filesOf(first.folder)).toEqual(files);
  });

  test('with a job that trains other tensors is refused, and nothing is lost', async () => {
    const job = jobAt(place, { adapter: lora, train: { steps: 2 } });
    const first = await train(place, job);
    const files = filesOf(first.folder);
    const changed = jobAt(place, { adapter: { ...lora, rank: 3 }, train: { steps: 4 } });
    await refusalOf('checkpoint.other-job', () => train(place, changed, { runFolder: first.folder, resume: true }));
    expect(filesOf(first.folder)).toEqual(files);
  });

  test('with another base model is refused; a moved one is the same', async () => {
    const folder = temporaryFolder();
    const model = join(folder, 'model');
    cpSync(place.model, model, { recursive: true });
    const job = jobAt({ ...place, model }, { adapter: lora, train: { steps: 4 } });
    let steps = 0;
    const first = await train(place, job, { control: { shouldStop: () => steps >= 2 }, onEvent: ({ kind }) => { if (kind === 'step') steps++; } });
    expect(first.end).toBe('interrupted');

    const moved = join(folder, 'elsewhere');
    renameSync(model, moved);
    const jobThere = { ...job, base: { ...job.base, model: moved } };
    const weights = join(moved, 'unet', 'diffusion_pytorch_model.safetensors');
    const original = readFileSync(weights);
    const change = Buffer.from(original);
    // As a merged adapter would: every row of a weight is another.
    const { offset, length } = openSafetensors(weights).locate('mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight');
    for (let at = offset; at < offset + length; at += 4) change.writeFloatLE(change.readFloatLE(at) * 1.01, at);
    writeFileSync(weights, change);
    const error = await refusalOf('run.other-model', () => train(place, jobThere, { runFolder: first.folder, resume: true }));
    expect(error.message).toMatch(/elsewhere" is not the one that the run .* began with \(changed: "unet"\): put the earlier model back/);

    writeFileSync(weights, original);
    const scheduler = join(moved, 'scheduler', 'scheduler_config.json');
    const config = readFileSync(scheduler, 'utf8');
    writeFileSync(scheduler, JSON.stringify({ ...JSON.parse(config) as object, beta_end: 0.5 }));
    await refusalOf('run.other-model', () => train(place, jobThere, { runFolder: first.folder, resume: true }));
    writeFileSync(scheduler, config);
    expect((await train(place, jobThere, { runFolder: first.folder, resume: true })).end).toBe('finished');
  });
});

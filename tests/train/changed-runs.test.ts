// Runs that are resumed after something was changed or broken meanwhile.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
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

  test('uses an older checkpoint when the newest is broken, and begins again without any', async () => {
    const job = jobAt(place, { adapter: lora, train: { steps: 4, saveEvery: 1 } });
    const first = await train(place, job);
    const files = filesOf(first.folder);
    const [older, newest] = [3, 4].map((step) => join(first.folder, 'checkpoints', `step-00000${step}.safetensors`)) as [string, string];
    writeFileSync(newest, readFileSync(newest).subarray(0, 1000));
    const second = await train(place, job, { runFolder: first.folder, resume: true });
    expect(eventsOf(second.events, 'warning').find(({ code }) => code === 'checkpoint.broken')!.text).toMatch(/step-000004.*cannot be read; the one of step 3 is used/);
    expect(filesOf(first.folder)).toEqual(files);
    for (const path of [older, newest]) writeFileSync(path, 'nothing');
    const third = await train(place, job, { runFolder: first.folder, resume: true });
    expect(eventsOf(third.events, 'warning').filter(({ code }) => code === 'checkpoint.broken').map(({ text }) => /training begins again/.test(text))).toEqual([true, true]);
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
});

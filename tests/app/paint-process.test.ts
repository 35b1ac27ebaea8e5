// The process that paints, kept between requests: the same pictures as from processes of their own, whatever was painted before.
import { copyFileSync, existsSync, readFileSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { callTrainer, finished } from '../../src-main/app/trainer/call.ts';
import { forkHost } from '../../src-main/app/trainer/fork-host.ts';
import { createKeptTrainer } from '../../src-main/app/trainer/kept-trainer.ts';
import type { WorkerHost, WorkerProcess } from '../../src-main/app/trainer/worker-host.ts';
import type { PaintRequest } from '../../src-main/contract/trainer.ts';
import { decodeImage } from '../../src-main/files/images.ts';
import { readPngText } from '../../src-main/files/png-text.ts';
import { listCheckpoints } from '../../src-main/train/checkpoint.ts';
import { jobAt, train, usePlace, type Ran } from '../train/run.ts';
import { buildTrainer } from './studio-home.ts';

const place = usePlace();
let trainer: Awaited<ReturnType<typeof buildTrainer>>;
let ran: Ran;
beforeAll(async () => {
  trainer = await buildTrainer();
  ran = await train(place, jobAt(place, { optimizer: { kind: 'adamw', learningRate: 0.1 }, train: { saveEvery: 3 }, output: { for: 'comfyui', dtype: 'f32' } }));
}, 60_000);
afterAll(() => rmSync(trainer.folder, { recursive: true }));

let painted = 0;
const picture = (more: Partial<PaintRequest>): PaintRequest => ({
  run: ran.folder, step: 6, strength: 1, prompt: 'red stripes', negative: '', seed: 1, guidance: 2, steps: 3, sampler: 'euler-ancestral', out: join(ran.folder, `picture-${painted++}.png`), ...more,
});
const bytes = ({ out }: PaintRequest): string => readFileSync(out).toString('base64');
/** Without the texts, which name the step. */
const pixels = async ({ out }: PaintRequest): Promise<string> => Buffer.from((await decodeImage(out)).data).toString('base64');
const told = ({ out }: PaintRequest): string[] => [...readPngText(readFileSync(out)).values()];

function counted(): WorkerHost & { readonly started: WorkerProcess[] } {
  const [real, started] = [forkHost(trainer.entry), [] as WorkerProcess[]];
  return { started, start: (command) => { const made = real.start(command); started.push(made); return made; } };
}

test('one process paints steps, strengths and prompts as processes of their own do', async () => {
  const host = counted();
  const kept = createKeptTrainer(host);
  const own = forkHost(trainer.entry);
  const wanted = [{ step: 6 }, { step: 6, strength: 0.5 }, { step: 3 }, { step: 0 }, { step: 6, prompt: 'blue stripes', seed: 2 }];
  const seen: string[] = [];
  for (const one of wanted) {
    const [here, there] = [picture(one), picture(one)];
    await finished(callTrainer(await kept.for('a'), 'paint', { pictures: [here], device: 'cpu' }));
    await finished(callTrainer(own, 'paint', { pictures: [there], device: 'cpu' }));
    expect(bytes(here)).toBe(bytes(there));
    seen.push(await pixels(here));
    const { step, strength } = { strength: 1, ...one };
    const file = `tiny${step === 3 ? '-step3' : ''}-kohya`;
    const [parameters, nodes] = told(here);
    expect(/<lora:[^>]*>/.exec(parameters!)?.[0]).toBe(step === 0 ? undefined : `<lora:${file}:${strength}>`);
    expect(parameters).toContain('Model: model');
    expect(/"lora_name": "([^"]*)",\s*"strength_model": ([\d.]+)/.exec(nodes!)?.slice(1)).toEqual(step === 0 ? undefined : [`${file}.safetensors`, String(strength)]);
  }
  expect(new Set(seen).size).toBe(wanted.length);
  expect(host.started).toHaveLength(1);
  await kept.giveBack();
});

test('a checkpoint that was written anew is read anew', async () => {
  const kept = createKeptTrainer(counted());
  const saved = new Map(listCheckpoints(join(ran.folder, 'checkpoints')).map(({ step, path }) => [step, path]));
  const [before, third, after] = [picture({ step: 6 }), picture({ step: 3 }), picture({ step: 6 })];
  for (const one of [third, before]) await finished(callTrainer(await kept.for('a'), 'paint', { pictures: [one], device: 'cpu' }));
  const aside = `${saved.get(6)!}.aside`;
  copyFileSync(saved.get(6)!, aside);
  rmSync(saved.get(6)!);
  copyFileSync(saved.get(3)!, saved.get(6)!);
  utimesSync(saved.get(6)!, 5, 5);
  await finished(callTrainer(await kept.for('a'), 'paint', { pictures: [after], device: 'cpu' }));
  expect(await pixels(after)).toBe(await pixels(third));
  expect(await pixels(after)).not.toBe(await pixels(before));
  copyFileSync(aside, saved.get(6)!);
  await kept.giveBack();
});

test('stopped between two steps of a picture, it paints the next one; killed, a new one does', async () => {
  const host = counted();
  const kept = createKeptTrainer(host);
  const stop = new AbortController();
  const long = picture({ steps: 200, sampler: 'ddim' });
  await finished(callTrainer(await kept.for('a'), 'paint', { pictures: [picture({})], device: 'cpu' }));
  const stopped = finished(callTrainer(await kept.for('a'), 'paint', { pictures: [long], device: 'cpu' }, { signal: stop.signal, onProgress: () => stop.abort() }));
  await expect(stopped).rejects.toMatchObject({ code: 'sample.stopped' });
  expect(existsSync(long.out)).toBe(false);
  const next = picture({});
  await finished(callTrainer(await kept.for('a'), 'paint', { pictures: [next], device: 'cpu' }));
  expect(host.started).toHaveLength(1);
  const crashed = finished(callTrainer(await kept.for('a'), 'paint', { pictures: [long], device: 'cpu' }, { onProgress: () => host.started[0]!.kill() }));
  await expect(crashed).rejects.toMatchObject({ code: 'trainer.crashed', message: expect.stringContaining('The process that paints ended by itself (SIGKILL)') as string });
  const again = picture({});
  await finished(callTrainer(await kept.for('a'), 'paint', { pictures: [again], device: 'cpu' }));
  expect(bytes(again)).toBe(bytes(next));
  expect(host.started).toHaveLength(2);
  await kept.giveBack();
});

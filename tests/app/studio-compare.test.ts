// Comparing checkpoints and runs, trying adapters: what is painted, kept, measured and marked. The trainer is a stand-in
// whose pictures are of one grey that says what they were painted with.
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { RenderItem } from '../../src-main/contract/api.ts';
import { say } from '../../src-main/contract/text.ts';
import { judgeCanary, pictureDistance } from '../../src-main/contract/canary.ts';
import type { FromTrainer, PaintRequest } from '../../src-main/contract/trainer.ts';
import { encodePng } from '../../src-main/files/images.ts';
import { tinyJob } from '../train/tiny-model.ts';
import { openHome, standInHost, type Home } from './studio-home.ts';

const greys = await Promise.all(Array.from({ length: 256 }, (_, grey) => encodePng(new Uint8Array(12).fill(grey), 2, 2)));
let painted: PaintRequest[] = [];
/** Grey of a picture: the base is black; each 100 steps of the style prompt add 40, of the other one 10. */
const greyOf = ({ step = 0, strength, prompt }: PaintRequest): number => Math.round((step / 100) * strength * (prompt === 'ink fox' ? 40 : 10));

const host = standInHost(({ command, request }): FromTrainer[] => {
  if (command !== 'paint') return [{ kind: 'failed', problem: { code: 'test.none', message: 'no' } }];
  const { pictures } = request as { pictures: PaintRequest[] };
  painted.push(...pictures);
  for (const picture of pictures) {
    mkdirSync(dirname(picture.out), { recursive: true });
    writeFileSync(picture.out, greys[greyOf(picture)]!);
  }
  return [{ kind: 'progress', label: say('phase.paint', 'paint'), done: pictures.length, total: pictures.length, unit: 'pictures' }, { kind: 'done', result: null }];
});

let home: Home;
let project: string;

function writeRun(name: string, steps: readonly number[], more: Omit<Parameters<typeof tinyJob>[0], 'base'> = {}): string {
  const folder = join(project, 'runs', name);
  mkdirSync(join(folder, 'checkpoints'), { recursive: true });
  const job = tinyJob({ ...more, name, base: { model: join(home.folder, 'base') } });
  writeFileSync(join(folder, 'job.json'), JSON.stringify(job));
  const probes = steps.map((step, at) => JSON.stringify({ kind: 'probe', seq: at, time: 1000, step, loss: Math.abs(step - 200) / 1000 + 0.1 }));
  writeFileSync(join(folder, 'events.jsonl'), `${probes.join('\n')}\n`);
  for (const step of steps) writeFileSync(join(folder, 'checkpoints', `step-${String(step).padStart(6, '0')}.safetensors`), 'x');
  return home.studio.context.ids.of(folder);
}

beforeEach(async () => {
  painted = [];
  home = openHome(host);
  const { folder } = await home.studio.handlers['projects.create']({ name: 'Ink', demo: false });
  project = folder.path;
});
afterEach(async () => home.close());

const settings = { negative: '', guidance: 4, steps: 8, sampler: 'ddim' };
const item = (runId: string, step: number, strength = 1, more: Partial<RenderItem> = {}): RenderItem => ({ ...settings, runId, step, strength, prompt: 'ink fox', seed: 1, ...more });

describe('pictures', () => {
  test('are painted once and kept in the folder of their run', async () => {
    const { handlers } = home.studio;
    const runId = writeRun('a', [100, 200]);
    const items = [item(runId, 0), item(runId, 100), item(runId, 200, 0.5)];
    expect(await handlers['runs.compareRender']({ items, onlyMade: true })).toEqual({ images: [null, null, null], taskId: null });
    const { taskId } = await handlers['runs.compareRender']({ items, onlyMade: false });
    expect((await home.finished(taskId!)).state).toBe('done');
    expect(readdirSync(join(project, 'runs', 'a', 'compare'))).toHaveLength(3);
    expect(new Set((await handlers['runs.compareRender']({ items, onlyMade: true })).images).size).toBe(3);

    const more = [...items, item(runId, 200, 1)];
    const second = await handlers['runs.compareRender']({ items: more, onlyMade: false });
    expect(second.images.map((url) => url === null)).toEqual([false, false, false, true]);
    await home.finished(second.taskId!);
    expect(painted.map(({ step, strength }) => [step, strength])).toEqual([[0, 1], [100, 1], [200, 0.5], [200, 1]]);
  });

  test('of the base model are the same whatever the strength, and of strength 0 at any step', async () => {
    const { handlers } = home.studio;
    const runId = writeRun('a', [100]);
    const items = [item(runId, 0, 1), item(runId, 0, 2), item(runId, 100, 0)];
    await home.finished((await handlers['runs.compareRender']({ items, onlyMade: false })).taskId!);
    expect(painted.map(({ step, strength }) => [step, strength])).toEqual([[0, 1]]);
    expect(new Set((await handlers['runs.compareRender']({ items, onlyMade: true })).images).size).toBe(1);
  });

  test('of a checkpoint that was written anew are painted anew; one that was not saved is refused', async () => {
    const { handlers } = home.studio;
    const runId = writeRun('a', [100]);
    const once = async (): Promise<void> => {
      const { taskId } = await handlers['runs.compareRender']({ items: [item(runId, 100)], onlyMade: false });
      if (taskId !== null) await home.finished(taskId);
    };
    await once();
    await once();
    expect(painted).toHaveLength(1);
    const { utimesSync } = await import('node:fs');
    utimesSync(join(project, 'runs', 'a', 'checkpoints', 'step-000100.safetensors'), 5, 5);
    await once();
    expect(painted).toHaveLength(2);
    expect(() => handlers['runs.compareRender']({ items: [item(runId, 300)], onlyMade: false })).toThrow('was not saved: choose one of 100');
  });

  test('wait until a training leaves the device', async () => {
    const { handlers, context } = home.studio;
    const runId = writeRun('a', [100]);
    await context.turns.take();
    const { taskId } = await handlers['runs.compareRender']({ items: [item(runId, 100)], onlyMade: false });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect([painted.length, context.tasks.list()[0]]).toMatchObject([0, { state: 'running', label: 'Waits until the training pauses or ends' }]);
    context.turns.leave();
    expect((await home.finished(taskId!)).state).toBe('done');
    expect(painted).toHaveLength(1);
  });

  test('that wait can be cancelled: nothing of them is painted', async () => {
    const { handlers } = home.studio;
    const runId = writeRun('a', [100, 200]);
    const first = await handlers['runs.compareRender']({ items: [item(runId, 100)], onlyMade: false });
    const second = await handlers['runs.compareRender']({ items: [item(runId, 200)], onlyMade: false });
    await handlers['tasks.cancel']({ taskId: second.taskId! });
    expect((await home.finished(first.taskId!)).state).toBe('done');
    expect((await home.finished(second.taskId!)).state).toBe('cancelled');
    expect(painted.map(({ step }) => step)).toEqual([100]);
  });
});

describe('the best checkpoint', () => {
  test('the lowest loss at fixed noise is suggested; what a resume did again counts as its newest telling', async () => {
    const { handlers } = home.studio;
    const runId = writeRun('a', [100, 200, 300]);
    expect(await handlers['runs.checkpoints']({ runId })).toMatchObject({ chosen: null, suggested: 200, checkpoints: [{ step: 100, probe: 0.2 }, { step: 200, probe: 0.1 }, { step: 300, probe: 0.2 }] });
    const folder = join(project, 'runs', 'a');
    writeFileSync(join(folder, 'events.jsonl'), ['{"kind":"probe","seq":0,"time":1,"step":200,"loss":0.01}', '{"kind":"probe","seq":1,"time":1,"step":200,"loss":0.5}', '{"kind":"probe","seq":2,"time":1,"step":100,"loss":0.3}'].map((line) => `${line}\n`).join(''));
    expect((await handlers['runs.checkpoints']({ runId })).suggested).toBe(100);
  });

  test('is marked, and exports take it', async () => {
    const { handlers } = home.studio;
    const runId = writeRun('a', [100, 200]);
    expect((await handlers['export.options']({ runId })).defaultStep).toBe(200);
    await handlers['runs.choose']({ runId, step: 100 });
    expect((await handlers['runs.checkpoints']({ runId })).chosen).toBe(100);
    expect((await handlers['export.options']({ runId })).defaultStep).toBe(100);
    await expect(handlers['runs.choose']({ runId, step: 150 })).rejects.toMatchObject({ code: 'run.no-step' });
    await handlers['runs.choose']({ runId, step: null });
    expect((await handlers['export.options']({ runId })).defaultStep).toBe(200);
  });

  test('an export without a step asks the trainer for the marked one', async () => {
    const asked: unknown[] = [];
    const other = openHome(standInHost(({ command, request }) => {
      asked.push([command, (request as { step?: number }).step]);
      return [{ kind: 'failed', problem: { code: 'test.none', message: 'no' } }];
    }), home.folder);
    const runId = writeRun('a', [100, 200]);
    await other.studio.handlers['runs.choose']({ runId, step: 100 });
    const { taskId } = await other.studio.handlers['export.start']({ runId, tool: 'comfyui', kind: 'dora', picture: false });
    await other.finished(taskId);
    expect(asked).toEqual([['export', 100]]);
    await other.studio.dispose();
  });
});

describe('runs beside each other', () => {
  test('differ in the settings that are not alike, by name and without folders', async () => {
    const { handlers } = home.studio;
    const [a, b] = [writeRun('a', [100]), writeRun('b', [100], { adapter: { kind: 'lora', rank: 8, alpha: 8 }, train: { steps: 7 } })];
    const { rows } = await handlers['runs.differences']({ runIds: [a, b] });
    const paths = rows.map(({ path }) => path);
    expect(paths).toEqual(expect.arrayContaining(['adapter.kind', 'adapter.rank', 'train.steps']));
    expect(paths).not.toContain('name');
    expect(paths).not.toContain('base.model');
    const byPath = new Map(rows.map((row) => [row.path, row]));
    expect(byPath.get('adapter.kind')!.values[1]).toBe('lora');
    expect(byPath.get('adapter.axis')?.values[1] ?? null).toBeNull();
    expect(byPath.get('train.steps')!.values[1]).toBe('7');
    expect((await handlers['runs.differences']({ runIds: [a, a] })).rows).toEqual([]);
    expect(JSON.stringify(rows)).not.toContain(home.folder);
  });
});

describe('the canary', () => {
  test('says how far each prompt moved, and judges their ratio', async () => {
    const { handlers } = home.studio;
    const runId = writeRun('a', [100, 200]);
    const input = { ...settings, runId, checkpoints: [100, 200], strength: 1, style: 'ink fox', offSet: 'a red bicycle', seeds: [1, 2], onlyMade: false };
    const first = await handlers['runs.canary'](input);
    expect(first.rows.map(({ style, offSet, level }) => [style, offSet, level])).toEqual([[null, null, null], [null, null, null]]);
    await home.finished(first.taskId!);
    expect(painted).toHaveLength(3 * 2 * 2);
    const { rows, base, taskId } = await handlers['runs.canary'](input);
    expect(taskId).toBeNull();
    expect(rows.map(({ style }) => style)).toEqual([40 / 255, 80 / 255].map((value) => expect.closeTo(value, 10)));
    expect(rows.map(({ offSet }) => offSet)).toEqual([10 / 255, 20 / 255].map((value) => expect.closeTo(value, 10)));
    expect(rows.map(({ share, level }) => [share, level])).toEqual([[expect.closeTo(0.25, 10), 'good'], [expect.closeTo(0.25, 10), 'good']]);
    expect(existsSync(home.studio.context.ids.imagePath(base.styleUrl!.slice('/img/'.length))!)).toBe(true);
  });

  test('judges by shares', () => {
    expect(judgeCanary(0.2, 0.05)).toMatchObject({ level: 'good', share: 0.25 });
    expect(judgeCanary(0.2, 0.15).level).toBe('warning');
    expect(judgeCanary(0.2, 0.2).level).toBe('bad');
    expect(judgeCanary(0.2, 0.15).text).toContain('75 %');
    // Nothing learnt yet: a ratio of two small numbers says nothing.
    expect(judgeCanary(0.001, 0.002)).toMatchObject({ level: 'unclear', share: null });
  });

  test('measures the mean difference of values', () => {
    expect(pictureDistance(Uint8Array.of(0, 255, 10), Uint8Array.of(0, 0, 10))).toBeCloseTo(1 / 3, 12);
    expect(() => pictureDistance(Uint8Array.of(1), Uint8Array.of(1, 2))).toThrow('different size');
  });
});

test('an adapter is tried beside the base model; each picture is painted once', async () => {
  const { handlers, context } = home.studio;
  const [adapter, base] = [join(home.folder, 'a.safetensors'), join(home.folder, 'base.safetensors')];
  for (const file of [adapter, base]) writeFileSync(file, 'x');
  const input = { id: context.ids.of(adapter), modelId: context.ids.of(base), strength: 0.5, prompt: 'ink fox', negative: '', seed: 3, steps: 4, guidance: 2, sampler: 'ddim' };
  const first = await handlers['adapters.try'](input);
  expect(first).toMatchObject({ baseUrl: null, adaptedUrl: null });
  await home.finished(first.taskId!);
  expect(painted.map(({ adapters, strength, sampler }) => [adapters, strength, sampler])).toEqual([[[], 1, 'ddim'], [[adapter], 0.5, 'ddim']]);
  const { baseUrl, adaptedUrl, taskId } = await handlers['adapters.try'](input);
  expect([taskId, baseUrl === adaptedUrl]).toEqual([null, false]);
  const weak = await handlers['adapters.try']({ ...input, strength: 1 });
  expect([weak.baseUrl, weak.adaptedUrl]).toEqual([baseUrl, null]);
  await home.finished(weak.taskId!);
  expect(painted).toHaveLength(3);
  const none = await handlers['adapters.try']({ ...input, strength: 0 });
  expect([none.adaptedUrl, none.taskId]).toEqual([baseUrl, null]);
});

test('what runs have exported is in the library at once', async () => {
  const { handlers } = home.studio;
  writeRun('a', [100]);
  const names = async (): Promise<string[]> => (await handlers['adapters.list']({ refresh: false })).adapters.map(({ name }) => name);
  expect(await names()).toEqual([]);
  const exportsFolder = join(project, 'runs', 'a', 'exports');
  mkdirSync(exportsFolder, { recursive: true });
  const header = Buffer.from(JSON.stringify({ 'lora_unet_x.lora_down.weight': { dtype: 'F32', shape: [1, 2], data_offsets: [0, 8] }, 'lora_unet_x.lora_up.weight': { dtype: 'F32', shape: [2, 1], data_offsets: [8, 16] } }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(join(exportsFolder, 'ink.safetensors'), Buffer.concat([length, header, Buffer.alloc(16)]));
  expect(await names()).toEqual(['ink']);
});

test('any file can be opened: an unusable one is listed with its reason, and one that is gone again is left out', async () => {
  const { handlers, context } = home.studio;
  const lists = async (): Promise<unknown> => {
    const [{ models, others }, { adapters }] = await Promise.all([handlers['models.list']({ refresh: false }), handlers['adapters.list']({ refresh: false })]);
    return [models.filter(({ isStarter }) => !isStarter), others, adapters].map((list) => list.map(({ name, usable, reason }) => [name, usable, reason?.text ?? null]));
  };
  const torn = join(home.folder, 'torn.safetensors');
  writeFileSync(torn, 'torn');
  expect(await handlers['models.add']({ fileId: context.ids.of(torn) })).toMatchObject({ usable: false, family: null });
  // An adapter of a kind that Adora cannot apply.
  const names = ['hada_w1_a', 'hada_w1_b', 'hada_w2_a', 'hada_w2_b'].map((name, at) => [`lora_unet_x.${name}`, { dtype: 'F32', shape: [1, 1], data_offsets: [4 * at, 4 * at + 4] }]);
  const header = Buffer.from(JSON.stringify(Object.fromEntries(names)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const loha = join(home.folder, 'loha.safetensors');
  writeFileSync(loha, Buffer.concat([length, header, Buffer.alloc(16)]));
  await handlers['models.add']({ fileId: context.ids.of(loha) });
  expect(await lists()).toEqual([[], [['torn', false, expect.stringContaining('too few for a safetensors file') as string]], [['loha', false, expect.stringContaining('which Adora cannot apply') as string]]]);
  rmSync(torn);
  rmSync(loha);
  expect(await lists()).toEqual([[], [], []]);
  expect(() => handlers['models.add']({ fileId: context.ids.of(torn) })).toThrow('There is nothing at');
});

test('a file is inspected: facts without what has a table of its own', async () => {
  const verdict = { id: 'comfyui', label: 'ComfyUI', layout: 'kohya', exact: null, code: 'program.other-names', data: {}, text: 'Not checked.' };
  const facts = [{ ...say('inspect.adapter', 'LoRA in the layout kohya'), value: say('inspect.adapter.layers', '1 layers, rank 4') }, { ...say('inspect.trigger', 'trigger words'), value: 'ink' }];
  const layers = [{ module: 'lora_unet_x', rank: 4, norm: 0.5, magnitude: null }];
  const other = openHome(standInHost(() => [{ kind: 'done', result: { facts, data: { what: 'adapter', layers, metadata: { title: 'x' }, programs: [verdict] } } }]), home.folder);
  expect(await other.studio.handlers['adapters.inspect']({ id: other.studio.context.ids.of('x.safetensors') })).toEqual({
    facts,
    layers: [{ path: 'lora_unet_x', rank: 4, hasMagnitudes: false, norm: 0.5 }], metadata: [{ key: 'title', value: 'x' }], programs: [verdict],
  });
  await other.studio.dispose();
});

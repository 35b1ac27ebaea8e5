// The demo and what it is made of, on a tiny model: everything is written, shown, measured; failures leave nothing.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { weightChange } from '../../src-main/analysis/magnitude-direction.ts';
import { UserError } from '../../src-main/base/errors.ts';
import { detectModel } from '../../src-main/catalog/families/index.ts';
import type { TrainEventBody } from '../../src-main/contract/events.ts';
import type { Job } from '../../src-main/contract/job.ts';
import { decodeImage } from '../../src-main/files/images.ts';
import { readPngText } from '../../src-main/files/png-text.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import { analyzeCommand, analyzeRun } from '../../src-main/train/analyze.ts';
import { listCheckpoints } from '../../src-main/train/checkpoint.ts';
import { demoCommand } from '../../src-main/train/demo.ts';
import type { DemoSummary } from '../../src-main/train/demo-summary.ts';
import { mergedWeights, withWeights } from '../../src-main/train/merged-weights.ts';
import { openModel } from '../../src-main/train/open-model.ts';
import { noiseOf } from '../../src-main/train/noise-of.ts';
import { openRun, openSavedValues } from '../../src-main/train/open-run.ts';
import { Painter } from '../../src-main/train/painter.ts';
import type { PictureSettings } from '../../src-main/train/picture.ts';
import { makeResultFolder } from '../../src-main/train/result-folder.ts';
import { runJob } from '../../src-main/train/run-job.ts';
import { sampleCommand, type SampleSettings } from '../../src-main/train/sample-command.ts';
import { timeRuntime } from '../../src-main/train/timed-runtime.ts';
import type { OpenRun } from '../../src-main/train/run-job.ts';
import { refusalOf, temporaryFolder } from '../files/temporary.ts';
import { tinyJob, writeTinyModel } from './tiny-model.ts';

let folder: string;
let model: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'adora-demo-'));
  model = await writeTinyModel(folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const quiet = { onEvent: () => {}, shouldStop: () => false };
const noJob = (): never => expect.fail('the job is given');

const demoJob = (train: Partial<Job['train']> = {}): Job => tinyJob({
  name: 'tiny style', base: { model },
  adapter: { kind: 'dora', targets: 'linear+conv', rank: 2, alpha: 2 },
  optimizer: { kind: 'adamw', learningRate: 3e-3 },
  preview: { steps: 2, guidance: 2, seed: 5 },
  train: { steps: 24, saveEvery: 8, keep: 10, probeEvery: 12, ...train },
});

describe('demo', () => {
  test('writes everything that it promises, and replaces an earlier result', async () => {
    const out = join(temporaryFolder(), 'demo');
    const events: TrainEventBody[] = [];
    const result = await demoCommand({ out, device: 'cpu', job: demoJob() }, { ...quiet, onEvent: (event) => events.push(event) }, noJob);

    const summary = JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')) as DemoSummary;
    expect(summary.heldOut).toMatchObject({ pictures: 8 });
    expect(summary.heldOut.adapter).toBeLessThan(summary.heldOut.base!);
    expect(summary.heldOut.percent).toBeCloseTo(100 * (summary.heldOut.adapter! / summary.heldOut.base! - 1), 6);
    expect(summary.heldOut.course.map(({ step }) => step)).toEqual([0, 12, 24]);
    expect(summary.verdicts.map(({ name, ok }) => [name, ok])).toEqual([['movement', true], ['loss-fell', true], ['export', true], ['export', true]]);
    expect(summary.ok && result.ok).toBe(true);
    expect(summary.training).toMatchObject({ pictures: 24, steps: 24, batch: 2, rank: 2 });
    expect(summary.training.shareOutsideRuntime).toBeGreaterThan(0);
    expect(summary.training.shareOutsideRuntime).toBeLessThan(1);
    expect(summary.seconds['total']).toBeGreaterThan(summary.seconds['train']!);
    expect(summary.peakMemoryBytes).toBeGreaterThan(5e7);
    expect(summary.seeds.pictures).toEqual([5, 6, 7, 8, 9, 10]);
    expect(summary.versions['node']).toBe(process.versions.node);
    for (const { path, bytes } of summary.files) {
      expect(existsSync(join(out, path)), path).toBe(true);
      expect(bytes).toBeGreaterThan(100);
    }
    const training = readdirSync('assets/demo/neon').filter((name) => name.endsWith('.txt')).map((name) => readFileSync(join('assets/demo/neon', name), 'utf8').trim());
    expect(summary.prompts).toHaveLength(6);
    for (const prompt of summary.prompts) expect(training).not.toContain(prompt);

    for (const name of ['before-after.png', 'loss.png', 'magnitude-direction.png']) {
      expect((await decodeImage(join(out, name))).width).toBeGreaterThan(800);
    }
    const html = readFileSync(join(out, 'report.html'), 'utf8');
    expect([...html.matchAll(/<img src="data:image\/png;base64,/g)].length).toBe(3 + 24);
    const words = html.replaceAll(/base64,[^"]*/g, '');
    // What stands in for the DoRA in programs that cannot apply it is not called the DoRA, and what it leaves out is told.
    expect(summary.axis).toBe('input');
    expect(summary.approximationError).toBeGreaterThan(0);
    expect(words).toMatch(new RegExp(`-lora-peft\\.safetensors</code></td><td>[^<]*</td><td>A plain LoRA in place of the DoRA[^<]*leaves out ${(100 * summary.approximationError!).toFixed(1)} %`));
    expect(words).not.toMatch(/(src|href)="(?!data:)|<script|undefined|NaN/);
    for (const text of [out, model, process.cwd()]) expect(words).not.toContain(text);
    for (const text of [out, model, process.cwd()]) expect(JSON.stringify(summary)).not.toContain(text);

    expect(events.some((event) => event.kind === 'step' && event.eta >= 0)).toBe(true);
    expect(existsSync(join(out, 'run', 'events.jsonl'))).toBe(true);
    expect(existsSync(join(out, 'cache'))).toBe(false);

    // The run in it can be looked at with the other commands.
    const analysis = await analyzeRun(join(out, 'run'), quiet);
    expect(analysis.steps).toEqual([8, 16, 24]);
    expect(analysis.points.map(({ direction }) => direction)).toEqual((JSON.parse(readFileSync(join(out, 'analysis.json'), 'utf8')) as typeof analysis).points.map(({ direction }) => direction));

    writeFileSync(join(out, 'left-over'), '');
    await demoCommand({ out, device: 'cpu', job: demoJob({ steps: 4, saveEvery: 2, probeEvery: 0 }) }, quiet, noJob);
    expect((JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')) as DemoSummary).training.steps).toBe(4);
    expect(existsSync(join(out, 'left-over'))).toBe(false);
    expect(readdirSync(join(out, '..'))).toEqual(['demo']);
  });

  test('a demo that is stopped leaves the earlier result and nothing else', async () => {
    const out = join(temporaryFolder(), 'demo');
    mkdirSync(out);
    writeFileSync(join(out, 'summary.json'), '{}');
    let steps = 0;
    const context = { onEvent: (event: TrainEventBody) => void (steps += Number(event.kind === 'step')), shouldStop: () => steps > 2 };
    await refusalOf('demo.stopped', () => demoCommand({ out, device: 'cpu', job: demoJob() }, context, noJob));
    expect(steps).toBeLessThan(24);
    expect(readFileSync(join(out, 'summary.json'), 'utf8')).toBe('{}');
    expect(readdirSync(join(out, '..'))).toEqual(['demo']);
  });

  test('without a starter model it says so', async () => {
    const job = tinyJob({ base: { model: join(folder, 'nothing') } });
    await refusalOf('demo.no-model', () => demoCommand({ out: join(folder, 'out'), device: 'cpu', job }, quiet, noJob));
  });
});

describe('result folder', () => {
  test('foreign files are never replaced', async () => {
    const out = join(temporaryFolder(), 'pictures');
    mkdirSync(out);
    writeFileSync(join(out, 'holiday.jpg'), 'x');
    await refusalOf('result.not-ours', () => makeResultFolder(out, 'summary.json', async () => expect.fail('nothing is made')));
    expect(readdirSync(out)).toEqual(['holiday.jpg']);
  });

  test('a failure removes what was begun; leavings of dead processes go, those of live ones stay', async () => {
    const parent = temporaryFolder();
    mkdirSync(join(parent, '.out.new-999999999'));
    mkdirSync(join(parent, `.out.new-${process.ppid}`));
    const failing = makeResultFolder(join(parent, 'out'), 'mark', async (path) => {
      writeFileSync(join(path, 'half'), '');
      throw new UserError('test.failed', 'It failed.');
    });
    await expect(failing).rejects.toThrow('It failed.');
    expect(readdirSync(parent)).toEqual([`.out.new-${process.ppid}`]);
  });

  test('a replacement that was cut off is undone', async () => {
    const parent = temporaryFolder();
    mkdirSync(join(parent, '.out.old-999999999'));
    writeFileSync(join(parent, '.out.old-999999999', 'mark'), 'earlier');
    const failing = makeResultFolder(join(parent, 'out'), 'mark', async () => {
      throw new Error('again');
    });
    await expect(failing).rejects.toThrow('again');
    expect(readFileSync(join(parent, 'out', 'mark'), 'utf8')).toBe('earlier');
  });
});

/** A run of each kind, with checkpoints. */
async function train(adapter: NonNullable<Parameters<typeof tinyJob>[0]['adapter']>, settings: Partial<Job['train']> = {}): Promise<string> {
  const job = tinyJob({ base: { model }, adapter, optimizer: { kind: 'adamw', learningRate: 1e-2 }, train: { steps: 4, saveEvery: 2, probeEvery: 0, ...settings } });
  const runFolder = join(temporaryFolder(), 'run');
  await runJob({ job, runFolder, resume: false, cacheFolder: join(folder, 'cache'), onEvent: () => {}, control: { shouldStop: () => false } });
  return runFolder;
}

const cpu = { runtime: createOnnxRuntime({ device: 'cpu' }), compute: 'f32' } as const;

describe('analyze', () => {
  test.each(['lora', 'dora'])('%s: changes are those of the merged weight', async (kind) => {
    const path = await train({ kind, targets: 'attention', rank: 2, alpha: 3, ...(kind === 'dora' ? { axis: 'output' } : {}) });
    const { points, steps, summary, adapter } = await analyzeRun(path, quiet);
    expect(steps).toEqual([2, 4]);
    expect(summary.points).toBe(points.length);
    expect(adapter.toLowerCase()).toBe(kind);
    // The same from the formulas, for one layer of the last checkpoint.
    const { layer } = points[0]!;
    const values = openSavedValues(listCheckpoints(join(path, 'checkpoints')).at(-1)!.path);
    const base = openModel(model).readF32(`${layer}.weight`);
    const [down, up] = ['lora_A.weight', 'lora_B.weight'].map((name) => values(`${layer}.${name}`));
    const [rank, width] = down!.shape as [number, number];
    const rows = up!.shape[0]!;
    const merged = Float64Array.from(base, (value, at) => {
      const [row, column] = [Math.floor(at / width), at % width];
      let sum = value;
      for (let r = 0; r < rank; r++) sum += 1.5 * (up!.data as Float32Array)[row * rank + r]! * (down!.data as Float32Array)[r * width + column]!;
      return sum;
    });
    if (kind === 'dora') {
      const magnitude = values(`${layer}.lora_magnitude_vector`).data as Float32Array;
      for (let row = 0; row < rows; row++) {
        const norm = Math.hypot(...merged.subarray(row * width, (row + 1) * width));
        for (let i = row * width; i < (row + 1) * width; i++) merged[i]! *= magnitude[row]! / norm;
      }
    }
    const expected = weightChange(base, merged, rows);
    const found = points.find((point) => point.layer === layer && point.step === 4)!;
    expect(found.magnitude / expected.magnitude).toBeCloseTo(1, 3);
    expect(found.direction / expected.direction).toBeCloseTo(1, 3);
    expect(found.direction).toBeGreaterThan(points.find((point) => point.layer === layer && point.step === 2)!.direction);
  });

  test('full fine-tuning, convolutions too, as a command', async () => {
    const path = await train({ kind: 'full', targets: 'linear+conv' });
    const { text, data } = await analyzeCommand({ run: path }, quiet);
    const { points } = data as { points: { layer: string; direction: number }[] };
    expect(points.some(({ layer }) => layer === 'unet.conv_in')).toBe(true);
    expect(points.every(({ direction }) => direction > 0)).toBe(true);
    expect(text).toContain('correlation');
    expect(statSync(join(path, 'magnitude-direction.png')).size).toBeGreaterThan(1000);
    expect(JSON.parse(readFileSync(join(path, 'analysis.json'), 'utf8'))).toMatchObject({ steps: [2, 4] });
  });

  test('the running average is what is measured, where one is kept', async () => {
    const path = await train({ kind: 'lora', targets: 'attention', rank: 2 }, { ema: 0.999 });
    const { summary } = await analyzeRun(path, quiet);
    const plain = await analyzeRun(await train({ kind: 'lora', targets: 'attention', rank: 2 }), quiet);
    expect(summary.meanDirection).toBeLessThan(plain.summary.meanDirection / 100);
  });

  test('what cannot be measured is said', async () => {
    const empty = temporaryFolder();
    await refusalOf('run.missing', () => analyzeRun(empty, quiet));
    const path = await train({ kind: 'lora', targets: 'attention', rank: 2 });
    rmSync(join(path, 'checkpoints'), { recursive: true });
    await refusalOf('analyze.no-checkpoints', () => analyzeRun(path, quiet));
    writeFileSync(join(path, 'job.json'), '{ "version": 1 ');
    await refusalOf('run.bad-job', () => analyzeRun(path, quiet));
  });
});

const settings: PictureSettings = { prompt: 'a red house', negative: '', seed: 1, sampler: 'ddim', steps: 3, guidance: 3, width: 16, height: 16 };

const difference = (a: Uint8Array, b: Uint8Array): number => a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);

describe('painter', () => {
  const painterOf = (run: OpenRun, baseModel = run.baseModel, builder = run.plan.builder): Painter =>
    new Painter({ model: run.model, baseModel, runtime: run.runtime, builder, trainsText: false, noise: noiseOf(run.job, run.model) });

  test('a picture does not depend on its company, and follows seed and prompt', async () => {
    const baseModel = openModel(model);
    const detected = detectModel(baseModel.files);
    const painter = new Painter({ model: detected, baseModel, ...cpu, builder: {}, trainsText: false, noise: noiseOf(tinyJob({ base: { model } }), detected) });
    const other = { ...settings, prompt: 'a blue boat on the sea' };
    const seeded = { ...settings, seed: 2 };
    const unguided = { ...settings, guidance: 1 };
    const wide = { ...settings, width: 32 };
    const together = await painter.paint(new Map(), [other, settings, wide, seeded, unguided]);
    const [alone] = await painter.paint(new Map(), [settings]);
    expect(difference(together[1]!.rgb, alone!.rgb)).toBeLessThanOrEqual(1);
    expect(together.map(({ width }) => width)).toEqual([16, 16, 32, 16, 16]);
    for (const index of [0, 3, 4]) expect(difference(together[index]!.rgb, alone!.rgb), `${index}`).toBeGreaterThan(1);
    // Guidance goes from the negative prompt (0) over the prompt (1) and beyond.
    const negative = 'a blue boat on the sea';
    const [zero, ofNegative, doubled, ofPrompt] = await painter.paint(new Map(), [
      { ...settings, negative, guidance: 0 }, { ...settings, prompt: negative, guidance: 1 },
      { ...settings, negative: settings.prompt, guidance: 5 }, { ...settings, guidance: 1 },
    ]);
    expect(difference(zero!.rgb, ofNegative!.rgb)).toBeLessThanOrEqual(1);
    expect(difference(doubled!.rgb, ofPrompt!.rgb)).toBeLessThanOrEqual(1);
    expect(difference(ofNegative!.rgb, ofPrompt!.rgb)).toBeGreaterThan(1);
    await refusalOf('picture.sampler', () => painter.paint(new Map(), [{ ...settings, sampler: 'none' }]));
    await refusalOf('picture.size', () => painter.paint(new Map(), [{ ...settings, width: 15 }]));
    await painter.dispose();
  });

  test('with the adapter in place or merged: the same picture, and not that of the base', async () => {
    const run = openRun(await train({ kind: 'dora', targets: 'linear+conv', rank: 2, axis: 'input' }, { steps: 8, saveEvery: 0 }), cpu);
    const saved = openSavedValues(listCheckpoints(run.folder.checkpoints).at(-1)!.path);
    const merged = new Map<string, Float32Array>();
    for await (const { path, merge } of mergedWeights(run)) merged.set(path, await merge(saved));
    const applied = await painterOf(run).paint(new Map(run.plan.tensors.map(({ name }) => [name, saved(name)])), [settings]);
    const mergedIn = await painterOf(run, withWeights(run.baseModel, merged), {}).paint(new Map(), [settings]);
    const base = await painterOf(run, run.baseModel, {}).paint(new Map(), [settings]);
    expect(difference(applied[0]!.rgb, mergedIn[0]!.rgb)).toBeLessThanOrEqual(1);
    expect(difference(applied[0]!.rgb, base[0]!.rgb)).toBeGreaterThan(3);
  });
});

describe('sample', () => {
  const request = (out: string, more: Partial<SampleSettings>): SampleSettings => ({
    adapter: [], strength: 1, prompt: ['a red house', 'a green tree'], negative: 'rain', sampler: 'ddim', steps: 2, guidance: 2, seed: 7, count: 2,
    out, device: 'cpu', dtype: 'f32', ...more,
  });
  const pixels = async (file: string): Promise<Uint8Array> => (await decodeImage(file)).data;

  test('of a base model and of a run', async () => {
    const out = temporaryFolder();
    const run = await train({ kind: 'lora', targets: 'linear+conv', rank: 2 });
    const files = async (name: string, more: Partial<SampleSettings>): Promise<string[]> => (await sampleCommand(request(join(out, name), more), quiet)).text.split('\n');
    const base = await files('base', { base: model });
    const last = await files('last', { run });
    const first = await files('first', { run, step: 2 });
    const none = await files('none', { run, strength: 0 });
    expect(base.map((file) => file.split(/[\\/]/).at(-1))).toEqual(['000-seed-7.png', '000-seed-8.png', '001-seed-7.png', '001-seed-8.png']);
    const facts = 'Steps: 2, Sampler: DDIM, Schedule type: DDIM, CFG scale: 2, Seed: 8, Size: 16x16, Model: model';
    const told = (file: string): string[] => readPngText(readFileSync(file)).get('parameters')!.split('\nNegative prompt: rain\n');
    const nodes = (file: string): string => readPngText(readFileSync(file)).get('prompt') ?? '';
    expect(told(base[3]!)).toEqual(['a green tree', facts]);
    expect(told(none[3]!)).toEqual(['a green tree', facts]);
    const stem = `${JSON.parse(readFileSync(join(run, 'job.json'), 'utf8')).name}`;
    expect(told(last[3]!)).toEqual([`a green tree <lora:${stem}-kohya:1>`, facts]);
    expect(told(first[3]!)[0]).toBe(`a green tree <lora:${stem}-step2-kohya:1>`);
    expect(nodes(base[3]!)).not.toContain('LoraLoader');
    const weak = nodes((await files('weak', { run, strength: 0.5, prompt: ['ein Café'] }))[0]!);
    expect(Object.values(JSON.parse(weak) as Record<string, { class_type: string; inputs: object }>).filter(({ class_type }) => /Lora|Loader/.test(class_type)).map(({ inputs }) => inputs)).toEqual([
      { model_path: 'model' }, { lora_name: `${stem}-kohya.safetensors`, strength_model: 0.5, strength_clip: 0.5, model: ['1', 0], clip: ['1', 1] },
    ]);
    expect(weak).toMatch(/^[\x20-\x7e\n]+$/);
    expect(difference(await pixels(base[0]!), await pixels(none[0]!))).toBe(0);
    expect(difference(await pixels(base[0]!), await pixels(last[0]!))).toBeGreaterThan(0);
    expect(difference(await pixels(first[0]!), await pixels(last[0]!))).toBeGreaterThan(0);
    // What the files say can be told otherwise.
    const changes: Partial<SampleSettings>[] = [{ prediction: 'epsilon' }, { zeroTerminalSnr: true }];
    const changed = await Promise.all((await Promise.all(changes.map((more, i) => files(`told ${i}`, { base: model, ...more })))).map((pictures) => pixels(pictures[0]!)));
    for (const [i, picture] of [await pixels(base[0]!), ...changed].entries()) for (const other of changed.slice(i)) expect(difference(picture, other)).toBeGreaterThan(0);
    expect(await pixels((await files('same', { base: model, prediction: 'v', vae: join(model, 'vae', 'diffusion_pytorch_model.safetensors'), textEncoder: [join(model, 'text_encoder', 'model.safetensors')] }))[0]!)).toEqual(await pixels(base[0]!));
    await refusalOf('model.clip-skip', () => files('x', { base: model, clipSkip: 2 }));
    await refusalOf('run.no-checkpoint', () => files('x', { run, step: 3 }));
    await refusalOf('model.missing', () => files('x', { base: join(out, 'nothing') }));
    expect(existsSync(join(out, 'x'))).toBe(false);
  });
});

test('a timed runtime adds up all programs, disposed ones too', async () => {
  const program = (device: number) => ({ run: async () => new Map(), timing: { device, runs: 1 }, dispose: async () => {} });
  let next = 1000;
  const timed = timeRuntime({ device: 'cpu', upload: () => expect.fail('not used'), compile: async () => program(next++) });
  const first = await timed.runtime.compile(null as never, null as never);
  await timed.runtime.compile(null as never, null as never);
  await first.dispose();
  await first.dispose();
  expect(timed.seconds()).toBeCloseTo(2.001, 9);
});

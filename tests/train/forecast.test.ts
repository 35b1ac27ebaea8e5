import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { detectModel } from '../../src-main/catalog/families/index.ts';
import { trainEventSchema } from '../../src-main/contract/events.ts';
import { prepareDataset, type PreparedDataset } from '../../src-main/dataset/index.ts';
import { createBuilder } from '../../src-main/graph/builder.ts';
import { forecastJob } from '../../src-main/train/forecast.ts';
import { changesThatFit } from '../../src-main/train/forecast-changes.ts';
import { forecastMemory, type MemorySettings } from '../../src-main/train/forecast-memory.ts';
import { jobGraphs } from '../../src-main/train/forecast-graphs.ts';
import { jobWork, timeOf } from '../../src-main/train/forecast-time.ts';
import { graphWork } from '../../src-main/train/graph-work.ts';
import { graphMemory } from '../../src-main/train/memory-model.ts';
import { openModel } from '../../src-main/train/open-model.ts';
import { temporaryFolder } from '../files/temporary.ts';
import { jobAt, train, usePlace, type JobChanges } from './run.ts';

const place = usePlace();
afterEach(() => void vi.restoreAllMocks());

describe('memory of a graph', () => {
  test('values live to their last use, and those that cross a cut to the last segment', () => {
    const g = createBuilder();
    const x = g.input('x', [100]);
    const a = g.region('one', () => g.exp(x));
    // b dies inside its segment; c crosses together with a.
    const c = g.region('one', () => g.neg(g.sqrt(a)));
    const y = g.region('two', () => g.add(a, c));
    const { activations, sessions, weights } = graphMemory(g.graph({ y }), false);
    expect(sessions).toBe(2);
    expect(weights).toBe(0);
    // In the second segment: a, c and the result; in the first: a, b and c.
    expect(activations).toBe(3 * 400);
  });

  test('a value that dies makes room, a reshaped one takes none', () => {
    const g = createBuilder();
    const chain = g.region('one', () => g.neg(g.reshape(g.exp(g.neg(g.input('x', [100]))), { shape: [10, 10] })));
    expect(graphMemory(g.graph({ chain }), false).activations).toBe(2 * 400);
  });

  test('a weight counts once for each session, and once for each layout that the processor makes of it', () => {
    const g = createBuilder();
    const x = g.input('x', [1, 2, 8, 8]);
    const w = g.param('w', [2, 2, 3, 3]);
    const attrs = { stride: 1, pads: [1, 1, 1, 1] };
    const y = g.region('one', () => g.conv2d(x, w, attrs));
    const dx = g.region('one~back', () => g.conv2dInputGrad(g.conv2d(y, w, attrs), w, { ...attrs, size: [8, 8] }));
    const { weights, packed } = graphMemory(g.graph({ dx }), false);
    expect(weights).toBe(2 * 36 * 4);
    expect(packed).toBe(3 * 36 * 4);
  });

  test('a large model is kept in the layout of its file alone, and a smaller one where memory is to be saved', () => {
    const both = (side: number) => {
      const g = createBuilder();
      const w = g.param('w', [side, side]);
      return g.graph({ y: g.matmul(g.linear(g.input('x', [1, side]), w, null), g.slice(w, { starts: [0, 0], sizes: [side, 1] }), {}) , z: g.reduceSum(w, { axes: [0, 1], keep: false }) });
    };
    const copies = (side: number, saves: boolean): number => graphMemory(both(side), saves).packed / (side * side * 4);
    expect([copies(5000, false), copies(6000, false), copies(20_000, false)]).toEqual([2, 2, 1]);
    expect([copies(5000, true), copies(6000, true), copies(20_000, true)]).toEqual([2, 1, 1]);
  });

  test('a weight that is stored in f16 is kept as it is computed in', () => {
    const g = createBuilder({ storedDType: () => 'f16' });
    const y = g.linear(g.input('x', [4, 8]), g.param('w', [8, 8]), null);
    expect(graphMemory(g.graph({ y }), false)).toMatchObject({ weights: 256, packed: 256, activations: 4 * 8 * 4 });
  });
});

test('work counts products twice', () => {
  const g = createBuilder();
  const linear = g.graph({ y: g.linear(g.input('x', [3, 5]), g.param('w', [7, 5]), null) });
  expect(graphWork(linear)).toBe(2 * 3 * 5 * 7 + 8 * 21);
  const conv = createBuilder();
  const x = conv.input('x', [1, 2, 4, 4]);
  const w = conv.param('w', [3, 2, 3, 3]);
  expect(graphWork(conv.graph({ y: conv.conv2d(x, w, { stride: 1, pads: [1, 1, 1, 1] }) }))).toBe(2 * 48 * 18 + 8 * 48);
});

describe('a job', () => {
  let dataset: PreparedDataset;
  const settingsOf = (changes: JobChanges = {}): MemorySettings => {
    const baseModel = openModel(place.model);
    return { job: jobAt(place, changes), model: detectModel(baseModel.files), baseModel, dataset, compute: 'f32', scalesLoss: false, chunks: 1, device: 'cpu' };
  };
  beforeAll(async () => {
    dataset = await prepareDataset(jobAt(place).data, { modelSize: { width: 16, height: 16 }, pixelStep: 2, seed: 0 });
  });
  const partOf = (settings: MemorySettings, label: string): number => forecastMemory(settings).parts.find((part) => part.label === label)?.bytes ?? 0;

  test('activations grow with the batch and shrink with checkpointing; weights do not depend on the batch', () => {
    const [one, four] = [1, 4].map((batch) => settingsOf({ train: { batch, checkpointing: false } })) as [MemorySettings, MemorySettings];
    const [alone, together] = [one, four].map((settings) => jobGraphs(settings).train(dataset.buckets[0]!).memory.activations) as [number, number];
    expect(together / alone).toBeGreaterThan(3.5);
    expect(together / alone).toBeLessThan(4.01);
    expect(partOf(one, 'weights of the model')).toBe(partOf(four, 'weights of the model'));
    expect(jobGraphs(settingsOf({ train: { batch: 4, checkpointing: true } })).train(dataset.buckets[0]!).memory.activations).toBeLessThan(together);
  });

  test('previews, the running average and more shapes cost memory', () => {
    const plain = forecastMemory(settingsOf()).host;
    expect(forecastMemory(settingsOf({ preview: { every: 2 } })).host).toBeGreaterThan(plain);
    expect(partOf(settingsOf({ train: { ema: 0.9 } }), 'trained values and optimizer')).toBeGreaterThan(partOf(settingsOf(), 'trained values and optimizer'));
    const [bucket] = dataset.buckets;
    const twice = { ...dataset, buckets: [bucket!, { ...bucket!, width: 8 }] };
    expect(partOf({ ...settingsOf(), dataset: twice }, 'weights of the model')).toBeGreaterThan(1.4 * partOf(settingsOf(), 'weights of the model'));
  });

  test('beside a device the system holds little, and f16 halves the weights', () => {
    const device = { ...settingsOf(), device: 'webgpu' } as const;
    const exact = forecastMemory(device);
    expect(exact.device).toBeGreaterThan(0);
    const half = forecastMemory({ ...device, compute: 'f16', scalesLoss: true });
    expect(half.device!).toBeLessThan(exact.device!);
    expect(forecastMemory(settingsOf()).device).toBeNull();
  });

  test('changes that make it fit are each worked out; when none suffices, those that help together', () => {
    const settings = settingsOf({ train: { batch: 8, checkpointing: false }, preview: { every: 2, prompts: ['a'] }, adapter: { kind: 'dora', targets: 'attention', rank: 8, alpha: 8 } });
    const need = forecastMemory(settings).host;
    const limit = 0.99 * need;
    const some = changesThatFit(settings, ({ host }) => host < limit);
    expect(some.length).toBeGreaterThan(0);
    for (const change of some) {
      expect(change.fits).toBe(true);
      expect(change.settings).toHaveLength(1);
      expect(change.host).toBeLessThan(limit);
    }
    const [never] = changesThatFit(settings, () => false);
    expect(never).toMatchObject({ fits: false });
    expect(never!.settings.length).toBeGreaterThan(1);
    expect(never!.host).toBeLessThan(need);
    expect(new Set(never!.settings.map((setting) => setting.split(' ')[0])).size).toBe(never!.settings.length);
    for (const { settings: texts, values } of [...some, never!]) {
      const said = texts.flatMap((text) => [...text.matchAll(/([\w.]+) = ("[^"]*"|[\w.]+)/g)].map(([, path, value]) => [path, JSON.parse(value!) as unknown]));
      expect(Object.fromEntries(said)).toEqual(values);
    }
  });

  test('time is that of steps, measurements and previews at the pace of a step', () => {
    const settings = settingsOf({ train: { steps: 10, probeEvery: 5 }, preview: { every: 5, prompts: ['a', 'b'], steps: 4 } });
    const work = jobWork(settings, dataset, jobGraphs(settings));
    const time = timeOf(settings.job, work, 2);
    expect(time.step).toBe(2);
    expect(time.total).toBeCloseTo(20 + 3 * time.probe + 3 * time.preview, 6);
    expect(time.probe).toBeGreaterThan(0);
    // Without gradients, but more often: 4 timesteps of 6 pictures in a step of 2.
    expect(time.probe / time.step).toBeGreaterThan(2);
    expect(time.probe / time.step).toBeLessThan(12);
    expect(timeOf(settings.job, work, 2, 5).total).toBeLessThan(time.total);
  });
});

test('a job is forecast without being run, with a timed step', async () => {
  const runFolder = join(place.folder, 'not-run');
  const body = await forecastJob({ job: jobAt(place), runFolder, cacheFolder: place.cache, times: true });
  expect(() => trainEventSchema.parse({ ...body, seq: 0, time: 0 })).not.toThrow();
  expect(body).toMatchObject({ verdict: 'fits', changes: [] });
  expect(body.text).toMatch(/^The run needs about \d/);
  expect(body.seconds!.step).toBeGreaterThan(0);
  expect(body.disk.parts.map(({ label }) => label)).toContain('checkpoints');
  expect(existsSync(runFolder)).toBe(false);
});

describe('a run', () => {
  test('says what it needs and how long it takes before it encodes, and again by its own steps', async () => {
    const { events } = await train(place, jobAt(place, { train: { steps: 7 } }));
    const said = events.filter((event) => event.kind === 'forecast');
    expect(said).toHaveLength(2);
    for (const { verdict, seconds, text } of said) {
      expect(verdict).toBe('fits');
      expect(seconds!.step).toBeGreaterThan(0);
      expect(text).toMatch(/It takes about \d/);
    }
    const phase = events.findIndex((event) => event.kind === 'phase' && event.name.startsWith('encode'));
    expect(events.indexOf(said[0]!)).toBeLessThan(phase);
  });

  test('takes its pace from the last run with the model, and times a step when there is none', async () => {
    const cache = temporaryFolder();
    const firstSaid = async (changes: JobChanges = {}) => {
      const { events } = await train({ ...place, cache }, jobAt(place, { train: { steps: 7, ...changes.train } }));
      const said = events.filter((event) => event.kind === 'forecast');
      return { first: said[0]!.seconds!.step, last: said.at(-1)!.seconds!.step };
    };
    const before = await firstSaid();
    expect((await firstSaid()).first).toBeCloseTo(before.last, 12);
    // What is kept counts; a damaged file tells nothing.
    writeFileSync(join(cache, 'pace.json'), JSON.stringify(Object.fromEntries(Object.keys(JSON.parse(readFileSync(join(cache, 'pace.json'), 'utf8')) as object).map((key) => [key, 1]))));
    expect((await firstSaid()).first).toBeGreaterThan(1000);
    writeFileSync(join(cache, 'pace.json'), '{"a": -1, ');
    expect((await firstSaid()).first).toBeLessThan(100);
  });

  test('is refused when there is not that much memory, with settings that would do', async () => {
    vi.spyOn(process, 'constrainedMemory').mockReturnValue(2 ** 20 * 100);
    const runFolder = join(place.folder, 'refused');
    const job = jobAt(place, { train: { batch: 8 } });
    await expect(train(place, job, { runFolder })).rejects.toMatchObject({ code: 'forecast.too-large', message: expect.stringContaining('That is more than there is') as string });
    expect(existsSync(runFolder)).toBe(false);
  });

  test('goes on all the same when it is told to', async () => {
    vi.spyOn(process, 'constrainedMemory').mockReturnValue(2 ** 20 * 100);
    const { end, events } = await train(place, jobAt(place, { train: { steps: 1, checkResources: false } }));
    expect(end).toBe('finished');
    expect(events.find(({ kind }) => kind === 'forecast')).toMatchObject({ verdict: 'too-large' });
  });
});

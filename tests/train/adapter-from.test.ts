// Training that goes on from an adapter file: it begins with the weights that the file means, and depends on the file no longer.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { describeFile } from '../../src-main/app/library/entry.ts';
import { convertCommand } from '../../src-main/train/adapter-tools/convert.ts';
import { resizeCommand } from '../../src-main/train/adapter-tools/resize.ts';
import { inspectCommand } from '../../src-main/train/inspect.ts';
import { readJobFile } from '../../src-main/app/job-file.ts';
import { catalogFields } from '../../src-main/catalog/index.ts';
import type { JobInput } from '../../src-main/contract/job.ts';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { parseRecipe } from '../../src-main/contract/recipe.ts';
import { forecastJob } from '../../src-main/train/forecast.ts';
import { checkRecipe } from '../../src-main/train/recipe-check.ts';
import { recipeCommand } from '../../src-main/train/recipe-command.ts';
import { openModel } from '../../src-main/train/open-model.ts';
import { writeText } from '../dataset/pictures.ts';
import { refusalOf, temporaryFolder } from '../files/temporary.ts';
import { eventsOf, filesOf, jobAt, train, usePlace, type JobChanges, type Ran } from './run.ts';

const place = usePlace();
const SLOW = 120_000;

type Adapter = NonNullable<JobInput['adapter']>;
const adapterJob = (adapter: Adapter, changes: JobChanges = {}) => jobAt(place, { output: { for: 'all', dtype: 'f32' }, ...changes, adapter: { targets: 'attention', rank: 2, alpha: 2, ...adapter } });
const still = { optimizer: { kind: 'adamw', learningRate: 0 }, train: { steps: 1 } } as const;

const exported = ({ folder }: Ran, layout: string): string => join(folder, 'exports', readdirSync(join(folder, 'exports')).find((name) => name.endsWith(`${layout}.safetensors`))!);
const probes = ({ events }: Ran): number[] => eventsOf(events, 'probe').map(({ loss }) => loss as number);

/** Every linear layer's weight by the definition of LoRA and DoRA, from the tensors of a kohya file, in f64. */
function effective(path: string): Map<string, Float64Array> {
  const file = openSafetensors(path);
  const base = openModel(place.model);
  const modules = [...file.tensors.keys()].filter((key) => key.endsWith('.lora_up.weight')).map((key) => key.slice(0, -'.lora_up.weight'.length));
  const layerOf = new Map([...base.files.get('unet')!.tensors.keys()].map((key) => [`lora_unet_${key.replace(/\.weight$/, '').replaceAll('.', '_')}`, `unet.${key}`]));
  return new Map(modules.map((module) => {
    const [down, up] = [file.readF32(`${module}.lora_down.weight`), file.readF32(`${module}.lora_up.weight`)];
    const rank = file.tensors.get(`${module}.lora_down.weight`)!.shape[0]!;
    const factor = file.readF32(`${module}.alpha`)[0]! / rank;
    const [rows, columns] = [up.length / rank, down.length / rank];
    const weight = Float64Array.from(base.readF32(layerOf.get(module)!));
    for (let o = 0; o < rows; o++) for (let i = 0; i < columns; i++) for (let k = 0; k < rank; k++) weight[o * columns + i]! += factor * up[o * rank + k]! * down[k * columns + i]!;
    if (!file.tensors.has(`${module}.dora_scale`)) return [module, weight];
    const scale = file.readF32(`${module}.dora_scale`);
    for (let i = 0; i < columns; i++) {
      let squares = 0;
      for (let o = 0; o < rows; o++) squares += weight[o * columns + i]! ** 2;
      for (let o = 0; o < rows; o++) weight[o * columns + i]! *= scale[i]! / Math.sqrt(squares);
    }
    return [module, weight];
  }));
}

function expectAlike(one: ReadonlyMap<string, Float64Array>, other: ReadonlyMap<string, Float64Array>): void {
  expect([...other.keys()].sort()).toEqual([...one.keys()].sort());
  for (const [module, weight] of one) {
    const found = other.get(module)!;
    weight.forEach((value, i) => {
      if (Math.abs(found[i]! - value) > 2e-6 * (1 + Math.abs(value))) throw new Error(`${module}[${i}]: ${found[i]} and not ${value}`);
    });
  }
}

describe.each([['dora', { kind: 'dora', axis: 'input' }], ['lora', { kind: 'lora' }]] as const)('%s', (_, kind) => {
  test('starts with the weights of the file and the loss that it ended with, whatever alpha and rank the job has', { timeout: SLOW }, async () => {
    const first = await train(place, adapterJob({ ...kind, alpha: 3 }));
    const from = exported(first, 'kohya');
    const last = probes(first).at(-1)!;
    expect(last).not.toBeCloseTo(probes(first)[0]!, 4);
    for (const shape of [{ alpha: 3 }, { rank: 4, alpha: 1 }, { rank: 2, alpha: 2, rsLora: true }] as Adapter[]) {
      const next = await train(place, adapterJob({ ...kind, ...shape, from }, still));
      expect(Math.abs(probes(next)[0]! - last) / last).toBeLessThan(1e-5);
      expectAlike(effective(from), effective(exported(next, 'kohya')));
    }
  });
});

test('PEFT files on the output axis go on as well', { timeout: SLOW }, async () => {
  const adapter = { kind: 'dora', axis: 'output' };
  const first = await train(place, adapterJob(adapter, { output: { for: 'diffusers', dtype: 'f32' } }));
  const next = await train(place, adapterJob({ ...adapter, from: exported(first, 'peft') }, { output: { for: 'diffusers', dtype: 'f32' }, ...still }));
  expect(Math.abs(probes(next)[0]! / probes(first).at(-1)! - 1)).toBeLessThan(1e-5);
});

test('goes on learning, and a resumed run ends in the same bytes without the file', { timeout: SLOW }, async () => {
  const first = await train(place, adapterJob({ kind: 'lora' }));
  const from = exported(first, 'kohya');
  const job = adapterJob({ kind: 'lora', rank: 3, from });
  const whole = await train(place, job);
  expect(eventsOf(whole.events, 'verdict').find(({ name }) => name === 'movement')).toMatchObject({ ok: true });
  expect(eventsOf(whole.events, 'warning').map(({ code }) => code)).toContain('adapter.from-rank');
  let steps = 0;
  const part = await train(place, job, { control: { shouldStop: () => steps >= 3 }, onEvent: (event) => void (event.kind === 'step' && steps++) });
  expect(part.end).toBe('interrupted');
  renameSync(from, `${from}.gone`);
  await train(place, job, { runFolder: part.folder, resume: true });
  expect(filesOf(part.folder)).toEqual(filesOf(whole.folder));
  renameSync(`${from}.gone`, from);
});

test('a run that was stopped before its first checkpoint begins anew from what it kept, and says when that is lost', { timeout: SLOW }, async () => {
  const first = await train(place, adapterJob({ kind: 'lora' }));
  const job = adapterJob({ kind: 'lora', from: exported(first, 'kohya') });
  const stopped = await train(place, job, { control: { shouldStop: () => true } });
  rmSync(exported(first, 'kohya'));
  for (const name of readdirSync(join(stopped.folder, 'checkpoints'))) rmSync(join(stopped.folder, 'checkpoints', name));
  await train(place, job, { runFolder: stopped.folder, resume: true });
  for (const name of readdirSync(join(stopped.folder, 'checkpoints'))) rmSync(join(stopped.folder, 'checkpoints', name));
  rmSync(join(stopped.folder, 'start.safetensors'));
  await expect(train(place, job, { runFolder: stopped.folder, resume: true })).rejects.toMatchObject({ code: 'run.no-start' });
});

test('a job that contradicts the file is refused with what to change, and leaves no folder', { timeout: SLOW }, async () => {
  const dora = exported(await train(place, adapterJob({ kind: 'dora', axis: 'input', targets: 'linear' })), 'kohya');
  const refused = (adapter: Adapter, wanted: object, changes: JobChanges = {}) => expect(train(place, adapterJob({ ...adapter, from: dora }, changes))).rejects.toMatchObject(wanted);
  await refused({ kind: 'lora', targets: 'linear' }, { code: 'adapter.from-kind', message: expect.stringContaining('no place for its magnitudes') });
  await refused({ kind: 'dora', axis: 'output', targets: 'linear' }, { code: 'adapter.from-axis', message: expect.stringContaining('adapter.axis = "input"') }, { output: { for: 'diffusers' } });
  await refused({ kind: 'dora', axis: 'input', targets: 'linear', rank: 1 }, { code: 'adapter.from-rank', message: expect.stringContaining('adapter.rank = 2') });
  await refused({ kind: 'dora', axis: 'input', targets: 'attention' }, { code: 'adapter.from-targets' });
  await expect(train(place, jobAt(place, { adapter: { kind: 'full', targets: 'attention', from: dora } }))).rejects.toMatchObject({ code: 'adapter.from-kind' });
  const more = await train(place, adapterJob({ kind: 'dora', axis: 'input', targets: 'linear+conv', from: dora }, still));
  expect(eventsOf(more.events, 'warning').map(({ code }) => code)).toContain('adapter.from-layers');
});

test('its hash stands in the recipe and in the exports; another file is told, and the forecast counts what is kept', { timeout: SLOW }, async () => {
  const from = exported(await train(place, adapterJob({ kind: 'lora' })), 'kohya');
  const sha256 = createHash('sha256').update(readFileSync(from)).digest('hex');
  const job = adapterJob({ kind: 'lora', from }, still);
  const next = await train(place, job);
  expect(JSON.parse(openSafetensors(exported(next, 'kohya')).metadata.get('adora.recipe')!)).toMatchObject({ start: { sha256 } });
  const out = join(temporaryFolder(), 'a.recipe.json');
  await recipeCommand({ source: next.folder, out });
  const parsed = parseRecipe(JSON.parse(readFileSync(out, 'utf8')));
  if (!parsed.ok) throw new Error(parsed.issue);
  expect(parsed.recipe.start).toEqual({ sha256 });
  const codes = async () => (await checkRecipe(parsed.recipe, job)).map(({ code }) => code);
  expect(await codes()).not.toContain('recipe.other-start');
  const disk = async (changed: typeof job) => (await forecastJob({ job: changed, runFolder: temporaryFolder(), times: false })).disk.parts;
  expect((await disk(job)).find(({ label }) => label === 'start of the training')!.bytes).toBe(statSync(join(next.folder, 'start.safetensors')).size - headerOf(join(next.folder, 'start.safetensors')));
  await expect(disk(adapterJob({ kind: 'lora', from, rank: 1 }))).rejects.toMatchObject({ code: 'adapter.from-rank' });
  const { from: _, ...anew } = job.adapter;
  expect((await disk({ ...job, adapter: anew as typeof job.adapter })).map(({ label }) => label)).not.toContain('start of the training');
  writeFileSync(from, readFileSync(exported(await train(place, adapterJob({ kind: 'lora' }, { train: { steps: 2 } })), 'kohya')));
  expect(await codes()).toContain('recipe.other-start');
});

test('files of a run\'s own are no adapters, whatever their names look like', { timeout: SLOW }, async () => {
  const from = exported(await train(place, adapterJob({ kind: 'lora' })), 'kohya');
  const { folder } = await train(place, adapterJob({ kind: 'lora', alpha: 5, from }, still));
  const checkpoint = join(folder, 'checkpoints', readdirSync(join(folder, 'checkpoints'))[0]!);
  for (const file of [join(folder, 'start.safetensors'), checkpoint]) {
    await refusalOf('adapter.of-run', () => resizeCommand({ file, rank: 1, out: join(temporaryFolder(), 'a.safetensors') }));
    await refusalOf('adapter.of-run', () => convertCommand({ file, to: 'kohya', base: place.model, out: join(temporaryFolder(), 'a.safetensors') }));
    expect((await inspectCommand({ file, tensors: false })).data).not.toMatchObject({ what: 'adapter' });
    expect(describeFile(file)).toMatchObject({ kind: 'other', isUsable: false });
  }
});

const headerOf = (path: string): number => 8 + Number(readFileSync(path).readBigUInt64LE(0));

test('the path is meant from the job file, and jobs that train no adapter refuse it', async () => {
  const folder = temporaryFolder();
  writeText(join(folder, 'job.toml'), 'version = 1\n[base]\nmodel = "m"\n[[data.folders]]\npath = "p"\n[adapter]\nfrom = "../old.safetensors"\n');
  expect((await readJobFile(join(folder, 'job.toml'), catalogFields())).job.adapter.from).toBe(join(folder, '..', 'old.safetensors'));
  await expect(readJobFile(join(folder, 'job.toml'), catalogFields(), ['task=pretrain'])).rejects.toThrow('adapter.from: goes with task = "adapter"');
});

test.each(['input', 'output'] as const)('a LoRA goes on as a DoRA per %s that begins with the same weights, layers that it lacks from the base', { timeout: SLOW }, async (axis) => {
  const first = await train(place, adapterJob({ kind: 'lora', targets: 'linear+conv', alpha: 5 }));
  const last = probes(first).at(-1)!;
  const output = { for: axis === 'input' ? 'all' : 'diffusers', dtype: 'f32' } as const;
  const next = await train(place, adapterJob({ kind: 'dora', axis, targets: 'linear+conv', rank: 3, from: exported(first, 'kohya') }, { output, ...still }));
  expect(Math.abs(probes(next)[0]! / last - 1)).toBeLessThan(1e-5);
  const start = openSafetensors(join(next.folder, 'start.safetensors'));
  const magnitudes = [...start.tensors.keys()].filter((name) => name.endsWith('lora_magnitude_vector'));
  expect(magnitudes.length).toBeGreaterThan(20);
  const some = await train(place, adapterJob({ kind: 'lora', targets: 'attention' }));
  const wider = await train(place, adapterJob({ kind: 'dora', axis, targets: 'linear', from: exported(some, 'kohya') }, { output, ...still }));
  expect(Math.abs(probes(wider)[0]! / probes(some).at(-1)! - 1)).toBeLessThan(1e-5);
  expect(eventsOf(wider.events, 'warning').map(({ code }) => code)).toContain('adapter.from-layers');
});

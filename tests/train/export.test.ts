// Exports of a tiny run: files that hold what was trained, merged models, the commands, and files that are not to be trusted.
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { rng } from '../../src-main/base/rng.ts';
import type { DoraAxis } from '../../src-main/catalog/define/format.ts';
import type { TrainEvent } from '../../src-main/contract/events.ts';
import { parseJob } from '../../src-main/contract/parse-job.ts';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { dataSectionHash, writeSafetensors, type TensorToWrite } from '../../src-main/files/safetensors-write.ts';
import { f32, type HostTensor } from '../../src-main/runtime/runtime.ts';
import { listCheckpoints } from '../../src-main/train/checkpoint.ts';
import { exportCommand, type ExportRequest } from '../../src-main/train/export-command.ts';
import { roundTrained, trainedScale, valuesInFile } from '../../src-main/train/export-values.ts';
import { inspectCommand } from '../../src-main/train/inspect.ts';
import { openModel } from '../../src-main/train/open-model.ts';
import { namedModel } from '../../src-main/train/named-model.ts';
import { openSavedValues } from '../../src-main/train/open-run.ts';
import { readAdapter } from '../../src-main/train/read-adapter.ts';
import { refusal, refusalOf, temporaryFolder } from '../files/temporary.ts';
import { relativeError } from '../ops/run-graph.ts';
import { eventsOf, filesOf, jobAt, train, usePlace, type Ran } from './run.ts';

const place = usePlace();
const runs = new Map<string, Ran>();
const at = (name: string): Ran => runs.get(name)!;

const adapter = { targets: 'linear+conv', rank: 3, alpha: 2 } as const;
const kinds = {
  lora: { ...adapter, kind: 'lora', rsLora: true, textEncoder: true },
  output: { ...adapter, kind: 'dora', axis: 'output' },
  input: { ...adapter, kind: 'dora', axis: 'input' },
} as const;

beforeAll(async () => {
  for (const [name, settings] of Object.entries(kinds)) {
    const job = jobAt(place, { name: `my ${name}`, adapter: settings, output: { for: 'all', dtype: 'f16' }, train: { steps: 3 }, data: { folders: [{ path: place.pictures }], caption: { prefix: 'in ink' } } });
    runs.set(name, await train(place, job));
  }
  const full = jobAt(place, { name: 'full', adapter: { kind: 'full', targets: 'attention' }, output: { dtype: 'f32' }, train: { steps: 2 } });
  runs.set('full', await train(place, full));
});

const quiet = { onEvent: () => {} };
const request = (run: string, more: Partial<ExportRequest> = {}): ExportRequest => ({ run, sample: false, ...more });
const named = () => namedModel(openModel(place.model).files, 'unet');
const filesIn = ({ folder }: Ran): string[] => readdirSync(join(folder, 'exports')).sort();
/** Without proofs, cards and workflows. */
const exportsOf = (ran: Ran): string[] => filesIn(ran).filter((name) => !/\.(json|png)$/.test(name));
const lastValues = ({ folder }: Ran) => openSavedValues(listCheckpoints(join(folder, 'checkpoints')).at(-1)!.path);
const warnings = (events: readonly TrainEvent[]): string[] => eventsOf(events, 'warning').map(({ code }) => code);

describe('after a run', () => {
  test.each([
    ['lora', ['my-lora-kohya.safetensors', 'my-lora-peft.safetensors'], []],
    // ComfyUI and its like apply rows in another way, PEFT has no place for columns: left out, and said.
    ['output', ['my-output-peft.safetensors'], ['export.axis']],
    ['input', ['my-input-kohya.safetensors'], ['export.axis']],
  ] as const)('%s: the files, the warnings, the verdicts', (name, files, codes) => {
    const { events } = at(name);
    expect(exportsOf(at(name))).toEqual(files);
    for (const file of files) expect(filesIn(at(name))).toContain(`${file}.proof.json`);
    expect(filesIn(at(name)).filter((file) => file.startsWith('.'))).toEqual([]);
    expect(warnings(events).filter((code) => code.startsWith('export.'))).toEqual(codes);
    const verdicts = eventsOf(events, 'verdict').filter((event) => event.name === 'export');
    expect(verdicts.map(({ ok }) => ok)).toEqual(files.map(() => true));
  });

  test.each(['lora', 'output', 'input'] as const)('%s: each file read again is what was trained', (name) => {
    const scale = name === 'lora' ? 2 / Math.sqrt(3) : 2 / 3;
    const values = lastValues(at(name));
    for (const file of exportsOf(at(name))) {
      const read = readAdapter(join(at(name).folder, 'exports', file), named());
      expect(read).toMatchObject({ layout: file.includes('kohya') ? 'kohya' : 'peft', axis: name === 'lora' ? null : name });
      expect(read.layers.length).toBeGreaterThan(40);
      expect(read.layers.some(({ path }) => path.startsWith('text_encoder.'))).toBe(name === 'lora');
      for (const { path, rank, scale: folded } of read.layers) {
        expect([rank, folded]).toEqual([3, 1]);
        const [down, up] = ['lora_A.weight', 'lora_B.weight'].map((part) => [values(`${path}.${part}`), read.values.get(`${path}.${part}`)!] as const);
        for (const pair of [down!, up!]) expect(pair[1].shape).toEqual(pair[0].shape);
        const products = [0, 1].map((i) => dense(up![i]!.data as Float32Array, down![i]!.data as Float32Array, 3));
        expect(relativeError(products[1]!, products[0]!.map((value) => value * scale)), path).toBeLessThan(3e-3);
        // Never rounded: an error there is one of the base weights.
        if (name !== 'lora') expect(read.values.get(`${path}.lora_magnitude_vector`)).toEqual(values(`${path}.lora_magnitude_vector`));
      }
    }
  });

  test('types, shapes and names in the file', () => {
    const { tensors } = openSafetensors(join(at('input').folder, 'exports', 'my-input-kohya.safetensors'));
    const key = 'lora_unet_mid_block_attentions_0_transformer_blocks_0_ff_net_2';
    expect([...tensors.keys()].filter((name) => name.startsWith(`${key}.`)).sort()).toEqual([`${key}.alpha`, `${key}.dora_scale`, `${key}.lora_down.weight`, `${key}.lora_up.weight`]);
    expect(tensors.get(`${key}.lora_down.weight`)!.dtype).toBe('f16');
    expect(tensors.get(`${key}.alpha`)).toMatchObject({ dtype: 'f32', shape: [] });
    expect(tensors.get(`${key}.dora_scale`)).toMatchObject({ dtype: 'f32', shape: [1, 64] });
    expect(tensors.get('lora_unet_conv_in.dora_scale')!.shape).toEqual([1, 4, 1, 1]);
    const other = openSafetensors(join(at('output').folder, 'exports', 'my-output-peft.safetensors')).tensors;
    expect([...other.keys()].filter((name) => /alpha|dora_scale/.test(name))).toEqual([]);
    expect(other.get('unet.conv_in.lora_magnitude_vector.weight')!.shape).toEqual([1, 8, 1, 1]);
    const text = openSafetensors(join(at('lora').folder, 'exports', 'my-lora-kohya.safetensors')).tensors;
    expect(text.has('lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_up.weight')).toBe(true);
  });

  test('metadata: what readers look for, and nothing about the machine', async () => {
    const file = openSafetensors(join(at('input').folder, 'exports', 'my-input-kohya.safetensors'));
    const tensors = [...file.tensors].map(([name, { dtype, shape }]): TensorToWrite => ({ name, dtype, shape, data: file.read(name).bytes }));
    const hash = await dataSectionHash(tensors);
    expect(Object.fromEntries(file.metadata)).toMatchObject({
      sshs_model_hash: hash, 'modelspec.hash_sha256': `0x${hash}`, ss_network_dim: '3', ss_network_alpha: '3', 'modelspec.trigger_phrase': 'in ink', 'adora.dora_axis': 'input',
      'adora.trained_alpha': '2', ss_output_name: 'my input',
    });
    expect(file.metadata.get('adora.base_sha256.unet')).toMatch(/^[0-9a-f]{64}$/);
    for (const text of file.metadata.values()) expect(text).not.toContain(place.folder);
    expect(parseJob(JSON.parse(file.metadata.get('adora.job')!)).ok).toBe(true);
    expect(openSafetensors(join(at('output').folder, 'exports', 'my-output-peft.safetensors')).metadata.get('adora.note')).toMatch(/per output: diffusers/);
  });

  test('a full fine-tune is a model folder', () => {
    expect(exportsOf(at('full'))).toEqual(['model']);
    const model = openModel(join(at('full').folder, 'exports', 'model'));
    const name = 'unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight';
    expect(model.readF32(name)).toEqual(lastValues(at('full'))(name).data);
    expect(model.readF32(name)).not.toEqual(openModel(place.model).readF32(name));
  });
});

/** B·A as a flat array of rows. */
function dense(up: Float32Array, down: Float32Array, rank: number): number[] {
  const [rows, columns] = [up.length / rank, down.length / rank];
  return Array.from({ length: rows * columns }, (_, at_) => {
    let sum = 0;
    for (let k = 0; k < rank; k++) sum += up[Math.floor(at_ / columns) * rank + k]! * down[k * columns + (at_ % columns)]!;
    return sum;
  });
}

describe('rounding', () => {
  const tensors = (up: number): Map<string, HostTensor> => new Map([
    ['x.lora_A.weight', f32(rng(1, 'a').fillNormal(new Float32Array(12)), [2, 6])],
    ['x.lora_B.weight', f32(rng(1, 'b').fillNormal(new Float32Array(10)).map((value) => value * up), [5, 2])],
    ['x.lora_magnitude_vector', f32(rng(1, 'm').fillNormal(new Float32Array(5)), [5])],
  ]);
  const productOf = (values: ReadonlyMap<string, HostTensor>, factor: number): number[] =>
    dense(values.get('x.lora_B.weight')!.data as Float32Array, values.get('x.lora_A.weight')!.data as Float32Array, 2).map((value) => value * factor);

  test.each([[1, 1e-3], [1e-3, 1e-3], [1e-6, 2e-3]] as const)('f16 keeps a B of size %f', (size, tolerance) => {
    const values = tensors(size);
    const held = productOf(valuesInFile(values, 0.5, 'f16'), 1).map((value) => value / size);
    const wanted = productOf(values, 0.5).map((value) => value / size);
    expect(relativeError(held, wanted)).toBeLessThan(tolerance);
  });

  test('previews and merged models see what the file holds', () => {
    for (const dtype of ['f16', 'bf16', 'f32'] as const) {
      const values = tensors(1e-5);
      const shown = productOf(roundTrained(values, 0.3, dtype), 0.3).map((value) => 1e5 * value);
      expect(relativeError(shown, productOf(valuesInFile(values, 0.3, dtype), 1).map((value) => 1e5 * value))).toBeLessThan(1e-6);
      expect(valuesInFile(values, 0.3, dtype).get('x.lora_magnitude_vector')).toEqual(values.get('x.lora_magnitude_vector'));
    }
  });

  test('f32 with alpha = rank is untouched', () => {
    expect(valuesInFile(tensors(1e-6), 1, 'f32')).toEqual(tensors(1e-6));
  });

  test('the factor of a job', () => {
    const scaleOf = (settings: object): number => trainedScale(jobAt(place, { adapter: { kind: 'lora', targets: 'attention', ...settings } as never }));
    expect([scaleOf({ rank: 4, alpha: 2 }), scaleOf({ rank: 4, alpha: 2, rsLora: true })]).toEqual([0.5, 1]);
    expect(trainedScale(jobAt(place, { adapter: { kind: 'full', targets: 'attention' } }))).toBe(1);
  });
});

describe('adora export', () => {
  test('writes a checkpoint again, to the same bytes', async () => {
    const out = temporaryFolder();
    const result = await exportCommand(request(at('output').folder, { out }), quiet);
    expect(result.ok).toBe(true);
    expect(readdirSync(out).sort()).toEqual(filesIn(at('output')));
    const original = filesOf(at('output').folder, ['exports']);
    for (const file of readdirSync(out)) expect(filesOf(out, ['.'])[file]).toBe(original[join('exports', file)]);
  });

  test('an earlier step gives other values, in a file of its own name', async () => {
    const out = temporaryFolder();
    await exportCommand(request(at('lora').folder, { out, step: 2, for: 'diffusers', dtype: 'f32' }), quiet);
    expect(readdirSync(out)).toEqual(['my-lora-step2-peft.safetensors', 'my-lora-step2-peft.safetensors.proof.json']);
    const file = openSafetensors(join(out, 'my-lora-step2-peft.safetensors'));
    expect(file.metadata.get('adora.steps')).toBe('2');
    const key = 'unet.conv_in.lora_A.weight';
    const step2 = openSavedValues(listCheckpoints(join(at('lora').folder, 'checkpoints'))[0]!.path);
    expect(file.readF32(key)).toEqual(step2(key).data);
    expect(file.readF32(key)).not.toEqual(lastValues(at('lora'))(key).data);
  });

  test('refuses what the named program would show otherwise', async () => {
    const error = await refusalOf('export.not-exact', () => exportCommand(request(at('output').folder, { for: 'comfyui' }), quiet));
    expect(error.message).toMatch(/--as merged.*diffusers.*--as lora/);
    await refusalOf('export.not-exact', () => exportCommand(request(at('input').folder, { for: 'diffusers' }), quiet));
    await refusalOf('export.no-adapter', () => exportCommand(request(at('full').folder, { for: 'comfyui' }), quiet));
    await refusalOf('run.no-checkpoint', () => exportCommand(request(at('lora').folder, { step: 77 }), quiet));
    await refusalOf('run.missing', () => exportCommand(request(temporaryFolder()), quiet));
  });

  test.each(['lora', 'output', 'input'] as const)('%s: the merged model is the formula of the method, all else the base, byte for byte', async (name) => {
    const out = temporaryFolder();
    const { data } = await exportCommand(request(at(name).folder, { out, merge: true, dtype: 'f32' }), quiet);
    const merged = join(out, `my-${name}-merged`);
    expect(data).toMatchObject({ step: 3, files: [merged], compared: 1, proofs: [{ file: merged, pictures: null }] });
    const { overall, worst } = data as { overall: number; worst: number };
    expect(worst).toBeGreaterThanOrEqual(overall);
    expect(worst).toBeLessThan(1e-4);
    const [base, found] = [openModel(place.model), openModel(merged)];
    const values = roundTrained(new Map(openCheckpoint(at(name))), name === 'lora' ? 2 / Math.sqrt(3) : 2 / 3, 'f16');
    const layers = new Set([...values.keys()].map((key) => key.replace(/\.lora_.*$/, '')));
    for (const [component, { tensors }] of base.files) {
      expect([...found.files.get(component)!.tensors.keys()].sort()).toEqual([...tensors.keys()].sort());
      for (const [key, { shape }] of tensors) {
        const path = `${component}.${key}`;
        const layer = path.replace(/\.weight$/, '');
        if (!layers.has(layer) || path === layer) expect(found.readF32(path)).toEqual(base.readF32(path));
        else expect(relativeError(found.readF32(path), formula(base.readF32(path), shape, layer, values, name)), path).toBeLessThan(2e-6);
      }
    }
    for (const file of ['model_index.json', 'unet/config.json', 'tokenizer/vocab.json']) expect(readFileSync(join(merged, file))).toEqual(readFileSync(join(place.model, file)));
    expect(readdirSync(out).sort()).toEqual([`my-${name}-merged`, `my-${name}-merged.proof.json`, `my-${name}-merged.workflow.json`]);
  });

  test('a merged model keeps the types of its base, says what rounding took, and replaces an earlier one', async () => {
    const base = await inHalf(place.model);
    const run = temporaryFolder();
    const from = at('output').folder;
    mkdirSync(join(run, 'checkpoints'));
    const job = JSON.parse(readFileSync(join(from, 'job.json'), 'utf8')) as { base: { model: string } };
    writeFileSync(join(run, 'job.json'), JSON.stringify({ ...job, base: { ...job.base, model: base } }));
    const checkpoint = listCheckpoints(join(from, 'checkpoints')).at(-1)!.path;
    copyFileSync(checkpoint, join(run, 'checkpoints', 'step-000003.safetensors'));
    // Beside the parts: not of the model.
    writeFileSync(join(base, 'everything.safetensors'), 'x');
    for (let i = 0; i < 2; i++) {
      const { data } = await exportCommand(request(run, { merge: true }), quiet);
      const { worst, file: path } = data as { worst: number; file: string };
      expect(worst).toBeGreaterThan(1e-5);
      expect(worst).toBeLessThan(0.5);
      expect(readdirSync(path)).not.toContain('everything.safetensors');
      expect([...openModel(path).files.get('unet')!.tensors.values()].every(({ dtype }) => dtype === 'f16')).toBe(true);
    }
    rmSync(join(base, 'everything.safetensors'));
    mkdirSync(join(run, 'other', 'my-output-merged'), { recursive: true });
    writeFileSync(join(run, 'other', 'my-output-merged', 'mine.txt'), 'keep');
    await refusalOf('result.not-ours', () => exportCommand(request(run, { merge: true, out: join(run, 'other') }), quiet));
    expect(readdirSync(join(run, 'other', 'my-output-merged'))).toEqual(['mine.txt']);
  });

  test('a name with folders in it stays in its folder', async () => {
    const run = temporaryFolder();
    mkdirSync(join(run, 'checkpoints'));
    const job = JSON.parse(readFileSync(join(at('lora').folder, 'job.json'), 'utf8')) as object;
    writeFileSync(join(run, 'job.json'), JSON.stringify({ ...job, name: '../../out of/here' }));
    copyFileSync(listCheckpoints(join(at('lora').folder, 'checkpoints')).at(-1)!.path, join(run, 'checkpoints', 'step-000003.safetensors'));
    await exportCommand(request(run, { for: 'diffusers' }), quiet);
    expect(readdirSync(join(run, 'exports'))).toEqual(['out-of-here-peft.safetensors', 'out-of-here-peft.safetensors.proof.json'].map((name) => expect.stringMatching(new RegExp(`^[^/]*${name}$`))));
  });
});

const openCheckpoint = (ran: Ran): [string, HostTensor][] => {
  const values = lastValues(ran);
  const file = openSafetensors(listCheckpoints(join(ran.folder, 'checkpoints')).at(-1)!.path);
  return [...file.tensors.keys()].filter((name) => /^(unet|text_encoder)\./.test(name)).map((name) => [name, values(name)]);
};

/** The merged weight in f64, by the definition of each method. */
function formula(base: Float32Array, shape: readonly number[], layer: string, values: ReadonlyMap<string, HostTensor>, kind: 'lora' | DoraAxis): number[] {
  const part = (name: string): Float32Array => values.get(`${layer}.${name}`)!.data as Float32Array;
  const scale = kind === 'lora' ? 2 / Math.sqrt(3) : 2 / 3;
  const changed = dense(part('lora_B.weight'), part('lora_A.weight'), 3).map((value, i) => base[i]! + scale * value);
  if (kind === 'lora') return changed;
  const magnitude = part('lora_magnitude_vector');
  const kernel = shape.slice(2).reduce((a, b) => a * b, 1);
  const perRow = base.length / shape[0]!;
  const vectorOf = (i: number): number => (kind === 'output' ? Math.floor(i / perRow) : Math.floor((i % perRow) / kernel));
  const squares = new Float64Array(magnitude.length);
  changed.forEach((value, i) => void (squares[vectorOf(i)]! += value * value));
  return changed.map((value, i) => (value * magnitude[vectorOf(i)]!) / Math.sqrt(squares[vectorOf(i)]!));
}

/** A copy of a model with all weights in f16. */
async function inHalf(model: string): Promise<string> {
  const { saveModel } = await import('../../src-main/train/save-model.ts');
  const { files, readF32 } = openModel(model);
  const values = new Map([...files].flatMap(([component, { tensors }]) => [...tensors].map(([key, { shape }]) => [`${component}.${key}`, f32(readF32(`${component}.${key}`), shape)] as const)));
  const target = join(temporaryFolder(), 'half');
  await saveModel(values, { base: model, target, dtype: 'f16' });
  return target;
}

describe('adora inspect', () => {
  const inspect = async (file: string, tensors = false) => (await inspectCommand({ file, tensors })).data as Record<string, unknown>;

  test('adapters: layout, rank, axis, norms', async () => {
    const file = join(at('input').folder, 'exports', 'my-input-kohya.safetensors');
    const data = await inspect(file, true);
    expect(data).toMatchObject({ what: 'adapter', layout: 'kohya', isDora: true, axis: 'input', ranks: [3], unknown: [] });
    const module = 'lora_unet_mid_block_attentions_0_transformer_blocks_0_ff_net_2';
    const layer = (data['layers'] as { module: string; norm: number; alpha: number; magnitude: { least: number; most: number } }[]).find((one) => one.module === module)!;
    const stored = openSafetensors(file);
    const values = [...stored.readF32(`${module}.dora_scale`)];
    expect(layer).toMatchObject({ alpha: 3, magnitude: { least: Math.min(...values), most: Math.max(...values) } });
    expect(layer.norm).toBeCloseTo(Math.hypot(...dense(stored.readF32(`${module}.lora_up.weight`), stored.readF32(`${module}.lora_down.weight`), 3)), 8);
    expect(Object.keys(data['tensors'] as object)).toHaveLength(stored.tensors.size);
    expect(await inspect('tests/golden/unet/sd1/dora.safetensors')).toMatchObject({ layout: 'peft', axis: 'output', ranks: [4] });
  });

  test('runs, checkpoints, models, parts of models', async () => {
    const { folder } = at('lora');
    expect(await inspect(folder)).toMatchObject({ what: 'run', kind: 'lora', checkpoints: [2, 3], exports: filesIn(at('lora')) });
    expect(await inspect(listCheckpoints(join(folder, 'checkpoints')).at(-1)!.path)).toMatchObject({ what: 'checkpoint of a run', step: 3 });
    expect(await inspect(place.model)).toMatchObject({ what: 'model', family: 'stable-diffusion' });
    expect(await inspect(join(place.model, 'unet'))).toMatchObject({ what: 'weights', dtypes: ['f32'] });
    await refusalOf('inspect.missing', () => inspect(join(folder, 'nothing')));
  });
});

describe('adapter files from elsewhere', () => {
  const layer = 'mid_block.attentions.0.transformer_blocks.0.ff.net.2';
  const flat = `lora_unet_${layer.replaceAll('.', '_')}`;
  const square = 'lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q';
  const tensor = (name: string, shape: readonly number[], fill = 0.5): TensorToWrite => ({ name, dtype: 'f32', shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(fill) });
  const pair = (module = flat, inputs = 64, out = 16): TensorToWrite[] => [tensor(`${module}.lora_down.weight`, [2, inputs]), tensor(`${module}.lora_up.weight`, [out, 2])];
  const fileOf = async (tensors: readonly TensorToWrite[], metadata: Record<string, string> = {}): Promise<string> => {
    const path = join(temporaryFolder(), 'adapter.safetensors');
    await writeSafetensors(path, tensors, metadata);
    return path;
  };
  const read = async (tensors: readonly TensorToWrite[], metadata: Record<string, string> = {}) => readAdapter(await fileOf(tensors, metadata), named());
  const upOf = async (tensors: readonly TensorToWrite[], metadata: Record<string, string> = {}): Promise<number> =>
    (((await read(tensors, metadata)).values.get(`unet.${layer}.lora_B.weight`)!.data) as Float32Array)[0]!;

  test('alpha: a tensor, the configuration of PEFT, or alpha = rank', async () => {
    const dotted: TensorToWrite[] = [tensor(`unet.${layer}.lora_A.weight`, [2, 64]), tensor(`unet.${layer}.lora_B.weight`, [16, 2])];
    expect(await upOf(pair())).toBe(0.5);
    expect(await upOf([...pair(), tensor(`${flat}.alpha`, [], 1)])).toBe(0.25);
    expect(await upOf([...pair(), tensor(`${flat}.alpha`, [1], 8)])).toBe(2);
    expect(await upOf(dotted)).toBe(0.5);
    expect(await upOf(dotted, { lora_adapter_metadata: '{"unet.r":2,"unet.lora_alpha":4}' })).toBe(1);
    expect(await upOf(dotted, { lora_adapter_metadata: '{"unet.lora_alpha":4,"unet.use_rslora":true}' })).toBeCloseTo((0.5 * 4) / Math.SQRT2, 6);
    expect(await upOf(dotted, { lora_adapter_metadata: `{"unet.lora_alpha":4,"unet.alpha_pattern":{"ff.net.2":1}}` })).toBe(0.25);
    expect(await upOf(dotted, { alpha: '6' })).toBe(1.5);
  });

  test('the axis of old magnitudes without a shape of their own', async () => {
    expect((await read([...pair(), tensor(`${flat}.dora_scale`, [64])])).axis).toBe('input');
    expect((await read([...pair(), tensor(`${flat}.dora_scale`, [16])])).axis).toBe('output');
    const squares = [...pair(square, 8, 8), tensor(`${square}.dora_scale`, [8])];
    const model = { denoiser: 'unet', textEncoders: [], layers: new Map([['unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q', [8, 8]]]) };
    const path = await fileOf(squares);
    refusal('adapter.axis', () => readAdapter(path, model));
    const told = await fileOf(squares, { ss_network_args: '{"algo":"lora","dora_wd":true,"wd_on_output":true}' });
    expect(readAdapter(told, model).axis).toBe('output');
  });

  test.each([
    ['adapter.unknown-layout', [tensor('conv_in.weight', [8, 4, 3, 3])]],
    ['adapter.unknown-layout', []],
    ['adapter.shape', [...pair(), tensor(`${flat}.lora_mid.weight`, [2, 2, 3, 3])]],
    ['adapter.unknown-keys', [...pair(), tensor('__proto__', [2])]],
    ['adapter.other-model', pair('lora_unet_down_blocks_9_attentions_0_proj_in')],
    ['adapter.incomplete', pair().slice(0, 1)],
    ['adapter.shape', pair(flat, 65)],
    ['adapter.shape', pair(flat, 64, 17)],
    ['adapter.ranks', [tensor(`${flat}.lora_down.weight`, [2, 64]), tensor(`${flat}.lora_up.weight`, [16, 3])]],
    ['adapter.shape', [...pair(), tensor(`${flat}.dora_scale`, [5, 1])]],
    ['adapter.alpha', [...pair(), tensor(`${flat}.alpha`, [2])]],
    ['adapter.alpha', [...pair(), tensor(`${flat}.alpha`, [], NaN)]],
    ['adapter.not-finite', [tensor(`${flat}.lora_down.weight`, [2, 64], NaN), tensor(`${flat}.lora_up.weight`, [16, 2])]],
    ['adapter.not-finite', [tensor(`${flat}.lora_down.weight`, [2, 64]), tensor(`${flat}.lora_up.weight`, [16, 2], Infinity)]],
  ] as const)('%s, case %#', async (code, tensors) => {
    const path = await fileOf(tensors);
    const error = refusal(code, () => readAdapter(path, named()));
    expect(error.message).toContain(path);
  });

  test('magnitudes of rows here and of columns there', async () => {
    const other = 'lora_unet_mid_block_attentions_0_transformer_blocks_0_ff_net_0_proj';
    const [out, inputs] = named().layers.get('unet.mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj')!;
    const tensors = [...pair(), tensor(`${flat}.dora_scale`, [1, 64]), ...pair(other, inputs, out), tensor(`${other}.dora_scale`, [out!, 1])];
    await refusalOf('adapter.axis', () => read(tensors));
  });

  test('a torn file', async () => {
    const path = await fileOf(pair());
    writeFileSync(path, readFileSync(path).subarray(0, -8));
    expect(() => readAdapter(path, named())).toThrow(/again/);
    expect(existsSync(path)).toBe(true);
  });
});

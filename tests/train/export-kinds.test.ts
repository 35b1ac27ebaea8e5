// Exports that are more than the adapter itself: plain LoRAs, differences, merged checkpoints, from runs and from files; and
// proofs that must fail.
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { consumers } from '../../src-main/catalog/consumers/index.ts';
import type { AdapterFormat, Program } from '../../src-main/catalog/define/format.ts';
import { formats } from '../../src-main/catalog/formats/index.ts';
import { readPngText } from '../../src-main/files/png-text.ts';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { safetensorsBytes, sectionHash, writeSafetensors, type TensorToWrite } from '../../src-main/files/safetensors-write.ts';
import type { PictureElsewhere } from '../../src-main/train/export-beside.ts';
import { detectModel } from '../../src-main/catalog/families/index.ts';
import { noiseOf } from '../../src-main/train/noise-of.ts';
import { exportCommand, type ExportRequest } from '../../src-main/train/export-command.ts';
import { changeOf, approximate } from '../../src-main/train/export-lora.ts';
import { proveFile } from '../../src-main/train/export-proof.ts';
import { sourceOfFile, type ExportSource } from '../../src-main/train/export-source.ts';
import { openModel } from '../../src-main/train/open-model.ts';
import { infoText } from '../../src-main/train/picture.ts';
import { writeAdapter } from '../../src-main/train/write-adapter.ts';
import { refusalOf, temporaryFolder } from '../files/temporary.ts';
import { goldenPath } from '../nn/golden.ts';
import { eventsOf, jobAt, train, usePlace, type Ran } from './run.ts';
import { sourceAt } from './random-source.ts';

const place = usePlace();
const quiet = { onEvent: () => {} };
const request = (run: string, more: Partial<ExportRequest> = {}): ExportRequest => ({ run, sample: false, ...more });

const kohya = formats['kohya']!;
const peft = formats['peft']!;
const write = async (source: ExportSource, format: AdapterFormat, dtype: 'f32' | 'f16' | 'bf16' = 'f32'): Promise<string> =>
  (await writeAdapter(source, format, join(temporaryFolder(), 'adapter.safetensors'), { dtype, note: '' })).path;
const readersOf = (format: AdapterFormat): Program[] => (Object.keys(consumers) as Program[]).filter((program) => consumers[program].naming === format.naming);
/** What workflows ask for. */
const pictureAt = (base: string): PictureElsewhere => ({
  settings: { prompt: 'a cat (sleeping)', negative: '', seed: 1, sampler: 'euler', steps: 20, guidance: 7, width: 64, height: 64 }, clipSkip: null, base: { model: base },
  noise: noiseOf({ base: { model: base, prediction: 'auto' }, noise: { schedule: 'auto', zeroTerminalSnr: false, minTimestep: 0 } }, detectModel(openModel(base).files)),
});
const norm = (values: ArrayLike<number>): number => Math.sqrt(Array.from(values).reduce((sum, value) => sum + value * value, 0));

describe.each(['sd15', 'sd21', 'sdxl'])('the written file of a %s adapter', (kind) => {
  const base = goldenPath('checkpoints', `${kind}.safetensors`);

  test.each([['input', kohya, 'f16'], ['input', kohya, 'bf16'], ['input', kohya, 'f32'], [null, kohya, 'f16'], [null, peft, 'f16'], ['output', peft, 'f32']] as const)(
    'with magnitudes per %s is right in every program that it is for (%#)', async (axis, format, dtype) => {
      // Of text encoders, what adapters have: A1111 has no name for the projection.
      const source = sourceAt(base, { axis, layers: (path) => !path.endsWith('text_projection') });
      const { programs, compared } = await proveFile(source, await write(source, format, dtype), readersOf(format), { allowed: () => ({ f32: 1e-5, f16: 5e-3, bf16: 2e-2 })[dtype] });
      expect(compared).toBe(1);
      for (const program of programs) {
        expect(program.problems, program.program).toEqual([]);
        expect(program.layers).toHaveLength(source.layers.length);
        // Rounding shows in files of 16 bits, and nothing else does in files of 32.
        if (dtype === 'f32') expect(program.overall).toBeLessThan(1e-5);
        else expect(program.overall).toBeGreaterThan(1e-5);
      }
    });

  test('on the other axis is wrong, by a lot', async () => {
    const source = sourceAt(base, { axis: 'output' });
    const { programs } = await proveFile(source, await write(source, kohya), readersOf(kohya), { allowed: () => 5e-3 });
    for (const program of programs) {
      expect(program.ok).toBe(false);
      expect(program.overall).toBeGreaterThan(0.05);
      expect(program.problems.join()).toContain('other weights');
    }
  });
});

describe('a proof fails', () => {
  const base = goldenPath('checkpoints', 'sd15.safetensors');
  const source = sourceAt(base, { axis: 'input', layers: (path) => path.startsWith('unet.') && path.includes('attn') });

  async function spoilt(change: (tensors: TensorToWrite[]) => TensorToWrite[], program: Program = 'comfyui') {
    const path = await write(source, kohya);
    const file = openSafetensors(path);
    const tensors = [...file.tensors].map(([name, { dtype, shape }]): TensorToWrite => ({ name, dtype, shape, data: file.read(name).bytes }));
    await writeSafetensors(path, change(tensors), file.metadata);
    return (await proveFile(source, path, [program], { allowed: () => 1e-5 })).programs[0]!;
  }
  const some = (name: string): boolean => name.includes('down_blocks_0') && name.includes('to_v') && name.includes('attn2');

  test('when one value is another', async () => {
    const { ok, worst, problems } = await spoilt((all) => all.map((tensor) => {
      if (!some(tensor.name) || !tensor.name.endsWith('lora_up.weight')) return tensor;
      const values = new Float32Array((tensor.data as Uint8Array).slice().buffer);
      values[5]! *= 1.01;
      return { ...tensor, data: values };
    }));
    expect([ok, worst!.path.includes('attn2.to_v')]).toEqual([false, true]);
    expect(worst!.error).toBeGreaterThan(1e-4);
    expect(problems.join()).toMatch(/other weights.*attn2\.to_v/);
  });

  test('when alpha is wrong, a layer is missing, a tensor is unknown, a magnitude is a plain vector', async () => {
    const alpha = await spoilt((all) => all.map((tensor) => (tensor.name.endsWith('.alpha') && some(tensor.name) ? { ...tensor, data: Float32Array.of(1) } : tensor)));
    expect(alpha.problems.join()).toContain('other weights');
    const missing = await spoilt((all) => all.filter(({ name }) => !some(name)));
    expect(missing.problems.join()).toContain('finds no tensors');
    const unknown = await spoilt((all) => [...all, { name: 'lora_unet_nowhere.alpha', dtype: 'f32', shape: [], data: Float32Array.of(1) }]);
    expect(unknown.problems.join()).toContain('lora_unet_nowhere');
    for (const program of ['comfyui', 'a1111'] as const) {
      const flat = await spoilt((all) => all.map((tensor) => (tensor.name.endsWith('dora_scale') ? { ...tensor, shape: [tensor.shape[1]!] } : tensor)), program);
      // A1111 takes a vector for that of columns, as it is.
      expect(flat.ok, program).toBe(program === 'a1111');
    }
  });

  test('also in what a proof of some vectors alone does not see', async () => {
    const wide = sourceAt(base, { axis: 'input', layers: (path) => path === 'unet.mid_block.attentions.0.transformer_blocks.0.ff.net.2' });
    const path = await write(wide, kohya);
    const settings = { allowed: () => 1e-5, budget: 1, isSame: true };
    const some = await proveFile(wide, path, ['comfyui'], settings);
    expect(some.compared).toBeLessThan(1);
    expect(some.programs[0]!.problems).toEqual([]);
    const file = openSafetensors(path);
    // Some of these columns are not among those that are looked at.
    for (let column = 0; column < 5; column++) {
      const tensors = [...file.tensors].map(([name, { dtype, shape }]): TensorToWrite => {
        const values = file.readF32(name);
        return { name, dtype, shape, data: name.endsWith('lora_down.weight') ? values.map((value, i) => ((i - column) % shape[1]! ? value : value * 1.5)) : values };
      });
      const spoiled = join(temporaryFolder(), 'adapter.safetensors');
      await writeSafetensors(spoiled, tensors, file.metadata);
      expect((await proveFile(wide, spoiled, ['comfyui'], settings)).programs[0]!.ok, `column ${column}`).toBe(false);
    }
  });

  test('and then no file is left', async () => {
    const folder = temporaryFolder();
    const path = await write(source, kohya);
    const { exportAdapter } = await import('../../src-main/train/export-run.ts');
    // What is held is not what was trained.
    const other = sourceOfFile(path, base);
    const held = { source: { ...other, scale: 1.5 }, errors: new Map<string, number>(), write: {} };
    const events: { kind: string; ok?: boolean; text?: string }[] = [];
    const { files, ok } = await exportAdapter(source, { for: 'comfyui', dtype: 'f32', folder, picture: pictureAt(base), painting: null, held }, (event) => events.push(event as never));
    expect([files, ok, readdirSync(folder)]).toEqual([[], false, []]);
    expect(events.find(({ kind }) => kind === 'verdict')).toMatchObject({ ok: false, text: expect.stringMatching(/would be wrong.*ComfyUI/) });
  });
});

describe('a plain LoRA', () => {
  const base = goldenPath('checkpoints', 'sdxl.safetensors');
  const dora = sourceAt(base, { axis: 'input', layers: (path) => !path.includes('resnets') && !path.endsWith('text_projection') });

  test('has the error that is told, and loses it with rank', async () => {
    let before = 1;
    for (const rank of [2, 4, 8]) {
      const { source, errors, overall } = await approximate(dora, { rank });
      expect(source.axis).toBeNull();
      let missing = 0;
      let all = 0;
      for (const layer of source.layers) {
        const [wanted, found] = [await changeOf(dora, dora.layers.find(({ path }) => path === layer.path)!), await changeOf(source, layer)];
        const error = norm(wanted.map((value, i) => value - found[i]!));
        expect(error / norm(wanted), layer.path).toBeCloseTo(errors.get(layer.path)!, 4);
        missing += error ** 2;
        all += norm(wanted) ** 2;
      }
      expect(overall).toBeCloseTo(Math.sqrt(missing / all), 5);
      expect(overall).toBeLessThan(before);
      before = overall;
    }
  });

  test('holds the share of the change that is asked for, with as few ranks as that takes', async () => {
    const { source, errors } = await approximate(dora, { energy: 0.95 });
    for (const error of errors.values()) expect(error).toBeLessThanOrEqual(Math.sqrt(0.05) + 1e-6);
    expect(new Set(source.layers.map(({ rank }) => rank)).size).toBeGreaterThan(1);
  });

  test('of a file, through the command: proved in every program, told in text and metadata', async () => {
    const [out, file] = [temporaryFolder(), await write(dora, kohya)];
    const { text, data, ok } = await exportCommand(request(file, { base, out, as: 'lora', rank: 6, dtype: 'f16' }), quiet);
    expect(ok).toBe(true);
    const names = readdirSync(out).filter((name) => name.endsWith('.safetensors'));
    expect(names).toEqual(['adapter-lora-kohya.safetensors', 'adapter-lora-peft.safetensors']);
    const { svdError } = data as { svdError: number };
    const { metadata, tensors } = openSafetensors(join(out, names[0]!));
    expect(Number(metadata.get('adora.svd_error'))).toBeCloseTo(svdError, 3);
    expect(metadata.get('adora.svd_of')).toMatch(/DoRA.*input/);
    expect(metadata.get('ss_network_module')).toBe('networks.lora');
    expect([...tensors.keys()].filter((name) => name.endsWith('dora_scale'))).toEqual([]);
    expect(text).toMatch(/leaves out \d.* % of the change in all/);
    // Read from the file itself: the error is what was told, rounding aside.
    const proof = JSON.parse(readFileSync(join(out, `${names[0]}.proof.json`), 'utf8')) as { programs: { program: string; overall: number; ok: boolean }[] };
    expect(proof.programs.map(({ program }) => program).sort()).toEqual(['a1111', 'comfyui', 'forge', 'invokeai']);
    for (const program of proof.programs) expect(program.overall).toBeCloseTo(svdError, 3);
  });

  test('a LoRA stays what it is', async () => {
    const out = temporaryFolder();
    const lora = sourceAt(base, { axis: null, layers: (path) => path.includes('attn2') });
    const { data } = await exportCommand(request(await write(lora, peft), { base, out, as: 'lora', for: 'diffusers', dtype: 'f32' }), quiet);
    expect((data as { files: string[] }).files.map((path) => path.slice(out.length + 1))).toEqual(['adapter-peft.safetensors']);
  });
});

describe.each(['sd15', 'sd21', 'sdxl'])('differences and the merged checkpoint of %s', (kind) => {
  const base = goldenPath('checkpoints', `${kind}.safetensors`);
  // In text encoders too: of one of joined queries, keys and values only the values change.
  const source = sourceAt(base, { axis: 'input', layers: (path) => !/[qk]_proj$/.test(path) });

  test('differences are the change of each layer, under the names of the layout', async () => {
    const out = temporaryFolder();
    const { ok } = await exportCommand(request(await write(source, kohya), { base, out, as: 'diff', for: 'comfyui', dtype: 'f32' }), quiet);
    expect(ok).toBe(true);
    const file = openSafetensors(join(out, 'adapter-diff.safetensors'));
    expect(file.tensors.size).toBe(source.layers.length);
    for (const layer of source.layers) {
      const name = `${kohya.modulesOf(layer.path, source.named)[0]}.diff`;
      expect(file.tensors.get(name)!.shape).toEqual(layer.shape);
      const wanted = await changeOf(source, layer);
      expect(norm(file.readF32(name).map((value, i) => value - wanted[i]!)) / norm(wanted)).toBeLessThan(1e-6);
    }
    await refusalOf('export.no-differences', async () => exportCommand(request(await write(source, kohya), { base, out, as: 'diff', for: 'diffusers' }), quiet));
  });

  test('the checkpoint has the layout of its base: changed weights by the definition, all else byte for byte', async () => {
    const out = temporaryFolder();
    const adapter = await write(source, kohya);
    const { data } = await exportCommand(request(adapter, { base, out, merge: true, dtype: 'f32' }), quiet);
    const path = join(out, 'adapter-merged.safetensors');
    expect(data).toMatchObject({ files: [path], changed: source.layers.length });
    const [before, after] = [openSafetensors(base), openSafetensors(path)];
    const order = (file: typeof before): string[] => [...file.tensors].sort((a, b) => a[1].begin - b[1].begin || a[1].end - b[1].end).map(([name]) => name);
    expect(order(after)).toEqual(order(before));
    const [model, merged] = [openModel(base), openModel(path)];
    const layers = new Map(source.layers.map((layer) => [`${layer.path}.weight`, layer]));
    for (const [component, { tensors }] of model.files) {
      for (const key of tensors.keys()) {
        const parameter = `${component}.${key}`;
        const layer = layers.get(parameter);
        if (!layer) expect(merged.readF32(parameter), parameter).toEqual(model.readF32(parameter));
        else {
          const [change, was] = [await changeOf(source, layer), model.readF32(parameter)];
          const found = merged.readF32(parameter);
          // The file of the adapter has rounded the values to f16.
          expect(norm(found.map((value, i) => value - was[i]! - change[i]!)) / norm(change), parameter).toBeLessThan(3e-3);
        }
      }
    }
    const touched = new Set([...model.stored].flatMap(([component, { parameters }]) => [...parameters].filter(([key]) => layers.has(`${component}.${key}`)).map(([, { tensor }]) => tensor)));
    for (const name of before.tensors.keys()) if (!touched.has(name)) expect(after.read(name)).toEqual(before.read(name));
    expect(after.metadata.get('modelspec.merged_from')).toBe(kind);
    // As it was: the type of each weight.
    const kept = await exportCommand(request(adapter, { base, out: temporaryFolder(), as: 'merged' }), quiet);
    const stored = openSafetensors((kept.data as { file: string }).file);
    for (const [name, { dtype }] of before.tensors) expect(stored.tensors.get(name)!.dtype).toBe(dtype);
  });
});

test('a merged checkpoint never takes the place of its base, and says its own hash', async () => {
  const folder = temporaryFolder();
  const base = join(folder, 'adapter-merged.safetensors');
  writeFileSync(base, readFileSync(goldenPath('checkpoints', 'sd15.safetensors')));
  const source = sourceAt(base, { axis: null, layers: (path) => path.includes('attn1') });
  const adapter = await write(source, kohya);
  const dora = await write(sourceAt(base, { axis: 'input', layers: (path) => path.includes('attn1') }), kohya);
  await refusalOf('result.not-ours', () => exportCommand(request(adapter, { base, out: folder, as: 'merged' }), quiet));
  const out = temporaryFolder();
  const { data } = await exportCommand(request(adapter, { base, out, as: 'merged' }), quiet);
  const { file: path } = data as { file: string };
  const bytes = readFileSync(path);
  const { createHash } = await import('node:crypto');
  const digest = createHash('sha256').update(bytes.subarray(8 + Number(bytes.readBigUInt64LE(0)))).digest('hex');
  expect(openSafetensors(path).metadata.get('modelspec.hash_sha256')).toBe(`0x${digest}`);
  // Stopped in the middle: nothing is left.
  const stopped = temporaryFolder();
  for (const as of ['merged', 'diff', 'dora'] as const) {
    await refusalOf('export.stopped', () => exportCommand(request(as === 'dora' ? dora : adapter, { base, out: stopped, as }), { ...quiet, shouldStop: () => true }));
    expect(readdirSync(stopped)).toEqual([]);
  }
});

describe('a run', () => {
  let ran: Ran;
  beforeAll(async () => {
    const preview = { prompts: ['a red house'], negative: 'blue', steps: 3, guidance: 2, sampler: 'dpmpp-2m-karras', seed: 5 };
    ran = await train(place, jobAt(place, { name: 'ink', adapter: { kind: 'dora', targets: 'attention', rank: 3, alpha: 2 }, output: { for: 'comfyui', dtype: 'f16' }, preview, data: { folders: [{ path: place.pictures }], caption: { prefix: 'in ink' } }, train: { steps: 3 } }));
  });

  test('paints with the file that it leaves, and with what was trained', () => {
    const folder = join(ran.folder, 'exports');
    const files = readdirSync(folder).sort();
    expect(files).toEqual(['ink-kohya.exported.png', 'ink-kohya.safetensors', 'ink-kohya.safetensors.proof.json', 'ink-kohya.trained.png', 'ink-kohya.workflow.json']);
    const verdicts = eventsOf(ran.events, 'verdict');
    expect(verdicts.find(({ name }) => name === 'export')).toMatchObject({ ok: true, data: { programs: [{ program: 'comfyui', ok: true }], layout: 'kohya' } });
    const painted = verdicts.find(({ name }) => name === 'export-picture')!;
    expect(painted.data['worst']).toBeLessThanOrEqual(3);
    const proof = JSON.parse(readFileSync(join(folder, 'ink-kohya.safetensors.proof.json'), 'utf8')) as Record<string, unknown>;
    expect(proof).toMatchObject({ file: 'ink-kohya.safetensors', pictures: { trained: 'ink-kohya.trained.png', worst: painted.data['worst'] } });
    expect(Object.keys(proof['layers'] as object).length).toBeGreaterThan(10);
    expect(JSON.stringify(proof)).not.toContain(place.folder);
  });

  test('leaves a workflow that asks for the same picture', () => {
    const nodes = Object.values(JSON.parse(readFileSync(join(ran.folder, 'exports', 'ink-kohya.workflow.json'), 'utf8')) as Record<string, { class_type: string; inputs: Record<string, unknown> }>);
    const inputsOf = (type: string, index = 0): Record<string, unknown> => nodes.filter(({ class_type }) => class_type === type)[index]!.inputs;
    expect(inputsOf('KSampler')).toMatchObject({ seed: 5, steps: 3, cfg: 2, sampler_name: 'dpmpp_2m', scheduler: 'karras', denoise: 1 });
    expect(inputsOf('LoraLoader')).toMatchObject({ lora_name: 'ink-kohya.safetensors', strength_model: 1 });
    expect([inputsOf('CLIPTextEncode')['text'], inputsOf('CLIPTextEncode', 1)['text']]).toEqual(['a red house', 'blue']);
    expect(inputsOf('EmptyLatentImage')).toMatchObject({ width: 16, height: 16 });
    // Every wire leads to a node.
    for (const { inputs } of nodes) for (const value of Object.values(inputs)) if (Array.isArray(value)) expect(nodes[Number(value[0]) - 1]).toBeDefined();
  });

  test('a card for A1111, words and numbers of training in the metadata', async () => {
    const out = temporaryFolder();
    await exportCommand(request(ran.folder, { out, for: 'a1111' }), quiet);
    expect(JSON.parse(readFileSync(join(out, 'ink-kohya.json'), 'utf8'))).toMatchObject({ 'activation text': 'in ink', 'sd version': expect.any(String), 'preferred weight': 1 });
    const { metadata, tensors } = openSafetensors(join(out, 'ink-kohya.safetensors'));
    const json = (key: string): unknown => JSON.parse(metadata.get(key)!);
    expect(metadata.get('modelspec.usage_hint')).toBe('in ink');
    expect(json('ss_dataset_dirs')).toEqual({ 'folder-1': { n_repeats: 1, img_count: 6 } });
    expect((json('ss_tag_frequency') as Record<string, Record<string, number>>)['folder-1']).toMatchObject({ 'in ink': 6, 'red stripes': 2 });
    expect(json('ss_bucket_info')).toEqual({ buckets: { 0: { resolution: [16, 16], count: 6 } } });
    expect(Object.fromEntries(metadata)).toMatchObject({ ss_steps: '3', ss_max_train_steps: '3', ss_text_encoder_lr: 'None', ss_num_train_images: '6', ss_resolution: '(16, 16)' });
    for (const text of metadata.values()) expect(text).not.toContain(place.folder);
    // The hash of kohya's scripts: of a small file, that of nothing.
    expect(metadata.get('sshs_legacy_hash')).toBe('e3b0c442');
    expect([...tensors].filter(([name]) => name.endsWith('dora_scale')).every(([, { dtype, shape }]) => dtype === 'f32' && shape.length === 2)).toBe(true);
    expect(statSync(join(out, 'ink-kohya.safetensors')).size).toBeLessThan(1 << 20);
  });

  test('previews tell A1111 how they were made', async () => {
    const image = readFileSync(join(ran.folder, 'exports', 'ink-kohya.exported.png'));
    expect(readPngText(image).get('parameters')).toContain('Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 2, Seed: 5, Size: 16x16');
    const settings = { prompt: 'a cat', negative: 'dog', sampler: 'euler-ancestral', steps: 9, guidance: 7, seed: 3, width: 64, height: 32 };
    expect(infoText(settings, { model: 'some, model', adapters: [{ name: 'ink-kohya', strength: 1, isForWebui: true }], clipSkip: 2 })).toBe(
      'a cat <lora:ink-kohya:1>\nNegative prompt: dog\nSteps: 9, Sampler: Euler a, Schedule type: DDIM, CFG scale: 7, Seed: 3, Size: 64x32, Model: "some, model", Clip skip: 2');
  });

  test('a file that an export has named keeps one name for its layout, and is not written over', async () => {
    const [file, out] = [join(ran.folder, 'exports', 'ink-kohya.safetensors'), temporaryFolder()];
    await exportCommand(request(file, { base: place.model, out, for: 'comfyui', dtype: 'f32' }), quiet);
    expect(readdirSync(out).filter((name) => name.endsWith('.safetensors'))).toEqual(['ink-kohya.safetensors']);
    const before = readFileSync(file);
    await refusalOf('files.is-the-source', () => exportCommand(request(file, { base: place.model, out: join(ran.folder, 'exports'), for: 'all', dtype: 'f32' }), quiet));
    expect(readFileSync(file)).toEqual(before);
  });

  test('asks for what goes together', async () => {
    await refusalOf('export.rank', () => exportCommand(request(ran.folder, { rank: 3 }), quiet));
    await refusalOf('export.base', () => exportCommand(request(join(ran.folder, 'exports', 'ink-kohya.safetensors')), quiet));
    await refusalOf('export.not-exact', () => exportCommand(request(ran.folder, { for: 'diffusers' }), quiet));
  });
});

test('a job whose program could not show the result does not begin', async () => {
  const job = jobAt(place, { adapter: { kind: 'dora', targets: 'attention', axis: 'output', rank: 2, alpha: 2 }, output: { for: 'comfyui' } });
  const folder = join(place.folder, 'never');
  const error = await refusalOf('export.not-exact', () => train(place, job, { runFolder: folder }));
  expect(error.message).toMatch(/ComfyUI.*auto/);
  expect(existsSync(folder)).toBe(false);
});

test('the section that kohya hashes is the one of the file', async () => {
  const tensors = [{ name: 'b', dtype: 'f16' as const, shape: [700_000], data: new Uint16Array(700_000).map((_, i) => i) }, { name: 'a', dtype: 'f32' as const, shape: [3], data: Float32Array.of(1, 2, 3) }];
  const bytes = await safetensorsBytes(tensors, { ss_x: 'y' });
  const { createHash } = await import('node:crypto');
  const wanted = createHash('sha256').update(bytes.subarray(0x100000, 0x110000)).digest('hex');
  expect(await sectionHash(tensors, { ss_x: 'y' }, 0x100000, 0x10000)).toBe(wanted);
  expect((await sectionHash(tensors.slice(1), {}, 0x100000, 0x10000)).slice(0, 8)).toBe('e3b0c442');
});

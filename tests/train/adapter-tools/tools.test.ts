// Adapter tools on whole models: extract finds what was planted, resize of a DoRA says what it loses, strengths go straight from
// the base to the adapter.
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { rng } from '../../../src-main/base/rng.ts';
import { openSafetensors } from '../../../src-main/files/safetensors.ts';
import { writeSafetensors, type TensorToWrite } from '../../../src-main/files/safetensors-write.ts';
import { createOnnxRuntime } from '../../../src-main/runtime/onnx/onnx-runtime.ts';
import { extractCommand } from '../../../src-main/train/adapter-tools/extract.ts';
import { mergeCommand } from '../../../src-main/train/adapter-tools/merge-adapters.ts';
import { convertCommand } from '../../../src-main/train/adapter-tools/convert.ts';
import { resizeCommand } from '../../../src-main/train/adapter-tools/resize.ts';
import { mergedFile } from '../../../src-main/train/merged-weights.ts';
import { namedModel } from '../../../src-main/train/named-model.ts';
import { openModel } from '../../../src-main/train/open-model.ts';
import { readAdapter } from '../../../src-main/train/read-adapter.ts';
import { openBasePainting } from '../../../src-main/train/sample-command.ts';
import { refusal, refusalOf, temporaryFolder } from '../../files/temporary.ts';
import { goldenPath } from '../../nn/golden.ts';

const runtime = createOnnxRuntime({ device: 'cpu', threads: 1 });
const base = mkdtempSync(join(tmpdir(), 'adora-tools-'));
cpSync(goldenPath('unet', 'sd1_conv', 'unet'), join(base, 'unet'), { recursive: true });
for (const part of ['scheduler', 'vae']) cpSync(goldenPath('pipelines', 'sd1', part), join(base, part), { recursive: true });
afterAll(() => rmSync(base, { recursive: true, force: true }));
const baseModel = openModel(base);
const named = namedModel(baseModel.files, 'unet');
const context = { onEvent: () => {}, shouldStop: () => false };
const squares = (values: ArrayLike<number>): number => Array.from(values).reduce((sum, value) => sum + value * value, 0);
const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number => Math.sqrt(squares(Array.from(a, (value, i) => value - b[i]!)));

/** All tensors of a file, some of them changed. */
async function changedCopy(from: string, to: string, changes: ReadonlyMap<string, (own: Float32Array) => Float32Array>): Promise<void> {
  const file = openSafetensors(from);
  await writeSafetensors(to, [...file.tensors].map(([name, { dtype, shape }]): TensorToWrite => {
    const change = changes.get(name);
    return change ? { name, dtype: 'f32', shape, data: change(file.readF32(name)) } : { name, dtype, shape, data: file.read(name).bytes };
  }), Object.fromEntries(file.metadata));
}

async function tunedFolder(changes: ReadonlyMap<string, (own: Float32Array) => Float32Array>): Promise<string> {
  const folder = temporaryFolder();
  cpSync(base, folder, { recursive: true });
  const name = join('unet', 'diffusion_pytorch_model.safetensors');
  await changedCopy(join(base, name), join(folder, name), changes);
  return folder;
}

/** W + a product of rank `rank`. */
function planted(name: string, rank: number) {
  return (own: Float32Array): Float32Array => {
    const rows = named.layers.get(`unet.${name.replace(/\.weight$/, '')}`)?.[0] ?? own.length / 8;
    const columns = own.length / rows;
    const [up, down] = [rng(1, name, 'up').fillNormal(new Float32Array(rows * rank)), rng(1, name, 'down').fillNormal(new Float32Array(rank * columns))];
    return own.map((value, i) => {
      let sum = value;
      for (let k = 0; k < rank; k++) sum += 0.3 * up[Math.floor(i / columns) * rank + k]! * down[k * columns + (i % columns)]!;
      return sum;
    });
  };
}

describe('extract', () => {
  const query = 'down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight';
  const conv = 'down_blocks.0.resnets.0.conv1.weight';

  test('a planted difference of low rank comes back, from folders', async () => {
    const tuned = await tunedFolder(new Map([query, conv].map((name) => [name, planted(name, 2)])));
    for (const layout of ['kohya', 'peft']) {
      const out = join(temporaryFolder(), 'out.safetensors');
      const { data } = await extractCommand({ base, tuned, rank: 2, layout, dtype: 'f32', out }, context);
      expect(data).toMatchObject({ layers: [{}, {}] });
      expect((data as { error: number }).error).toBeLessThan(1e-5);
      const found = readAdapter(out, named);
      expect(found.layers.map(({ path }) => path).sort()).toEqual([query, conv].map((name) => `unet.${name.replace('.weight', '')}`).sort());
      for await (const { path, merged } of mergedFile(found, baseModel, runtime, named.layers)) {
        expect(distance(merged, openModel(tuned).readF32(path)) / distance(baseModel.readF32(path), openModel(tuned).readF32(path)), path).toBeLessThan(1e-5);
      }
    }
  });

  test('of a difference with known singular values, the share that is kept is the one that they say', async () => {
    const sizes = [3, 2, 1, 0.5, 0.25];
    // A matrix with one entry in each of some rows and columns has their absolute values as singular values.
    const tuned = await tunedFolder(new Map([[query, (own: Float32Array) => own.map((value, i) => value + (i % 8 === (3 * Math.floor(i / 8)) % 8 && Math.floor(i / 8) < sizes.length ? sizes[Math.floor(i / 8)]! : 0))]]));
    for (const rank of [1, 2, 3, 5]) {
      const { data } = await extractCommand({ base, tuned, rank, layout: 'kohya', dtype: 'f32', out: join(temporaryFolder(), 'out.safetensors') }, context);
      const lost = Math.sqrt(squares(sizes.slice(rank)) / squares(sizes));
      expect((data as { error: number }).error).toBeCloseTo(lost, 5);
    }
  });

  test('what a LoRA has no place for is told with its share, and values that are no numbers are refused', async () => {
    const [norm, bias] = ['down_blocks.0.resnets.0.norm1.weight', 'down_blocks.0.resnets.0.conv1.bias'];
    const shift = (by: number) => (own: Float32Array) => own.map((value, i) => (i === 0 ? value + by : value));
    const tuned = await tunedFolder(new Map([[query, shift(3)], [norm, shift(4)], [bias, shift(12)]]));
    const out = join(temporaryFolder(), 'out.safetensors');
    const { text, data } = await extractCommand({ base, tuned, rank: 1, layout: 'kohya', dtype: 'f32', out }, context);
    expect(data).toMatchObject({ layers: [{ layer: `unet.${query.replace('.weight', '')}` }], others: expect.arrayContaining([`unet.${norm}`, `unet.${bias}`]) as unknown, absent: [] });
    // √(4² + 12²) of √(3² + 4² + 12²) = 13.
    expect((data as { othersShare: number }).othersShare).toBeCloseTo(Math.sqrt(160) / 13, 5);
    expect(text).toMatch(/no place for them: 2 tensors .*97\.3 % of the whole difference/);
    const broken = await tunedFolder(new Map([[query, shift(NaN)]]));
    expect((await refusalOf('extract.not-finite', () => extractCommand({ base, tuned: broken, rank: 1, layout: 'kohya', dtype: 'f32', out }, context))).message).toContain(broken);
  });

  test('from single files, and files of equal weights are refused', async () => {
    const file = goldenPath('checkpoints', 'sd15.safetensors');
    const model = openModel(file);
    const names = namedModel(model.files, 'unet');
    const name = [...openSafetensors(file).tensors].find(([key, { dtype }]) => key.endsWith('attn1.to_q.weight') && dtype === 'f32')![0];
    const tuned = join(temporaryFolder(), 'tuned.safetensors');
    await changedCopy(file, tuned, new Map([[name, (own: Float32Array) => own.map((value, i) => value + 0.5 * Math.sin(i % Math.sqrt(own.length)))]]));
    const out = join(temporaryFolder(), 'out.safetensors');
    await extractCommand({ base: file, tuned, rank: 1, layout: 'kohya', dtype: 'f32', out }, context);
    const found = readAdapter(out, names);
    expect(found.layers).toHaveLength(1);
    for await (const { path, merged } of mergedFile(found, model, runtime, names.layers)) expect(distance(merged, openModel(tuned).readF32(path)) / distance(model.readF32(path), openModel(tuned).readF32(path))).toBeLessThan(1e-5);
    await refusalOf('extract.same', () => extractCommand({ base: file, tuned: file, rank: 1, layout: 'kohya', dtype: 'f32', out }, context));
  });
});

async function weightsOf(file: string): Promise<Map<string, Float32Array>> {
  const all = new Map<string, Float32Array>();
  for await (const { path, merged } of mergedFile(readAdapter(file, named), baseModel, runtime, named.layers)) all.set(path, merged.slice());
  return all;
}

describe('resize of a DoRA', () => {
  test.each(['tucker_input', 'tucker_output', 'peft_dora'])('%s keeps its magnitudes and says what the weights lose', async (name) => {
    const file = goldenPath('foreign', `${name}.safetensors`);
    const before = await weightsOf(file);
    const errors: number[] = [];
    for (const rank of [3, 2, 1]) {
      const out = join(temporaryFolder(), 'out.safetensors');
      const { data } = await resizeCommand({ file, rank, base, out });
      const [own, resized] = [readAdapter(file, named), readAdapter(out, named)];
      for (const { path } of own.layers) expect(resized.values.get(`${path}.lora_magnitude_vector`)!.data).toEqual(own.values.get(`${path}.lora_magnitude_vector`)!.data);
      expect(Math.max(...resized.layers.map((layer) => layer.rank))).toBe(rank);
      const after = await weightsOf(out);
      let [lost, total] = [0, 0];
      for (const [path, weight] of before) {
        lost += distance(weight, after.get(path)!) ** 2;
        total += distance(weight, baseModel.readF32(path)) ** 2;
      }
      const { error } = data as { error: number };
      expect(Math.abs(error - Math.sqrt(lost / total))).toBeLessThan(2e-6);
      errors.push(error);
    }
    expect(errors[0]).toBeLessThan(1e-6);
    expect(errors[1]).toBeGreaterThan(0.01);
    expect(errors[2]).toBeGreaterThan(errors[1]!);
  });

  test('needs no base: magnitudes stay, B·A is cut as with it, and the error of the weights is not claimed', async () => {
    const file = goldenPath('foreign', 'peft_dora.safetensors');
    const [free, based] = [join(temporaryFolder(), 'free.safetensors'), join(temporaryFolder(), 'based.safetensors')];
    const { text } = await resizeCommand({ file, rank: 1, out: free });
    await resizeCommand({ file, rank: 1, base, out: based });
    expect(text).toMatch(/magnitudes as they were.*before magnitudes.*--base/s);
    const [one, other] = [readAdapter(free, named), readAdapter(based, named)];
    expect(one.axis).toBe('output');
    for (const [name, { data }] of other.values) expect(distance(one.values.get(name)!.data as Float32Array, data as Float32Array), name).toBeLessThan(1e-6);
    expect(one.metadata.has('adora.svd_error')).toBe(false);
    expect(other.metadata.get('adora.svd_error')).toBeDefined();
  });
});

test('a UNet by itself is base enough: the file leaves out what nothing tells', async () => {
  const folder = temporaryFolder();
  cpSync(join(base, 'unet'), join(folder, 'unet'), { recursive: true });
  const whole = await tunedFolder(new Map([['down_blocks.0.resnets.0.conv1.weight', planted('down_blocks.0.resnets.0.conv1.weight', 2)]]));
  const out = join(temporaryFolder(), 'out.safetensors');
  await extractCommand({ base: folder, tuned: whole, rank: 2, layout: 'kohya', dtype: 'f32', out }, context);
  const { metadata } = openSafetensors(out);
  expect(metadata.get('adora.base_sha256.unet')).toMatch(/^[0-9a-f]{64}$/);
  expect([metadata.has('modelspec.resolution'), metadata.has('modelspec.prediction_type')]).toEqual([false, false]);
  await convertCommand({ file: out, to: 'peft', base: folder, out: join(temporaryFolder(), 'peft.safetensors') });
});

describe('strength', () => {
  const painted = async (file: string, strength: number, axis?: 'output' | 'input') => (await openBasePainting({ base, adapter: [file], strength, ...(axis ? { axis } : {}) }, runtime)).baseModel;

  test.each(['tucker', 'tucker_input', 'tucker_output', 'peft_dora', 'peft_rslora', 'wrapper'])('%s: 0 is the base, 1 the adapter, and everything lies on the line between', async (name) => {
    const file = goldenPath('foreign', `${name}.safetensors`);
    const io = openSafetensors(goldenPath('foreign', 'io.safetensors'));
    for (const strength of [0, 1, 0.25, -0.5]) {
      const model = await painted(file, strength);
      for (const path of (await weightsOf(file)).keys()) {
        const [own, theirs] = [baseModel.readF32(path), io.readF32(`${name}.${path.slice('unet.'.length, -'.weight'.length)}`)];
        const wanted = own.map((value, i) => value + strength * (theirs[i]! - value));
        const found = model.readF32(path);
        if (strength === 0) expect(found).toEqual(own);
        else expect(distance(found, wanted) / distance(own, theirs), `${path} at ${strength}`).toBeLessThan(3e-6);
      }
    }
  });
});

describe('a file whose magnitudes could belong to rows or columns', () => {
  async function open(): Promise<string> {
    const path = join(temporaryFolder(), 'flat.safetensors');
    const module = 'lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q';
    const tensor = (name: string, shape: readonly number[]): TensorToWrite => ({ name: `${module}.${name}`, dtype: 'f32', shape, data: rng(4, name).fillNormal(new Float32Array(shape.reduce((a, b) => a * b, 1))) });
    await writeSafetensors(path, [tensor('lora_down.weight', [2, 8]), tensor('lora_up.weight', [8, 2]), tensor('dora_scale', [8])], {});
    return path;
  }

  test('is refused, and every command takes the answer that the sentence names', async () => {
    const file = await open();
    const out = join(temporaryFolder(), 'out.safetensors');
    expect(refusal('adapter.axis', () => readAdapter(file, named)).message).toContain('--axis');
    await refusalOf('adapter.axis', () => convertCommand({ file, to: 'kohya', base, out }));
    await convertCommand({ file, to: 'kohya', base, out, axis: 'input' });
    expect(readAdapter(out, named).axis).toBe('input');
    await resizeCommand({ file, rank: 1, base, axis: 'output', out });
    expect(readAdapter(out, named).axis).toBe('output');
    await mergeCommand({ files: [file], rank: 8, base, axis: 'output', out });
    expect(readAdapter(out, named).axis).toBe(null);
  });
});

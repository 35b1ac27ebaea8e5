// `adora probe` against what PyTorch, diffusers and PEFT recorded: prediction, loss and the gradient of every adapter tensor.
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { safetensorsBytes } from '../../src-main/files/safetensors-write.ts';
import { probeCommand } from '../../src-main/train/probe.ts';
import { writeFileSync } from 'node:fs';

const GOLDEN = 'tests/golden/unet';
const folder = mkdtempSync(join(tmpdir(), 'adora-probe-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const runs = readdirSync(GOLDEN).flatMap((name) => ['lora', 'dora', 'lora_conv', 'dora_conv'].filter((adapter) => existsSync(join(GOLDEN, name, `${adapter}.io.safetensors`))).map((adapter) => [name, adapter] as const));

/** ‖a − b‖ / ‖b‖ */
function relative(actual: Float32Array, expected: Float32Array): number {
  const square = (values: Float32Array): number => values.reduce((sum, value) => sum + value * value, 0);
  return Math.sqrt(square(actual.map((value, i) => value - expected[i]!)) / square(expected));
}

describe('what PEFT recorded', () => {
  test('there are recordings of several models, with convolutions too', () => {
    expect(runs.length).toBeGreaterThanOrEqual(10);
    expect(runs.some(([, adapter]) => adapter === 'dora_conv')).toBe(true);
  });

  test.each(runs)('%s with %s', async (name, adapter) => {
    const output = join(folder, `${name}-${adapter}.safetensors`);
    await probeCommand({ base: join(GOLDEN, name), adapter: join(GOLDEN, name, `${adapter}.safetensors`), input: join(GOLDEN, name, 'io.safetensors'), output, device: 'cpu', dtype: 'f32' });
    const [actual, expected] = [openSafetensors(output), openSafetensors(join(GOLDEN, name, `${adapter}.io.safetensors`))];
    expect([...actual.tensors.keys()].sort()).toEqual([...expected.tensors.keys()].sort());
    for (const [key, { shape }] of expected.tensors) {
      expect(actual.tensors.get(key)!.shape).toEqual(shape);
      const [found, wanted] = [actual.readF32(key), expected.readF32(key)];
      if (key === 'prediction') expect(Math.max(...found.map((value, i) => Math.abs(value - wanted[i]!)))).toBeLessThan(2e-5);
      else expect(relative(found, wanted), key).toBeLessThan(1e-4);
    }
  });

  test('without an adapter there is a prediction and a loss, and no gradient', async () => {
    const output = join(folder, 'base.safetensors');
    await probeCommand({ base: join(GOLDEN, 'sd1'), input: join(GOLDEN, 'sd1', 'io.safetensors'), output, device: 'cpu', dtype: 'f32' });
    const [actual, expected] = [openSafetensors(output), openSafetensors(join(GOLDEN, 'sd1', 'io.safetensors'))];
    expect([...actual.tensors.keys()].sort()).toEqual(['loss', 'prediction']);
    expect(relative(actual.readF32('prediction'), expected.readF32('prediction'))).toBeLessThan(1e-5);
  });
});

describe('what is asked for in other ways', () => {
  const sd1 = join(GOLDEN, 'sd1');
  const run = async (name: string, changes: Partial<Parameters<typeof probeCommand>[0]>) => {
    const output = join(folder, `${name}.safetensors`);
    await probeCommand({ base: sd1, input: join(sd1, 'io.safetensors'), output, device: 'cpu', dtype: 'f32', ...changes });
    return openSafetensors(output);
  };
  const rewrite = async (source: string, name: string, change: (key: string, data: Float32Array) => Float32Array, metadata = {}): Promise<string> => {
    const file = openSafetensors(source);
    const path = join(folder, name);
    const tensors = [...file.tensors].map(([key, { shape }]) => ({ name: key, dtype: 'f32' as const, shape, data: change(key, file.readF32(key)) }));
    writeFileSync(path, await safetensorsBytes(tensors, metadata));
    return path;
  };

  test('the strength of an adapter is alpha / rank; gradients are those of the tensors as they stand in the file', async () => {
    const adapter = join(sd1, 'dora.safetensors');
    const config = { 'unet.r': 4, 'unet.lora_alpha': 8, 'unet.use_dora': true };
    const halved = await rewrite(adapter, 'halved.safetensors', (key, data) => (key.includes('lora_B') ? data.map((value) => value / 2) : data), { lora_adapter_metadata: JSON.stringify(config) });
    const [plain, strong] = [await run('plain', { adapter }), await run('strong', { adapter: halved })];
    expect([...strong.tensors.keys()]).toEqual([...plain.tensors.keys()]);
    for (const key of plain.tensors.keys()) {
      const factor = key.includes('lora_B') ? 2 : 1;
      expect(relative(strong.readF32(key), plain.readF32(key).map((value) => value * factor)), key).toBeLessThan(1e-6);
    }
  });

  test('timesteps may be f32, and the base may be the folder of the denoiser or its file', async () => {
    const input = await rewrite(join(sd1, 'io.safetensors'), 'float-time.safetensors', (_, data) => data);
    const expected = (await run('integer-time', {})).readF32('prediction');
    for (const base of [join(sd1, 'unet'), join(sd1, 'unet', 'diffusion_pytorch_model.safetensors')]) {
      expect((await run('float-time-out', { input, base })).readF32('prediction')).toEqual(expected);
    }
  });

  test('without a target there is a prediction alone', async () => {
    const file = openSafetensors(join(sd1, 'io.safetensors'));
    const input = join(folder, 'no-target.safetensors');
    writeFileSync(input, await safetensorsBytes(['sample', 'timestep', 'encoder_hidden_states'].map((name) => ({ name, dtype: 'f32' as const, shape: file.tensors.get(name)!.shape, data: file.readF32(name) }))));
    expect([...(await run('untargeted', { input, adapter: join(sd1, 'lora.safetensors') })).tensors.keys()]).toEqual(['prediction']);
  });

  test('what is missing or not used is told', async () => {
    const input = join(folder, 'stranger.safetensors');
    const file = openSafetensors(join(sd1, 'io.safetensors'));
    const names = ['sample', 'timestep', 'encoder_hidden_states'];
    writeFileSync(input, await safetensorsBytes([...names.map((name) => ({ name, dtype: 'f32' as const, shape: file.tensors.get(name)!.shape, data: file.readF32(name) })),
      { name: 'targets', dtype: 'f32' as const, shape: [1], data: new Float32Array(1) }]));
    const { text, data } = await probeCommand({ base: sd1, input, output: join(folder, 'stranger-out.safetensors'), adapter: join(sd1, 'lora.safetensors'), device: 'cpu', dtype: 'f32' });
    expect(text).toMatch(/no "target", so there is no loss and no gradient\).*Not used of the input: "targets"$/);
    expect(data).toMatchObject({ loss: null, gradients: 0, unused: ['targets'] });
  });

  test('in f16 it is the same, rounded', async () => {
    const adapter = join(sd1, 'dora.safetensors');
    const [full, half] = [await run('full', { adapter }), await run('half', { adapter, dtype: 'f16' })];
    for (const key of full.tensors.keys()) expect(relative(half.readF32(key), full.readF32(key)), key).toBeLessThan(3e-2);
    expect(half.readF32('prediction')).not.toEqual(full.readF32('prediction'));
  });
});

describe('bad input', () => {
  const sd1 = join(GOLDEN, 'sd1');
  const probe = (changes: Partial<Parameters<typeof probeCommand>[0]>) =>
    probeCommand({ base: sd1, input: join(sd1, 'io.safetensors'), output: join(folder, 'bad.safetensors'), device: 'cpu', dtype: 'f32', ...changes });

  test('an input without a context', async () => {
    const path = join(folder, 'input.safetensors');
    writeFileSync(path, await safetensorsBytes([{ name: 'sample', dtype: 'f32', shape: [1, 4, 8, 8], data: new Float32Array(256) }, { name: 'timestep', dtype: 'f32', shape: [1], data: new Float32Array(1) }]));
    await expect(probe({ input: path })).rejects.toMatchObject({ name: 'UserError', message: expect.stringContaining('encoder_hidden_states') });
    expect(existsSync(join(folder, 'bad.safetensors'))).toBe(false);
  });

  test.each([
    ['sample', [2, 3, 8, 8], 'probe.input-shape'], ['timestep', [3], 'probe.input-shape'],
    ['encoder_hidden_states', [2, 7, 21], 'probe.input-shape'], ['target', [2, 4, 8, 9], 'probe.input-shape'],
  ])('%s of the shape %j', async (name, shape, code) => {
    const file = openSafetensors(join(sd1, 'io.safetensors'));
    const path = join(folder, `bad-${name}.safetensors`);
    const size = (of: readonly number[]): number => of.reduce((a, b) => a * b, 1);
    writeFileSync(path, await safetensorsBytes([...file.tensors.keys()].filter((key) => key !== 'target' || name === 'target').map((key) => {
      const own = key === name ? shape : file.tensors.get(key)!.shape;
      return { name: key, dtype: 'f32' as const, shape: own, data: new Float32Array(size(own)) };
    })));
    await expect(probe({ input: path })).rejects.toMatchObject({ code, message: expect.stringContaining(`"${name}"`) });
  });

  test('an adapter of another model', async () => {
    await expect(probe({ adapter: join(GOLDEN, 'sdxl', 'dora.safetensors') })).rejects.toMatchObject({ name: 'UserError' });
  });

  test('no such base', async () => {
    await expect(probe({ base: join(folder, 'nothing') })).rejects.toMatchObject({ name: 'UserError', message: expect.stringContaining('nothing') });
  });
});

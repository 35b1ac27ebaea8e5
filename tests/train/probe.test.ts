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

  test('an adapter of another model', async () => {
    await expect(probe({ adapter: join(GOLDEN, 'sdxl', 'dora.safetensors') })).rejects.toMatchObject({ name: 'UserError' });
  });

  test('no such base', async () => {
    await expect(probe({ base: join(folder, 'nothing') })).rejects.toMatchObject({ name: 'UserError', message: expect.stringContaining('nothing') });
  });
});

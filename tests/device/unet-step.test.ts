// A whole training step of a small UNet with a DoRA on the WebGPU provider (software adapter) equals what PEFT recorded.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { probeCommand } from '../../src-main/train/probe.ts';
import { relativeError } from '../ops/run-graph.ts';
import { missingWebGpu, useSwiftShader } from './swiftshader.ts';

useSwiftShader();

test.skipIf(missingWebGpu !== null).each(['lora', 'dora'])(`${missingWebGpu ?? 'webgpu'}: %s`, async (adapter) => {
  const golden = 'tests/golden/unet/sd1';
  const folder = mkdtempSync(join(tmpdir(), 'adora-device-'));
  try {
    const output = join(folder, 'out.safetensors');
    await probeCommand({ base: golden, adapter: join(golden, `${adapter}.safetensors`), input: join(golden, 'io.safetensors'), output, device: 'webgpu', dtype: 'f32' });
    const [actual, expected] = [openSafetensors(output), openSafetensors(join(golden, `${adapter}.io.safetensors`))];
    for (const key of expected.tensors.keys()) expect(relativeError(actual.readF32(key), expected.readF32(key)), key).toBeLessThan(2e-4);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

// Devices are found in processes of their own; a software adapter is told from a GPU.
import { describe, expect, test } from 'vitest';
import { findDevices } from '../../src-main/runtime/onnx/find-devices.ts';
import { chooseDevice } from '../../src-main/train/choose-runtime.ts';
import { missingWebGpu, useSwiftShader } from './swiftshader.ts';

useSwiftShader();

describe.skipIf(missingWebGpu !== null)(missingWebGpu ?? 'on a machine with software WebGPU alone', () => {
  test('it is found, and known for what it is', async () => {
    const found = await findDevices();
    expect(found.find(({ name }) => name === 'webgpu')).toMatchObject({ isUsable: true, isSoftware: true, hasF16: false, text: 'software adapter (SwiftShader)' });
    expect(found.at(-1)).toMatchObject({ name: 'cpu', isUsable: true, isSoftware: false });
  });

  test('auto does not take it, its name does', async () => {
    expect((await chooseDevice('auto')).name).toBe('cpu');
    expect((await chooseDevice('webgpu')).name).toBe('webgpu');
  });

  test('a device that is not there is an error with the names of those that are', async () => {
    await expect(chooseDevice('dml')).rejects.toMatchObject({ code: 'device.missing', message: expect.stringContaining('webgpu, cpu') });
  });
});

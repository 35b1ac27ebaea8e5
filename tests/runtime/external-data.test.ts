// Where sessions look for weights.
import { posix, win32 } from 'node:path';
import { describe, expect, test } from 'vitest';
import { commonFolder, dataFolder, dataPath } from '../../src-main/runtime/onnx/external-data.ts';

describe('the folder of weights', () => {
  test('is the deepest that all have in common', () => {
    expect(commonFolder(['/models/a/unet', '/models/a/vae', '/models/a/text'], posix)).toBe('/models/a');
    expect(commonFolder(['/models/a', '/models/ab'], posix)).toBe('/models');
    expect(commonFolder(['/a', '/b'], posix)).toBe('/');
    expect(commonFolder(['C:\\models\\a\\unet', 'C:\\models\\b'], win32)).toBe('C:\\models');
    expect(commonFolder([], posix)).toBeNull();
  });

  test('does not exist on two drives', () => {
    expect(commonFolder(['C:\\models\\a', 'D:\\vae'], win32)).toBeNull();
    expect(commonFolder(['\\\\server\\share\\a', 'D:\\vae'], win32)).toBeNull();
  });

  test('is then that of the most files; the others have no path in it', () => {
    const files = ['C:\\m\\unet\\1.safetensors', 'D:\\vae.safetensors', 'C:\\m\\unet\\2.safetensors', 'C:\\m\\text\\3.safetensors'];
    const folder = dataFolder(files, win32)!;
    expect(folder).toBe('C:\\m');
    expect(files.map((file) => dataPath(file, folder, win32))).toEqual(['unet/1.safetensors', null, 'unet/2.safetensors', 'text/3.safetensors']);
    expect(dataPath('/a/..b/c', '/a', posix)).toBe('..b/c');
    expect(dataPath('/b/c', '/a', posix)).toBeNull();
  });
});

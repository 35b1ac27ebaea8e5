import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { graphicsMemory, parseNvidia } from '../../src-main/runtime/onnx/graphics-memory.ts';

test('NVIDIA tells name, total and free memory of each card', () => {
  expect(parseNvidia('NVIDIA H100 80GB HBM3, 81559, 80994\nNVIDIA GeForce RTX 3060, 12288, [N/A]\n')).toEqual([
    { name: 'NVIDIA H100 80GB HBM3', total: 81559 * 2 ** 20, free: 80994 * 2 ** 20 },
    { name: 'NVIDIA GeForce RTX 3060', total: 12288 * 2 ** 20, free: null },
  ]);
  expect(parseNvidia('NVIDIA-SMI has failed because it could not communicate with the driver.\n')).toEqual([]);
});

test('amdgpu shows bytes in files; cards of other drivers are passed over', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'adora-drm-'));
  try {
    mkdirSync(join(folder, 'card0', 'device'), { recursive: true });
    mkdirSync(join(folder, 'card1', 'device'), { recursive: true });
    writeFileSync(join(folder, 'card1', 'device', 'mem_info_vram_total'), '17163091968\n');
    writeFileSync(join(folder, 'card1', 'device', 'mem_info_vram_used'), '1073741824\n');
    expect((await graphicsMemory(folder)).filter(({ name }) => name.startsWith('AMD'))).toEqual([{ name: 'AMD card1', total: 17163091968, free: 16089350144 }]);
    expect(await graphicsMemory(join(folder, 'none'))).not.toContainEqual(expect.objectContaining({ name: 'AMD card1' }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

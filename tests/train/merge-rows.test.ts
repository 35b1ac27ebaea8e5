// A weight too large for one piece: all pieces together are the formula's weight.
import { expect, test } from 'vitest';
import { rng } from '../../src-main/base/rng.ts';
import { sizeOf } from '../../src-main/base/shape.ts';
import { dora } from '../../src-main/catalog/adapters/dora.ts';
import { lora } from '../../src-main/catalog/adapters/lora.ts';
import type { Adapter } from '../../src-main/catalog/define/adapter.ts';
import { decodeF32, encodeTensor } from '../../src-main/files/convert.ts';
import type { TensorOutput } from '../../src-main/files/safetensors-copy.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import { f32, type HostTensor } from '../../src-main/runtime/runtime.ts';
import { RowMerger } from '../../src-main/train/merge-rows.ts';

// 660,600 elements: two pieces, of 551 and 550 rows.
const [ROWS, COLUMNS, RANK] = [1101, 600, 3];

test.each([
  ['lora', 'output', 'f32'], ['dora', 'output', 'f32'], ['dora', 'input', 'f32'], ['dora', 'input', 'bf16'], ['dora', 'input', 'f16'],
] as const)('%s, magnitudes per %s, base in %s', async (kind, axis, from) => {
  const adapter = { lora, dora }[kind] as unknown as Adapter;
  const settings = { rank: RANK, alpha: 2 * RANK, rsLora: false, dropout: 0, axis, norm: 'detached' } as never;
  const layer = { kind: 'linear' as const, path: 'layer', shape: [ROWS, COLUMNS] };
  const values = new Map<string, HostTensor>(adapter.parameters(layer, settings).map(({ name, shape }) => {
    const data = rng(1, name).fillNormal(new Float32Array(sizeOf(shape)));
    return [`layer.${name}`, f32(name.startsWith('lora_magnitude') ? data.map((value) => 1.5 + Math.abs(value)) : data.map((value) => value * 0.1), shape)];
  }));
  const base = encodeTensor(rng(1, 'base').fillNormal(new Float32Array(ROWS * COLUMNS)), from, 'base') as Uint8Array<ArrayBuffer>;
  const pieces: Uint8Array[] = [];
  const output = { give: async (bytes: Uint8Array) => void pieces.push(bytes.slice()) } as unknown as TensorOutput;
  const merger = new RowMerger(() => { throw new Error('no weights'); }, createOnnxRuntime({ device: 'cpu', threads: 1 }));
  await merger.merge({ layer, adapter, settings, values: (name) => values.get(name)! }, { name: 'base', from, to: 'f32', base, output });
  await merger.dispose();

  expect(pieces.map(({ byteLength }) => byteLength / 4 / COLUMNS)).toEqual([551, 550]);
  const merged = decodeF32(new Uint8Array(Buffer.concat(pieces)), 'f32');
  const wanted = formula(decodeF32(base, from), (name) => [...values].find(([key]) => key.includes(name))?.[1].data as Float32Array, axis);
  let worst = 0;
  for (let i = 0; i < wanted.length; i++) worst = Math.max(worst, Math.abs(merged[i]! - wanted[i]!));
  expect(worst).toBeLessThan(2e-5);
});

/** W + 2·B·A, and with magnitudes its rows or columns brought to their lengths (arXiv 2402.09353, section 4), in f64. */
function formula(base: Float32Array, of: (name: string) => Float32Array, axis: 'output' | 'input'): Float64Array {
  const [a, b, magnitude] = [of('lora_A'), of('lora_B'), of('magnitude') as Float32Array | undefined];
  const sum = Float64Array.from(base, (value, i) => {
    let product = 0;
    for (let r = 0; r < RANK; r++) product += b[Math.floor(i / COLUMNS) * RANK + r]! * a[r * COLUMNS + (i % COLUMNS)]!;
    return value + 2 * product;
  });
  if (!magnitude) return sum;
  const group = (i: number): number => (axis === 'output' ? Math.floor(i / COLUMNS) : i % COLUMNS);
  const squares = new Float64Array(magnitude.length);
  sum.forEach((value, i) => { squares[group(i)]! += value * value; });
  return sum.map((value, i) => (value * magnitude[group(i)]!) / Math.sqrt(squares[group(i)]!));
}

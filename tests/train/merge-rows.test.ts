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
import { refusalOf } from '../files/temporary.ts';

// 660,600 elements: two pieces, of 551 and 550 rows.
const [ROWS, COLUMNS, RANK] = [1101, 600, 3];

type Kind = 'lora' | 'dora';
type Axis = 'output' | 'input';
type Stored = 'f32' | 'f16' | 'bf16';

/** Merges random values into a base; one merger for all of a test. */
function subject(kind: Kind, axis: Axis) {
  const adapter = { lora, dora }[kind] as unknown as Adapter;
  const settings = { rank: RANK, alpha: 2 * RANK, rsLora: false, dropout: 0, axis, norm: 'detached' } as never;
  const merger = new RowMerger(() => { throw new Error('no weights'); }, createOnnxRuntime({ device: 'cpu', threads: 1 }));
  const merge = async (rows: number, base: Uint8Array<ArrayBuffer>, from: Stored, to: Stored) => {
    const layer = { kind: 'linear' as const, path: 'layer', shape: [rows, COLUMNS] };
    const values = new Map<string, HostTensor>(adapter.parameters(layer, settings).map(({ name, shape }) => {
      const data = rng(1, name).fillNormal(new Float32Array(sizeOf(shape)));
      return [`layer.${name}`, f32(name.startsWith('lora_magnitude') ? data.map((value) => 1.5 + Math.abs(value)) : data.map((value) => value * 0.1), shape)];
    }));
    const pieces: Uint8Array[] = [];
    const output = { give: async (bytes: Uint8Array) => void pieces.push(bytes.slice()) } as unknown as TensorOutput;
    await merger.merge({ layer, adapter, settings, values: (name) => values.get(name)! }, { name: 'base', from, to, base, output });
    const wanted = formula(decodeF32(base, from), (name) => [...values].find(([key]) => key.includes(name))?.[1].data as Float32Array, axis);
    return { pieces, merged: decodeF32(new Uint8Array(Buffer.concat(pieces)), to), wanted };
  };
  return { merge, dispose: () => merger.dispose() };
}

const baseOf = (rows: number, from: Stored, change = (values: Float32Array) => values): Uint8Array<ArrayBuffer> =>
  encodeTensor(change(rng(1, 'base').fillNormal(new Float32Array(rows * COLUMNS))), from, 'base') as Uint8Array<ArrayBuffer>;

function furthest(merged: Float32Array, wanted: Float64Array): number {
  let worst = 0;
  for (let i = 0; i < wanted.length; i++) worst = Math.max(worst, Math.abs(merged[i]! - wanted[i]!));
  return worst;
}

test.each([
  ['lora', 'output', 'f32'], ['dora', 'output', 'f32'], ['dora', 'input', 'f32'], ['dora', 'input', 'bf16'], ['dora', 'input', 'f16'],
] as const)('%s, magnitudes per %s, base in %s', async (kind, axis, from) => {
  const { merge, dispose } = subject(kind, axis);
  const { pieces, merged, wanted } = await merge(ROWS, baseOf(ROWS, from), from, 'f32');
  expect(pieces.map(({ byteLength }) => byteLength / 4 / COLUMNS)).toEqual([551, 550]);
  expect(furthest(merged, wanted)).toBeLessThan(2e-5);
  await dispose();
});

test('a whole weight of the size of a piece, before and after pieces of that size', async () => {
  const { merge, dispose } = subject('dora', 'input');
  for (const rows of [551, ROWS, 551]) {
    const { merged, wanted } = await merge(rows, baseOf(rows, 'f16'), 'f16', 'f16');
    // Half a unit in the last place of values below 8.
    expect(furthest(merged, wanted)).toBeLessThan(2 ** -9 + 1e-5);
  }
  await dispose();
});

test('what does not fit f16 is refused wherever it is, and what is infinite in the base stays', async () => {
  const { merge, dispose } = subject('lora', 'output');
  const withOne = (at: number, value: number) => (values: Float32Array) => values.fill(value, at, at + 1);
  for (const at of [3, ROWS * COLUMNS - 3]) {
    await refusalOf('safetensors.f16-overflow', () => merge(ROWS, baseOf(ROWS, 'f32', withOne(at, 65_600)), 'f32', 'f16'));
    expect((await merge(ROWS, baseOf(ROWS, 'f32', withOne(at, 65_400)), 'f32', 'f16')).merged[at]).toBeCloseTo(65_400, -2);
    expect((await merge(ROWS, baseOf(ROWS, 'f16', withOne(at, Infinity)), 'f16', 'f16')).merged[at]).toBe(Infinity);
  }
  await dispose();
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

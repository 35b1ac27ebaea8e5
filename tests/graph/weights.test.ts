// Frozen weights at byte offsets of the user's own safetensors files: no copy, no conversion on disk.
import { lstatSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createBuilder, type Builder } from '../../src-main/graph/builder.ts';
import { evaluate } from '../../src-main/graph/evaluate.ts';
import type { Value } from '../../src-main/graph/types.ts';
import { decodeF32, encodeTensor } from '../../src-main/files/convert.ts';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { writeSafetensors } from '../../src-main/files/safetensors-write.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import { f32, type WeightLocation } from '../../src-main/runtime/runtime.ts';
import { temporaryFolder } from '../files/temporary.ts';
import { valuesOf } from '../ops/oracle.ts';
import { expectClose } from '../ops/run-graph.ts';

const cpu = createOnnxRuntime({ device: 'cpu', threads: 1 });
type Stored = 'f32' | 'f16' | 'bf16';

interface Weight {
  readonly file: string;
  readonly key: string;
  readonly shape: readonly number[];
  readonly dtype: Stored;
}

/** Writes the weights into their files, runs the graph on them, and compares with the evaluator on the stored values. */
async function checkRun(weights: Readonly<Record<string, Weight>>, build: (g: Builder, x: Value) => Value, beforeRun: () => void = () => undefined, compute: 'f32' | 'f16' = 'f32'): Promise<void> {
  const values = new Map(Object.entries(weights).map(([path, { shape }], i) => [path, Float32Array.from(valuesOf({ shape }, i + 2))]));
  for (const file of new Set(Object.values(weights).map((weight) => weight.file))) {
    const own = Object.entries(weights).filter(([, weight]) => weight.file === file);
    // A filler of odd size in front, so that no offset is zero.
    const filler = { name: 'filler', dtype: 'f32' as const, shape: [3], data: new Float32Array(3) };
    await writeSafetensors(file, [filler, ...own.map(([path, { key, shape, dtype }]) => ({ name: key, dtype, shape, data: encodeTensor(values.get(path)!, dtype, key) }))]);
  }
  const locate = (path: string): WeightLocation => {
    const { file, key } = weights[path]!;
    const { offset, length } = openSafetensors(file).locate(key);
    expect(offset).toBeGreaterThan(8);
    return { kind: 'file', file, offset, length, isBf16: weights[path]!.dtype === 'bf16' };
  };
  const stored = new Map([...values].map(([path, data]) => {
    const { dtype } = weights[path]!;
    return [path, dtype === 'f32' ? data : decodeF32(encodeTensor(data, dtype, path) as Uint8Array<ArrayBuffer>, dtype, path)] as const;
  }));
  const g = createBuilder({ compute, storedDType: (path) => (weights[path]!.dtype === 'f16' ? 'f16' : 'f32') });
  const input = g.input('x', [2, 3]);
  const y32 = build(g, compute === 'f32' ? input : g.cast(input, { to: compute }));
  const graph = g.graph({ y: compute === 'f32' ? y32 : g.cast(y32, { to: 'f32' }) });
  const x = Float32Array.from(valuesOf({ shape: [2, 3] }, 1));
  const program = await cpu.compile(graph, { weights: locate, name: 'test' });
  beforeRun();
  const y = (await program.run(new Map([['x', cpu.upload(f32(x, [2, 3]))]]))).get('y')!;
  expectClose((await y.read()) as Float32Array, evaluate(graph, new Map([...stored, ['x', x]])).get('y')!.data, compute === 'f32' ? 1e-5 : 5e-3);
  await program.dispose();
}

const layer = (g: Builder, x: Value, path: string, out: number): Value => g.linear(x, g.param(`${path}.weight`, [out, x.shape.at(-1)!]), g.param(`${path}.bias`, [out]));

test('f32 and f16 weights of one file', async () => {
  const file = join(temporaryFolder(), 'model.safetensors');
  await checkRun({
    'a.weight': { file, key: 'a.weight', shape: [4, 3], dtype: 'f32' },
    'a.bias': { file, key: 'a.bias', shape: [4], dtype: 'f16' },
    'b.weight': { file, key: 'b.weight', shape: [3, 4], dtype: 'f16' },
    'b.bias': { file, key: 'b.bias', shape: [3], dtype: 'f32' },
  }, (g, x) => layer(g, layer(g, x, 'a', 4), 'b', 3));
});

test.each(['f32', 'f16'] as const)('weights in bf16, computed in %s: whole, and as rows', async (compute) => {
  const root = temporaryFolder();
  const file = join(root, 'model.safetensors');
  const rows = (g: Builder, start: number): Value => g.slice(g.param('a.weight', [4, 3]), { starts: [start, 0], sizes: [2, 3] });
  await checkRun({
    'a.weight': { file, key: 'a.weight', shape: [4, 3], dtype: 'bf16' }, 'a.bias': { file, key: 'a.bias', shape: [4], dtype: 'bf16' }, 'b.weight': { file, key: 'b.weight', shape: [3, 4], dtype: 'f32' }, 'b.bias': { file, key: 'b.bias', shape: [3], dtype: 'bf16' },
  }, (g, x) => g.concat([layer(g, layer(g, x, 'a', 4), 'b', 3), g.linear(x, rows(g, 2), null), g.linear(x, rows(g, 0), null)], { axis: 1 }), undefined, compute);
});

test('weights of several files in one segment, side by side and in folders below', async () => {
  const root = temporaryFolder();
  const files = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors', 'unet/deep/model.safetensors', 'text encoder/model.safetensors'];
  const [first, second, third, fourth] = files.map((name) => join(root, ...name.split('/'))) as [string, string, string, string];
  await checkRun({
    'a.weight': { file: first, key: 'weight', shape: [4, 3], dtype: 'f16' },
    'a.bias': { file: second, key: 'bias', shape: [4], dtype: 'f32' },
    'b.weight': { file: third, key: 'weight', shape: [3, 4], dtype: 'f32' },
    'b.bias': { file: fourth, key: 'bias', shape: [3], dtype: 'f16' },
  }, (g, x) => layer(g, layer(g, x, 'a', 4), 'b', 3));
});

test('files of different folders in different segments', async () => {
  const root = temporaryFolder();
  const place = (name: string, path: string, shape: readonly number[]): Weight => ({ file: join(root, name, 'model.safetensors'), key: path, shape, dtype: 'f32' });
  await checkRun({
    'a.weight': place('unet', 'weight', [4, 3]), 'a.bias': place('unet', 'bias', [4]),
    'b.weight': place('unet-two', 'weight', [3, 4]), 'b.bias': place('unet-two', 'bias', [3]),
  }, (g, x) => {
    const hidden = g.region('first', () => layer(g, x, 'a', 4));
    return g.region('second', () => layer(g, hidden, 'b', 3));
  });
});

test('files that links lead to, as in caches of downloads, and names of any characters', async () => {
  const root = temporaryFolder();
  const [blobs, snapshot] = [join(root, 'blobs'), join(root, 'snapshots', 'モデル ü %20 #[1]', 'unet')];
  mkdirSync(blobs);
  mkdirSync(snapshot, { recursive: true });
  const [linked, own] = [join(snapshot, 'model.safetensors'), join(snapshot, 'a b & 模型.safetensors')];
  writeFileSync(join(blobs, 'abc'), '');
  symlinkSync(join(blobs, 'abc'), linked);
  symlinkSync(blobs, join(root, 'elsewhere'));
  // A segment that has nothing but the link may not leave its folder.
  await checkRun({
    'a.weight': { file: linked, key: 'weight', shape: [4, 3], dtype: 'f32' }, 'a.bias': { file: linked, key: 'bias', shape: [4], dtype: 'f16' },
    'b.weight': { file: own, key: 'weight', shape: [3, 4], dtype: 'bf16' }, 'b.bias': { file: join(root, 'elsewhere', 'def'), key: 'bias', shape: [3], dtype: 'f32' },
  }, (g, x) => {
    const hidden = g.region('first', () => layer(g, x, 'a', 4));
    return g.region('second', () => layer(g, hidden, 'b', 3));
  }, () => expect(lstatSync(linked).isSymbolicLink()).toBe(true));
});

test('a program goes on when the file is moved meanwhile', async () => {
  const root = temporaryFolder();
  const file = join(root, 'unet', 'model.safetensors');
  mkdirSync(join(root, 'unet'));
  await checkRun({
    'a.weight': { file, key: 'weight', shape: [4, 3], dtype: 'f32' }, 'a.bias': { file, key: 'bias', shape: [4], dtype: 'f32' },
  }, (g, x) => layer(g, x, 'a', 4), () => {
    renameSync(join(root, 'unet'), join(root, 'elsewhere'));
    rmSync(join(root, 'elsewhere'), { recursive: true });
  });
});

test('rows of a weight are a range of its bytes, also where the whole is used beside them', async () => {
  const file = join(temporaryFolder(), 'model.safetensors');
  const rows = (g: Builder, path: string, start: number): Value => g.slice(g.param(path, [4, 3]), { starts: [start, 0], sizes: [2, 3] });
  const weights = { 'a.weight': { file, key: 'a', shape: [4, 3], dtype: 'f32' }, 'b.weight': { file, key: 'b', shape: [4, 3], dtype: 'f16' } } as const;
  await checkRun(weights, (g, x) => g.concat([
    g.linear(x, rows(g, 'a.weight', 0), null), g.linear(x, rows(g, 'a.weight', 2), null), g.linear(x, rows(g, 'b.weight', 1), null), g.linear(x, g.param('a.weight', [4, 3]), null),
  ], { axis: 1 }));
});

import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UserError } from '../../src-main/base/errors.ts';
import { f16BitsOf } from '../../src-main/base/half.ts';
import { encodeTensor } from '../../src-main/files/convert.ts';
import { bitsOf } from '../../src-main/files/file-dtype.ts';
import type { FileDType } from '../../src-main/files/file-dtype.ts';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { dataSectionHash, safetensorsBytes, writeSafetensors } from '../../src-main/files/safetensors-write.ts';
import type { TensorToWrite } from '../../src-main/files/safetensors-write.ts';
import { refusal, refusalOf, temporaryFolder } from './temporary.ts';
import { bytesOf } from './safetensors-bytes.ts';

const anyDtype = fc.constantFrom<FileDType>('f32', 'f16', 'bf16', 'f64', 'i64', 'i32', 'u8', 'bool', 'i8', 'i16', 'u16',
  'u32', 'u64', 'c64', 'f8_e4m3', 'f8_e5m2');
const anyText = fc.string({ unit: 'binary', maxLength: 12 });
const anyTensor = fc.record({
  name: fc.oneof(anyText, fc.constantFrom('__proto__', 'constructor', 'a.b', '😀', '\uffff')),
  dtype: anyDtype, shape: fc.array(fc.nat(4), { maxLength: 4 }), fill: fc.nat(255),
});
const anyTensors = fc.uniqueArray(anyTensor, { selector: ({ name }) => name, maxLength: 8 })
  .map((list) => list.map(({ name, dtype, shape, fill }, index): TensorToWrite => {
    const length = shape.reduce((a, b) => a * b, 1) * bitsOf(dtype) / 8;
    return { name, dtype, shape, data: Uint8Array.from({ length }, (_, at) => fill + at * 7 + index) };
  }));
const anyMetadata = fc.dictionary(anyText, anyText, { maxKeys: 4 });

describe('writing', () => {
  it('gives exactly these bytes', async () => {
    const bytes = await safetensorsBytes([
      { name: 'b', dtype: 'f16', shape: [1], data: Uint16Array.of(f16BitsOf(1)) },
      { name: 'z', dtype: 'f32', shape: [], data: Float32Array.of(2) },
      { name: 'a', dtype: 'f16', shape: [2, 1], data: Uint16Array.of(1, 2) },
    ], { k: 'v', format: 'pt' });
    const json = '{"__metadata__":{"format":"pt","k":"v"},"z":{"dtype":"F32","shape":[],"data_offsets":[0,4]},' +
      '"a":{"dtype":"F16","shape":[2,1],"data_offsets":[4,8]},"b":{"dtype":"F16","shape":[1],"data_offsets":[8,10]}}';
    const padded = json.padEnd(Math.ceil(json.length / 8) * 8);
    expect(Buffer.from(bytes)).toEqual(bytesOf(padded, Buffer.from([0, 0, 0, 64, 1, 0, 2, 0, 0, 60])));
  });

  it('gives the bytes that the reference implementation gives', async () => {
    // Digest of what safetensors 0.8.0 (save_file in Python) writes for the same tensors, given in another order.
    const bytes = await safetensorsBytes([
      { name: 'b', dtype: 'f16', shape: [2], data: Uint16Array.of(0x3c00, 0x4000) },
      { name: 'a.ü', dtype: 'bf16', shape: [1, 1], data: Uint16Array.of(0x3f80) },
      { name: 'z', dtype: 'f32', shape: [], data: Float32Array.of(2) },
      { name: 'q', dtype: 'i64', shape: [2], data: BigInt64Array.of(1n, -2n) },
      { name: 'w', dtype: 'u8', shape: [3], data: Uint8Array.of(1, 2, 3) },
      { name: 'e', dtype: 'f32', shape: [0, 4], data: new Uint8Array(0) },
      { name: 'f64', dtype: 'f64', shape: [1], data: Float64Array.of(0.5) },
      { name: 'i', dtype: 'i32', shape: [1], data: Int32Array.of(4) },
      { name: 'fp8', dtype: 'f8_e4m3', shape: [2], data: Uint8Array.of(1, 2) },
      { name: 'bo', dtype: 'bool', shape: [1], data: Uint8Array.of(1) },
    ], { format: 'pt' });
    expect(createHash('sha256').update(bytes).digest('hex')).toBe('17aba4512ced1f283b5c1fef29123418de0239e8b15d267514b520d6cf7686fb');
  });

  it('is read back, whatever the names, shapes, types and metadata, and does not depend on their order', async () => {
    const folder = temporaryFolder();
    await fc.assert(fc.asyncProperty(anyTensors, anyMetadata, async (tensors, metadata) => {
      const path = join(folder, 'x.safetensors');
      await writeSafetensors(path, tensors, metadata);
      const bytes = readFileSync(path);
      expect(bytes.equals(await safetensorsBytes([...tensors].reverse(), new Map(Object.entries(metadata).reverse()))))
        .toBe(true);
      const file = openSafetensors(path);
      expect(file.dataStart % 8).toBe(0);
      expect(new Set(file.tensors.keys())).toEqual(new Set(tensors.map(({ name }) => name)));
      expect(file.metadata).toEqual(new Map(Object.entries(metadata)));
      for (const { name, dtype, shape, data } of tensors) {
        expect(file.read(name)).toEqual({ dtype, shape, bytes: data });
        const { offset } = file.locate(name);
        expect(offset % (dtype === 'c64' ? 4 : bitsOf(dtype) / 8)).toBe(0);
      }
      const digest = createHash('sha256').update(bytes.subarray(file.dataStart)).digest('hex');
      expect(await dataSectionHash(tensors)).toBe(digest);
    }), { numRuns: 150, seed: 3 });
  });

  it('streams: each tensor is made when its turn comes, in pieces if it likes', async () => {
    const path = join(temporaryFolder(), 'x.safetensors');
    const log: string[] = [];
    await writeSafetensors(path, [
      { name: 'b', dtype: 'u8', shape: [5], data: async function* () {
        log.push('b begins');
        yield Uint8Array.of(1, 2);
        await Promise.resolve();
        yield Uint8Array.of(3, 4, 5);
        log.push('b ends');
      } },
      { name: 'c', dtype: 'u8', shape: [1], data: () => { log.push('c'); return [Uint8Array.of(9)]; } },
      { name: 'a', dtype: 'f32', shape: [1], data: async () => { log.push('a'); return Float32Array.of(1.5).subarray(0); } },
    ]);
    expect(log).toEqual(['a', 'b begins', 'b ends', 'c']);
    const file = openSafetensors(path);
    expect([...file.readF32('b'), ...file.readF32('a'), ...file.readF32('c')]).toEqual([1, 2, 3, 4, 5, 1.5, 9]);
  });

  it('leaves the old file when a tensor fails', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'x.safetensors');
    await writeSafetensors(path, [{ name: 'a', dtype: 'u8', shape: [1], data: Uint8Array.of(5) }]);
    const bad: (() => Uint8Array)[] = [() => { throw new UserError('train.nan', 'Not a number.'); }];
    for (const data of bad) {
      await refusalOf('train.nan', () => writeSafetensors(path, [
        { name: 'ok', dtype: 'u8', shape: [1], data: Uint8Array.of(1) }, { name: 'z', dtype: 'u8', shape: [1], data },
      ]));
    }
    await expect(writeSafetensors(path, [{ name: 'a', dtype: 'u8', shape: [2], data: Uint8Array.of(1) }]))
      .rejects.toThrow(/gave 1 bytes instead of 2/);
    expect([...openSafetensors(path).readF32('a')]).toEqual([5]);
    expect(readdirSync(folder)).toEqual(['x.safetensors']);
  });

  it('refuses what could not be read again', async () => {
    const tensor = (name: string): TensorToWrite => ({ name, dtype: 'u8', shape: [0], data: new Uint8Array(0) });
    await expect(safetensorsBytes([tensor('a'), tensor('a')])).rejects.toThrow(/twice/);
    await expect(safetensorsBytes([tensor('__metadata__')])).rejects.toThrow(/reserved/);
    await expect(safetensorsBytes([tensor('\ud800')])).rejects.toThrow(/half a character/);
    await expect(safetensorsBytes([], { a: 1 as unknown as string })).rejects.toThrow(/not a text/);
  });

  it('encodes f32 values, and refuses to make infinities of finite ones', () => {
    const values = Float32Array.of(1, -0, 65504, NaN, Infinity);
    expect([...new Uint16Array(encodeTensor(values, 'f16').slice().buffer)])
      .toEqual([0x3c00, 0x8000, 0x7bff, 0x7e00, 0x7c00]);
    expect([...new Uint16Array(encodeTensor(Float32Array.of(1, 1e30), 'bf16').slice().buffer)]).toEqual([0x3f80, 0x714a]);
    expect([...encodeTensor(Float32Array.of(0, 1).subarray(1), 'f32')]).toEqual([0, 0, 128, 63]);
    const error = refusal('safetensors.f16-overflow', () => encodeTensor(Float32Array.of(0, 65520), 'f16', 'up.weight'));
    expect(error.message).toContain('"up.weight"');
  });
});

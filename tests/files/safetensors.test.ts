import { appendFileSync, closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UserError } from '../../src-main/base/errors.ts';
import { decodeF32 } from '../../src-main/files/convert.ts';
import type { FileDType } from '../../src-main/files/file-dtype.ts';
import { ADAPTER_LIMITS } from '../../src-main/files/safetensors-header.ts';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { safetensorsBytes } from '../../src-main/files/safetensors-write.ts';
import { refusal, temporaryFolder } from './temporary.ts';
import { bytesOf, entry, fileOf, open } from './safetensors-bytes.ts';

describe('reading', () => {
  it('reads a file written by hand: order, alignment and padding are free', () => {
    const data = Buffer.concat([Buffer.from([7]), Buffer.from(Float32Array.of(1.5, -2).buffer), Buffer.from([0, 1])]);
    const header = ` \n{"b": ${entry('F32', [2, 1], [1, 9])}, "__metadata__": {"format": "pt", "x": "é"},
      "a": ${entry('U8', [], [0, 1])}, "none": ${entry('F16', [3, 0], [9, 9])}, "c": ${entry('BOOL', [2], [9, 11])}}  `;
    const file = open(header, data);
    expect([...file.tensors.keys()]).toEqual(['b', 'a', 'none', 'c']);
    expect(file.tensors.get('b')).toEqual({ dtype: 'f32', shape: [2, 1], begin: 1, end: 9 });
    expect([...file.metadata]).toEqual([['format', 'pt'], ['x', 'é']]);
    expect(file.dataStart).toBe(8 + Buffer.byteLength(header));
    expect([...file.readF32('b')]).toEqual([1.5, -2]);
    expect([...file.readF32('a')]).toEqual([7]);
    expect([...file.readF32('c')]).toEqual([0, 1]);
    expect([...file.readF32('none')]).toEqual([]);
    expect(file.read('a')).toEqual({ dtype: 'u8', shape: [], bytes: Uint8Array.of(7) });
    const place = file.locate('b');
    expect(place).toEqual({ file: file.path, offset: file.dataStart + 1, length: 8, dtype: 'f32', shape: [2, 1] });
    expect(readFileSync(place.file).subarray(place.offset, place.offset + 8)).toEqual(data.subarray(1, 9));
    expect(refusal('safetensors.no-tensor', () => file.read('missing')).message).toContain('"missing"');
  });

  it('takes an empty file list, null metadata and unknown fields, as the reference does', () => {
    expect(open('{}').tensors.size).toBe(0);
    expect(open('{"__metadata__":null}').metadata.size).toBe(0);
    expect(open('{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1],"more":{"x":[1.5,null,true]}}}', Buffer.alloc(1))
      .tensors.size).toBe(1);
  });

  it('treats names as data', () => {
    const names = ['__proto__', 'constructor', 'toString', '../../etc/passwd', '', 'ä\u0000'];
    const header = `{${names.map((name, index) =>
      `${JSON.stringify(name)}:${entry('U8', [1], [index, index + 1])}`).join(',')},
      "__metadata__":{"__proto__":"p","constructor":"c"}}`;
    const file = open(header, Buffer.from([0, 1, 2, 3, 4, 5]));
    names.forEach((name, index) => expect([...file.readF32(name)]).toEqual([index]));
    expect([...file.metadata]).toEqual([['__proto__', 'p'], ['constructor', 'c']]);
    expect(({} as Record<string, unknown>)['dtype']).toBeUndefined();
    refusal('safetensors.no-tensor', () => file.read('hasOwnProperty'));
  });

  it('converts every type it can', () => {
    const cases: [FileDType, ArrayBufferView, number[]][] = [
      ['f32', Float32Array.of(0.1, NaN, -Infinity), [Math.fround(0.1), NaN, -Infinity]],
      ['f16', Uint16Array.of(0x3c00, 0x7c00, 0x0001), [1, Infinity, 2 ** -24]],
      ['bf16', Uint16Array.of(0x3f80, 0xff80), [1, -Infinity]],
      ['f64', Float64Array.of(0.1, 1e300), [Math.fround(0.1), Infinity]],
      ['i64', BigInt64Array.of(-5n, 2n ** 53n + 1n), [-5, 2 ** 53]],
      ['u64', BigUint64Array.of(2n ** 64n - 1n), [2 ** 64]],
      ['i32', Int32Array.of(-7, 2 ** 31 - 1), [-7, 2 ** 31]],
      ['u32', Uint32Array.of(2 ** 32 - 1), [2 ** 32]],
      ['i16', Int16Array.of(-300), [-300]],
      ['u16', Uint16Array.of(65535), [65535]],
      ['i8', Int8Array.of(-1), [-1]],
      ['u8', Uint8Array.of(255), [255]],
      ['bool', Uint8Array.of(0, 1, 2), [0, 1, 1]],
    ];
    for (const [dtype, view, values] of cases) {
      const bytes = new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength);
      expect([...decodeF32(bytes, dtype)], dtype).toEqual(values);
    }
    for (const dtype of ['f8_e4m3', 'f8_e5m2', 'c64', 'f4'] as const) {
      const error = refusal('safetensors.unsupported-dtype', () => decodeF32(new Uint8Array(8), dtype, 'The "x"'));
      expect(error.message).toContain(dtype.toUpperCase());
    }
  });

  it('notices that the file was replaced', () => {
    const file = open(`{"a":${entry('U8', [1], [0, 1])}}`, Buffer.alloc(1));
    appendFileSync(file.path, 'x');
    refusal('files.changed', () => file.read('a'));
  });

  it('reads only the header when it opens', () => {
    // A sparse file of 100 GB: anything that reads it as a whole would not come back.
    const size = 100e9;
    const path = fileOf(bytesOf(`{"a":${entry('U8', [size - 4], [0, size - 4])},"b":${entry('F32', [1], [size - 4, size])}}`));
    const start = readFileSync(path).length;
    const bytes = Buffer.alloc(4);
    bytes.writeFloatLE(3.5);
    writeAt(path, bytes, start + size - 4);
    const file = openSafetensors(path);
    expect(file.locate('b').offset).toBe(start + size - 4);
    expect([...file.readF32('b')]).toEqual([3.5]);
  });
});

function writeAt(path: string, bytes: Buffer, position: number): void {
  const file = openSync(path, 'r+');
  writeSync(file, bytes, 0, bytes.length, position);
  closeSync(file);
}

describe('the checks of the reference reader', () => {
  const path = (bytes: Uint8Array): string => fileOf(bytes);
  const one = (dtype: string, shape: unknown, offsets: unknown): string => `{"a":${entry(dtype, shape, offsets)}}`;

  it('1: a file of fewer than 8 bytes', () => {
    for (let size = 0; size < 8; size++) {
      const error = refusal('safetensors.too-short', () => openSafetensors(path(Buffer.alloc(size, 1))));
      expect(error.message).toContain('again');
    }
  });

  it('2: a header of more than 100,000,000 bytes', () => {
    const file = path(Buffer.concat([bytesOf('{}', undefined, 100_000_001n)]));
    refusal('safetensors.header-too-large', () => openSafetensors(file));
    // The limit itself passes this check and fails the next.
    refusal('safetensors.header-beyond-end', () => open('{}', undefined, 100_000_000n));
    refusal('safetensors.header-too-large', () => open('{}', undefined, 2n ** 64n - 1n));
    const padded = path(bytesOf(`{}${' '.repeat(17 * 1024 * 1024)}`));
    expect(openSafetensors(padded).tensors.size).toBe(0);
    refusal('safetensors.header-too-large', () => openSafetensors(padded, ADAPTER_LIMITS));
  });

  it('3: a header beyond the end of the file', () => {
    const error = refusal('safetensors.header-beyond-end', () => open('{}', undefined, 3n));
    expect(error.message).toContain('again');
  });

  it('4: a header that is not UTF-8', () => {
    refusal('safetensors.header-not-utf8', () => open(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d])));
    // An overlong encoding, a surrogate.
    refusal('safetensors.header-not-utf8', () => open(Buffer.from('{"\xc0\x80":1}', 'latin1')));
    refusal('safetensors.header-not-utf8', () => open(Buffer.from('{"\xed\xa0\x80":1}', 'latin1')));
  });

  it.each([
    '', 'x', '[]', 'null', '1', '"a"', '{', '{"a"}', '{"a":}', '{"a":1}', '{"a":[]}', '{"a":{}}', '{},', '{}x', "{'a':1}",
    '{"a":{"dtype":"U8","shape":[]}}', '{"a":{"dtype":"U8","data_offsets":[0,0]}}', '\ufeff{}',
    '{"a":{"shape":[],"data_offsets":[0,1]}}', '{"a":{"dtype":1,"shape":[],"data_offsets":[0,1]}}',
    '{"a":{"dtype":"U8","shape":{},"data_offsets":[0,1]}}', '{"a":{"dtype":"U8","shape":[],"data_offsets":[0]}}',
    '{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1,1]}}', '{"\\ud800":1}', `{"a":${'['.repeat(100_000)}`, '{"a\n":1}',
  ])('4: a header that is not the right JSON: %j', (header) => {
    refusal('safetensors.header-invalid', () => open(header, Buffer.alloc(1)));
  });

  it('4: an unknown type, metadata that are not texts', () => {
    for (const dtype of ['F7', 'f32', '', '__proto__']) {
      const error = refusal('safetensors.unknown-dtype', () => open(one(dtype, [1], [0, 1]), Buffer.alloc(1)));
      expect(error.message).toContain('"a"');
    }
    for (const metadata of ['1', '"x"', '[]', '{"a":1}', '{"a":null}', '{"a":{}}', '{"a":["x"]}']) {
      refusal('safetensors.metadata', () => open(`{"__metadata__":${metadata}}`));
    }
  });

  it('5: holes, overlaps, aliases, wrong order', () => {
    const two = (a: number[], b: number[]): string => `{"a":${entry('U8', [2], a)},"b":${entry('U8', [2], b)}}`;
    for (const header of [two([0, 2], [1, 3]), two([0, 2], [0, 2]), two([0, 2], [3, 5]), two([1, 3], [3, 5]),
      one('U8', [0], [1, 1]), one('U8', [1], [1, 0]), one('U8', [2], [2, 0])]) {
      refusal('safetensors.offsets', () => open(header, Buffer.alloc(5)));
    }
    expect(open(two([2, 4], [0, 2]), Buffer.alloc(4)).tensors.size).toBe(2);
  });

  it('6: a size that overflows', () => {
    for (const shape of [[2 ** 53 - 1, 2 ** 53 - 1], [2 ** 32, 2 ** 32], [2 ** 53 - 1, 2, 0], [2 ** 51]]) {
      refusal('safetensors.overflow', () => open(one('F32', shape, [0, 1]), Buffer.alloc(1)));
    }
  });

  it('7: a size that is no whole number of bytes', () => {
    refusal('safetensors.misaligned', () => open(one('F4', [3], [0, 2]), Buffer.alloc(2)));
    refusal('safetensors.misaligned', () => open(one('F6_E2M3', [5], [0, 4]), Buffer.alloc(4)));
    expect(open(one('F6_E2M3', [4], [0, 3]), Buffer.alloc(3)).tensors.get('a')!.dtype).toBe('f6_e2m3');
  });

  it('8: a byte range that does not fit the shape', () => {
    for (const [dtype, shape, length] of [['F32', [2], 4], ['F16', [], 4], ['U8', [0], 1], ['I64', [1, 1], 0]] as const) {
      const error = refusal('safetensors.tensor-size', () =>
        open(one(dtype, shape, [0, length]), Buffer.alloc(length)));
      expect(error.message).toContain('"a"');
    }
  });

  it('9: a file that is cut short or goes on', () => {
    const header = one('F32', [4], [0, 16]);
    expect(open(header, Buffer.alloc(16)).tensors.size).toBe(1);
    for (const length of [0, 1, 15]) {
      const error = refusal('safetensors.truncated', () => open(header, Buffer.alloc(length)));
      expect(error.message).toContain(`${16 - length} bytes are missing`);
      expect(error.message).toContain('download');
    }
    for (const length of [17, 1000]) {
      refusal('safetensors.trailing-bytes', () => open(header, Buffer.alloc(length)));
    }
  });

  it('names the file in every refusal', () => {
    const file = path(bytesOf(one('F32', [4], [0, 16])));
    expect(refusal('safetensors.truncated', () => openSafetensors(file)).message).toContain(`"${file}"`);
  });
});

describe('further checks', () => {
  it('a name that is there twice, however it is written', () => {
    const tensor = entry('U8', [1], [0, 1]);
    for (const header of [`{"a":${tensor},"a":${tensor}}`, `{"a":${tensor},"\\u0061":${tensor}}`,
      '{"__metadata__":{"x":"1","x":"2"}}', '{"__metadata__":{},"__metadata__":{}}',
      '{"a":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}}']) {
      refusal('safetensors.duplicate-key', () => open(header, Buffer.alloc(1)));
    }
  });

  it('numbers that are not plain non-negative safe integers', () => {
    for (const number of ['1.0', '1e0', '-1', '-0', '9007199254740992', '18446744073709551616', '"1"', 'null', 'true',
      '[1]', '{"integer":1}', '1e400']) {
      for (const header of [`{"a":{"dtype":"U8","shape":[${number}],"data_offsets":[0,1]}}`,
        `{"a":{"dtype":"U8","shape":[1],"data_offsets":[${number},1]}}`,
        `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,${number}]}}`]) {
        refusal('safetensors.number', () => open(header, Buffer.alloc(1)));
      }
    }
    refusal('safetensors.header-invalid', () => open('{"a":{"dtype":"U8","shape":[01],"data_offsets":[0,1]}}'));
  });

  it('more tensors than allowed', () => {
    const header = `{${Array.from({ length: 11 }, (_, index) => `"${index}":${entry('U8', [0], [0, 0])}`).join(',')}}`;
    const file = fileOf(bytesOf(header));
    expect(openSafetensors(file).tensors.size).toBe(11);
    refusal('safetensors.too-many-tensors', () => openSafetensors(file, { maxTensors: 10 }));
  });

  it.each([
    ['files.pickle', Buffer.from('PK\x03\x04\x00\x00\x08\x08rest of a zip archive with a pickle in it', 'latin1')],
    ['files.pickle', Buffer.from('\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.', 'latin1')],
    ['files.gguf', Buffer.from('GGUF\x03\x00\x00\x00and so on, a long file', 'latin1')],
    ['files.git-lfs', Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n')],
    ['files.web-page', Buffer.from('<!DOCTYPE html><html><body>Please log in</body></html>')],
    ['files.web-page', Buffer.from('<html>')],
  ])('%s: another kind of file, by content and whatever its name', (code, bytes) => {
    for (const name of ['model.safetensors', 'model.ckpt', 'a.bin']) {
      expect(refusal(code, () => openSafetensors(fileOf(bytes, name))).message).toContain(name);
    }
  });

  it('a missing file, a folder', () => {
    const folder = temporaryFolder();
    expect(refusal('files.not-found', () => openSafetensors(join(folder, 'no'))).message).toContain(join(folder, 'no'));
    refusal('files.is-a-folder', () => openSafetensors(folder));
  });

  it('reads long texts, and refuses long nonsense, without running out of stack', () => {
    const long = '\\"ä'.repeat(4_000_000);
    expect(open(JSON.stringify({ __metadata__: { long } })).metadata.get('long')).toBe(long);
    for (const header of [`{"${'x'.repeat(20_000_000)}`, `{"a":${'1'.repeat(20_000_000)}}`, `{"a":${'[0,'.repeat(1_000_000)}`,
      `{"${'\\'.repeat(20_000_000)}`]) {
      refusal('safetensors.header-invalid', () => open(header));
    }
  });

  it('hostile names do not get into messages raw', () => {
    const name = `\u001b[31m\n\u202e${'x'.repeat(5000)}`;
    const error = refusal('safetensors.tensor-size', () =>
      open(`{${JSON.stringify(name)}:${entry('U8', [2], [0, 1])}}`, Buffer.alloc(1)));
    expect(error.message.length).toBeLessThan(600);
    expect(error.message).not.toMatch(/[\u001b\u202e]/);
  });
});

describe('hostile files', () => {
  // Whatever the bytes are: either a file that holds together, or a refusal that is meant for the user.
  function tryOpen(path: string): string {
    try {
      const file = openSafetensors(path);
      let total = 0;
      for (const name of file.tensors.keys()) total += file.read(name).bytes.length;
      expect(file.dataStart + total).toBe(readFileSync(path).length);
      return 'opened';
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      expect(error.message).toMatch(/^[^\n]+\.$/);
      return error.code;
    }
  }

  it('changed bytes, cuts and insertions never do worse than a refusal', async () => {
    const folder = temporaryFolder();
    const original = Buffer.from(await safetensorsBytes([
      { name: 'a.weight', dtype: 'f32', shape: [2, 2], data: new Float32Array(4) },
      { name: 'b', dtype: 'f16', shape: [], data: new Uint16Array(1) },
      { name: 'empty', dtype: 'i64', shape: [0, 3], data: new Uint8Array(0) },
    ], { key: 'value' }));
    const path = join(folder, 'x.safetensors');
    const outcomes = new Map<string, number>();
    const digits = [...original.keys()].filter((at) => at > 8 && at < original.length - 18 && /\d/.test(
      String.fromCharCode(original[at]!)));
    const newDigit = fc.record({
      at: fc.constantFrom(...digits), remove: fc.constant(1),
      insert: fc.oneof(fc.nat(20).map(String), fc.constantFrom('-1', '1.5', '2e1', '9007199254740993', '"2"'))
        .map((text) => Buffer.from(text)),
    });
    const anyChange = fc.record({
      at: fc.oneof(fc.nat(original.length), fc.integer({ min: 0, max: 12 })), remove: fc.nat(3),
      insert: fc.oneof(
        fc.uint8Array({ maxLength: 3 }).map((bytes) => Buffer.from(bytes)),
        fc.constantFrom('"', '{', '}', '[', ']', ',', ':', '-', '1', '0', '9', '1e9', '\\', '\\u0000', 'null', ' ')
          .map((text) => Buffer.from(text)),
      ),
    });
    fc.assert(fc.property(fc.array(fc.oneof(anyChange, newDigit), { minLength: 1, maxLength: 3 }), fc.boolean(), (changes, fixLength) => {
      let bytes: Buffer = original;
      for (const { at, remove, insert } of changes) {
        bytes = Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]);
      }
      if (fixLength && bytes.length >= 26) {
        // Let the changed header through to the deeper checks.
        bytes = Buffer.from(bytes);
        bytes.writeBigUInt64LE(BigInt(bytes.length - 8 - 18));
      }
      writeFileSync(path, bytes);
      const outcome = tryOpen(path);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }), { numRuns: 3000, seed: 2 });
    // The test means something only if it comes far.
    for (const outcome of ['opened', 'safetensors.header-invalid', 'safetensors.offsets', 'safetensors.tensor-size',
      'safetensors.header-not-utf8', 'safetensors.number', 'safetensors.header-too-large']) {
      expect(outcomes.get(outcome) ?? 0, outcome).toBeGreaterThan(0);
    }
  });

  it('headers of any JSON never do worse than a refusal', () => {
    const path = join(temporaryFolder(), 'x.safetensors');
    const number = fc.oneof(fc.nat(20), fc.integer(), fc.double(), fc.maxSafeInteger());
    const tensor = fc.record({
      dtype: fc.oneof(fc.constantFrom('F32', 'F16', 'F4', 'U8', 'C64'), fc.string(), fc.jsonValue()),
      shape: fc.oneof(fc.array(number, { maxLength: 3 }), fc.jsonValue()),
      data_offsets: fc.oneof(fc.tuple(number, number), fc.jsonValue()),
    }, { requiredKeys: [] });
    fc.assert(fc.property(
      fc.oneof(fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('__metadata__', '__proto__')),
        fc.oneof({ weight: 4, arbitrary: tensor }, { weight: 1, arbitrary: fc.jsonValue() })), fc.jsonValue()),
      fc.uint8Array({ maxLength: 24 }),
      (json, data) => {
        writeFileSync(path, bytesOf(JSON.stringify(json), data));
        tryOpen(path);
      },
    ), { numRuns: 2000, seed: 5 });
  });

  it('random bytes never do worse than a refusal', () => {
    const path = join(temporaryFolder(), 'x.safetensors');
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      writeFileSync(path, bytes);
      expect(tryOpen(path)).not.toBe('opened');
    }), { numRuns: 500, seed: 6 });
  });
});

// Index files from strangers: whatever stands in one, either it is read as it says, from its own folder, or it is refused.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { UserError } from '../../src-main/base/errors.ts';
import { openSharded } from '../../src-main/files/sharded.ts';
import { writeSafetensors } from '../../src-main/files/safetensors-write.ts';

const root = mkdtempSync(join(tmpdir(), 'adora-index-'));
const folder = join(root, 'model');
const index = join(folder, 'model.safetensors.index.json');
const SHARDS: Readonly<Record<string, readonly string[]>> = { 'one.safetensors': ['a', 'b', '__proto__'], 'two.safetensors': ['c', 'constructor'] };

beforeAll(async () => {
  for (const place of [folder, join(folder, 'sub'), root]) {
    mkdirSync(place, { recursive: true });
    for (const [name, keys] of Object.entries(SHARDS)) {
      await writeSafetensors(join(place, name), keys.map((key, i) => ({ name: key, dtype: 'f32' as const, shape: [2], data: Float32Array.of(i, place === folder ? 1 : 666) })));
    }
  }
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Null when the index is refused. */
function open(text: string): ReturnType<typeof openSharded> | null {
  writeFileSync(index, text);
  try {
    return openSharded(index);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    expect(error.message).toMatch(/^[^\n]+\.$/);
    return null;
  }
}

const key = fc.oneof(fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor', 'toString', ''), fc.string({ maxLength: 6 }));
const piece = fc.constantFrom('one', 'two', '.safetensors', '.', '..', '/', '\\', ':', '\u0000', 'sub', '~', '%2e', ' ', 'ONE', '\n', 'é');
const fileName = fc.oneof(fc.constantFrom('one.safetensors', 'two.safetensors', '../one.safetensors', 'sub/one.safetensors', join(root, 'one.safetensors')), fc.array(piece, { maxLength: 5 }).map((parts) => parts.join('')));

describe('an index', () => {
  test('of right names is read as it says, whatever their order', () => {
    const all = Object.entries(SHARDS).flatMap(([file, keys]) => keys.map((name) => [name, file] as const));
    fc.assert(fc.property(fc.subarray(all, { minLength: 1 }), (entries) => {
      const file = open(`{"weight_map":{${entries.map(([name, shard]) => `${JSON.stringify(name)}:${JSON.stringify(shard)}`).join(',')}}}`)!;
      expect([...file.tensors.keys()]).toEqual(entries.map(([name]) => name));
      for (const [name, shard] of entries) expect([...file.readF32(name)]).toEqual([SHARDS[shard]!.indexOf(name), 1]);
      expect(new Set(file.files.map(({ path }) => path))).toEqual(new Set(entries.map(([, shard]) => join(folder, shard))));
    }), { seed: 3, numRuns: 50 });
  });

  test('never leads out of its folder, and never to a tensor that is not there', () => {
    fc.assert(fc.property(fc.array(fc.tuple(key, fileName), { maxLength: 5 }), (entries) => {
      const file = open(JSON.stringify({ weight_map: Object.fromEntries(entries) }));
      for (const name of file?.tensors.keys() ?? []) {
        expect(dirname(file!.locate(name).file)).toBe(folder);
        expect(file!.readF32(name)[1]).toBe(1);
      }
    }), { seed: 4, numRuns: 400 });
  });

  test('of any JSON is refused or read, and breaks nothing', () => {
    fc.assert(fc.property(fc.oneof(fc.json({ maxDepth: 3 }), fc.json().map((text) => `{"weight_map":${text}}`), fc.string()), (text) => {
      const file = open(text);
      if (file) expect([...file.tensors.keys()].every((name) => Object.values(SHARDS).some((keys) => keys.includes(name)))).toBe(true);
    }), { seed: 5, numRuns: 300 });
  });

  test('that is cut short or changed at a place is refused or still right', () => {
    const good = JSON.stringify({ metadata: { total_size: 40 }, weight_map: { a: 'one.safetensors', c: 'two.safetensors' } });
    fc.assert(fc.property(fc.nat(good.length - 1), fc.constantFrom('', '"', '/', '.', '0', '}', '\u0000'), (at, change) => {
      const file = open(good.slice(0, at) + change + good.slice(at + 1));
      for (const name of file?.tensors.keys() ?? []) expect(dirname(file!.locate(name).file)).toBe(folder);
    }), { seed: 6, numRuns: 200 });
  });
});

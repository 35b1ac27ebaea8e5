// A thread writes what it is given, in its places, and says what went wrong; a copy that fails leaves nothing behind.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BackgroundWriter, PIECE } from '../../src-main/files/background-writer.ts';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { writeChangedCopy, type ChangedTensor, type TensorToCopy } from '../../src-main/files/safetensors-copy.ts';
import { writeSafetensors } from '../../src-main/files/safetensors-write.ts';
import { refusalOf } from './temporary.ts';

let folder: string;
beforeAll(() => { folder = mkdtempSync(join(tmpdir(), 'adora-writer-')); });
afterAll(() => rmSync(folder, { recursive: true }));

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

test('bytes of its own memory and of others lie where they belong, and the hash is that of all in their order', async () => {
  const path = join(folder, 'written');
  const file = await open(path, 'w+');
  const writer = new BackgroundWriter(file.fd);
  const all: Buffer[] = [];
  let at = 5;
  // More pieces than there is memory for at once.
  for (let i = 0; i < 40; i++) {
    const bytes = randomBytes(i % 3 === 0 ? PIECE : 1000 + i);
    all.push(bytes);
    if (i % 2 === 0) {
      const memory = await writer.take();
      new Uint8Array(memory).set(bytes);
      writer.put(memory, bytes.length, at);
    } else {
      await writer.ready();
      writer.put(new Uint8Array(bytes).buffer, bytes.length, at);
    }
    at += bytes.length;
  }
  expect(await writer.finish()).toBe(sha256(Buffer.concat(all)));
  await writer.close();
  await file.close();
  expect(readFileSync(path).subarray(5).equals(Buffer.concat(all))).toBe(true);
});

test('pieces that leave something out, or write over something, are a mistake of ours', async () => {
  const file = await open(join(folder, 'gaps'), 'w+');
  const writer = new BackgroundWriter(file.fd);
  writer.put(new ArrayBuffer(10), 10, 5);
  for (const at of [14, 16]) expect(() => writer.put(new ArrayBuffer(10), 10, at)).toThrow(/pieces follow each other/);
  await writer.finish();
  await writer.close();
  await file.close();
});

test.skipIf(!existsSync('/dev/full'))('a full disk reaches whoever waits, and only once', async () => {
  const file = await open('/dev/full', 'w');
  const writer = new BackgroundWriter(file.fd);
  const memory = await writer.take();
  writer.put(memory, 10, 0);
  await expect(writer.finish()).rejects.toMatchObject({ code: 'ENOSPC' });
  await expect(writer.take()).rejects.toMatchObject({ code: 'ENOSPC' });
  await writer.close();
  await file.close();
});

test.skipIf(!existsSync('/dev/zero'))('a disk that gives back other bytes than it was given is found', async () => {
  const file = await open('/dev/zero', 'r+');
  for (const [byte, outcome] of [[0, 'right'], [1, 'EDIFFERS']] as const) {
    const writer = new BackgroundWriter(file.fd);
    writer.put(new Uint8Array(PIECE).buffer, PIECE, 0);
    const bytes = new Uint8Array(1 << 16);
    bytes[bytes.length - 1] = byte;
    writer.put(bytes.buffer, bytes.length, PIECE);
    if (outcome === 'right') expect(await writer.finish()).toBe(sha256(new Uint8Array(PIECE + (1 << 16))));
    else await expect(writer.finish()).rejects.toMatchObject({ code: outcome });
    await writer.close();
  }
  await file.close();
});

describe('a changed copy', () => {
  const shape = [1 << 21];
  let source: string;
  let tensors: TensorToCopy[];
  beforeAll(async () => {
    source = join(folder, 'source.safetensors');
    await writeSafetensors(source, ['a', 'b', 'c'].map((name, i) => ({ name, dtype: 'f32' as const, shape, data: new Float32Array(shape[0]!).fill(i + 1) })));
    const file = openSafetensors(source);
    tensors = [...file.tensors].map(([name, { dtype, shape: own }]) => ({ ...file.locate(name), name, dtype, shape: own }));
  });
  const copy = (target: string, change: ChangedTensor['write'], more: { from?: string; pause?: () => Promise<void> } = {}): Promise<string> =>
    writeChangedCopy(target, more.from ?? source, tensors, new Map([['b', { dtype: 'f32', wantsStored: true, write: change }]]), { metadata: {}, hashKey: 'hash', ...(more.pause ? { pause: more.pause } : {}) });
  const negated: ChangedTensor['write'] = async (stored, output) => {
    await output.write(new Uint8Array(new Float32Array(stored.buffer, stored.byteOffset, stored.byteLength / 4).map((value) => -value).buffer));
  };
  /** Nothing beside a file that was there before, which is as it was. */
  async function leavesNothing(work: (target: string) => Promise<unknown>): Promise<void> {
    const own = mkdtempSync(join(folder, 'target-'));
    const target = join(own, 'copy.safetensors');
    writeFileSync(target, 'earlier');
    await work(target);
    expect(readdirSync(own)).toEqual(['copy.safetensors']);
    expect(readFileSync(target, 'utf8')).toBe('earlier');
  }

  test('has the new tensor, the others as they were, and its own hash', async () => {
    const target = join(folder, 'copy.safetensors');
    const hash = await copy(target, negated);
    const file = openSafetensors(target);
    expect([...'abc'].map((name) => [...new Set(file.readF32(name))])).toEqual([[1], [-2], [3]]);
    expect(hash).toBe(sha256(readFileSync(target).subarray(file.dataStart)));
    expect(file.metadata.get('hash')).toBe(`0x${hash}`);
  });

  test('that a tensor breaks off, or that is stopped, leaves nothing', async () => {
    await leavesNothing((target) => expect(copy(target, () => Promise.reject(new Error('no such weight')))).rejects.toThrow('no such weight'));
    let calls = 0;
    await leavesNothing((target) => expect(copy(target, negated, { pause: async () => { if (++calls === 2) throw new Error('stopped'); } })).rejects.toThrow('stopped'));
  });

  test('of a file that became shorter meanwhile is refused, whether the missing part is copied or changed', async () => {
    for (const [last, share] of [['c', 0.9], ['b', 0.5]] as const) {
      const shorter = join(folder, `shorter-${last}.safetensors`);
      const bytes = readFileSync(source);
      writeFileSync(shorter, bytes);
      truncateSync(shorter, Math.floor(bytes.length * share));
      await leavesNothing(async (target) => {
        const error = await refusalOf('files.changed', () => copy(target, negated, { from: shorter }));
        expect(error.message).toContain(shorter);
      });
    }
    await leavesNothing((target) => refusalOf('files.not-found', () => copy(target, negated, { from: join(folder, 'gone.safetensors') })));
  });
});

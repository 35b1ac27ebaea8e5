import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { createBatches } from '../../src-main/dataset/batches.ts';
import { prepareDataset, type PreparedDataset } from '../../src-main/dataset/index.ts';
import type { DatasetItem } from '../../src-main/dataset/types.ts';
import { refusalOf, temporaryFolder } from '../files/temporary.ts';
import { dataSettings, plain, writePicture, writeSet, writeText } from './pictures.ts';

const prepare = (folders: string | object[], more: object = {}, options: object = {}): Promise<PreparedDataset> =>
  prepareDataset(
    dataSettings({ folders: typeof folders === 'string' ? [{ path: folders }] : folders, ...more }),
    { modelSize: { width: 64, height: 64 }, pixelStep: 8, seed: 1, ...options });
const namesOf = (items: readonly DatasetItem[]): string[] => items.map(({ path }) => path.split(/[\\/]/).at(-1)!);
const codes = ({ warnings }: PreparedDataset): string[] => warnings.map(({ code }) => code);

describe('preparing a data set', () => {
  it('puts pictures into the used buckets', async () => {
    const folder = temporaryFolder();
    await plain(join(folder, 'square.png'), 100, 100);
    await plain(join(folder, 'wide.webp'), 160, 96);
    await plain(join(folder, 'wide2.avif'), 165, 99);
    // Stored wide, shown tall.
    await sharp(await sharp({ create: { width: 160, height: 96, channels: 3, background: '#123' } }).jpeg().toBuffer())
      .withMetadata({ orientation: 6 }).toFile(join(folder, 'turned.jpg'));
    const set = await prepare(folder);
    expect(namesOf(set.items)).toEqual(['square.png', 'turned.jpg', 'wide.webp', 'wide2.avif']);
    const shapes = set.items.map(({ bucket }) => `${set.buckets[bucket]!.width}x${set.buckets[bucket]!.height}`);
    expect(shapes).toEqual(['64x64', '48x80', '80x48', '80x48']);
    expect(set.buckets.map(({ pictures, draws }) => [pictures, draws])).toEqual([[1, 1], [1, 1], [2, 2]]);
    expect(set.items[1]!.size).toEqual({ width: 96, height: 160 });
    expect(set.summary).toBe('4 pictures to train on; sizes 48 x 80 (1), 64 x 64 (1), 80 x 48 (2).');
    for (const { variants, bucket } of set.items) {
      expect(variants[0]!.target).toMatchObject({ width: set.buckets[bucket]!.width });
    }
    expect(codes(set)).toEqual(['dataset.no-caption']);
  });

  it('warns of enlarged and heavily cut pictures', async () => {
    const folder = temporaryFolder();
    await plain(join(folder, 'small.png'), 63, 63);
    await plain(join(folder, 'panorama.png'), 640, 64);
    await plain(join(folder, 'good.png'), 64, 64);
    const { warnings } = await prepare(folder);
    expect(warnings.find(({ code }) => code === 'dataset.enlarged')!.data)
      .toEqual({ files: [join(folder, 'small.png')] });
    expect(warnings.find(({ code }) => code === 'dataset.cropped')!.data)
      .toEqual({ files: [join(folder, 'panorama.png')] });
  });

  it('names all unusable files in one error', async () => {
    const folder = temporaryFolder();
    await plain(join(folder, 'good.png'));
    writeText(join(folder, 'empty.png'), '');
    writeText(join(folder, 'text.jpg'), 'hello, this is no picture');
    // A header that promises 200 million pixels.
    const huge = await sharp({ create: { width: 4, height: 4, channels: 3, background: '#000' } }).png().toBuffer();
    huge.writeUInt32BE(16000, 16);
    huge.writeUInt32BE(12500, 20);
    huge.writeUInt32BE(crc32(huge.subarray(12, 29)), 29);
    writeText(join(folder, 'huge.png'), huge);
    const error = await refusalOf('dataset.bad-files', () => prepare(folder));
    expect(error.message).toMatch(/^3 files.*empty\.png.*huge\.png.*text\.jpg/);
    expect(error.message).not.toContain('good.png');
    expect((error.data['files'] as { code: string }[]).map(({ code }) => code))
      .toEqual(['images.empty', 'images.too-large', 'images.kind']);
    const many = temporaryFolder();
    for (let index = 0; index < 13; index++) writeText(join(many, `${index + 10}.png`), '');
    expect((await refusalOf('dataset.bad-files', () => prepare(many))).message)
      .toMatch(/"[^"]*19\.png" \([^)]*\) and 3 more:/);
  });

  it('needs something to train on', async () => {
    const folder = await writeSet(temporaryFolder(), 2);
    await refusalOf('dataset.nothing-to-train', () => prepare([{ path: folder, regularization: true }]));
  });

  it('feeds batches', async () => {
    const folder = await writeSet(temporaryFolder(), 3);
    const general = await writeSet(temporaryFolder(), 5, 99);
    const set = await prepare([{ path: folder, repeats: 2 }, { path: general, regularization: true }], { flip: true });
    expect(set.buckets).toMatchObject([{ width: 64, height: 64, pictures: 8, draws: 11 }]);
    expect(set.summary).toBe('3 pictures to train on, 5 for prior preservation; sizes 64 x 64 (8).');
    expect(set.items.every(({ variants }) => variants.length === 2)).toBe(true);
    const batches = createBatches(set.items, { batchSize: 2, seed: 1 });
    expect(batches.drawsPerEpoch).toBe(12);
    expect(batches.at(0).entries.map(({ regularization }) => regularization)).toEqual([false, true]);
  });

  it('stops when told to', async () => {
    const folder = await writeSet(temporaryFolder(), 3);
    await expect(prepare(folder, {}, { signal: AbortSignal.abort(new Error('stop')) })).rejects.toThrow('stop');
  });

  it('has a fingerprint of what is trained, not of where it lies', async () => {
    const root = temporaryFolder();
    const folder = await writeSet(join(root, 'a'), 3);
    const before = await prepare(folder);
    renameSync(folder, join(root, 'b'));
    const moved = join(root, 'b');
    expect((await prepare(moved)).fingerprint).toBe(before.fingerprint);
    expect((await prepare(moved, { flip: true })).fingerprint).not.toBe(before.fingerprint);
    expect((await prepare(moved, { caption: { dropout: 0.1 } })).fingerprint).not.toBe(before.fingerprint);
    writeText(join(moved, '001.txt'), 'another caption');
    expect((await prepare(moved)).fingerprint).not.toBe(before.fingerprint);
  });
});

describe('holding out', () => {
  it('takes a share by content', async () => {
    const folder = await writeSet(temporaryFolder(), 20);
    const set = await prepare(folder, { holdout: 0.25, flip: true, crop: 'random' });
    expect(set.heldOut.length).toBe(5);
    expect([...namesOf(set.items), ...namesOf(set.heldOut)].toSorted()).toEqual(
      Array.from({ length: 20 }, (_, index) => `${String(index).padStart(3, '0')}.png`));
    expect(set.heldOut.every(({ variants }) => variants.length === 1)).toBe(true);
    expect(set.summary).toContain('15 pictures to train on, 5 held out');
    const again = await prepare(folder, { holdout: 0.25 }, { seed: 77 });
    expect(namesOf(again.heldOut)).toEqual(namesOf(set.heldOut));
    // Other names, other order: the same pictures.
    for (let index = 0; index < 20; index++) {
      const name = String(index).padStart(3, '0');
      renameSync(join(folder, `${name}.png`), join(folder, `x${99 - index}.png`));
    }
    const renamed = await prepare(folder, { holdout: 0.25 });
    expect(renamed.heldOut.map(({ contentHash }) => contentHash).toSorted())
      .toEqual(set.heldOut.map(({ contentHash }) => contentHash).toSorted());
  });

  it('keeps equal pictures on one side and takes at least one, never all', async () => {
    const folder = temporaryFolder();
    for (let index = 0; index < 6; index++) await plain(join(folder, `${index}.png`), 8, 8, [index % 2, 0, 0]);
    const set = await prepare(folder, { holdout: 0.01 });
    expect([set.items.length, set.heldOut.length]).toEqual([3, 1]);
    const one = temporaryFolder();
    await plain(join(one, 'a.png'));
    const alone = await prepare(one, { holdout: 0.5 });
    expect([alone.items.length, alone.heldOut.length]).toEqual([1, 0]);
    expect(codes(alone)).toContain('dataset.no-holdout');
  });

  it('leaves regularization pictures alone', async () => {
    const folder = await writeSet(temporaryFolder(), 4);
    const general = await writeSet(temporaryFolder(), 9, 99);
    const set = await prepare([{ path: general, regularization: true }, { path: folder }], { holdout: 0.5 });
    expect(set.heldOut.length).toBe(2);
    expect(set.heldOut.every(({ regularization }) => !regularization)).toBe(true);
  });

  it('takes a folder, and what lies in both is not trained', async () => {
    const folder = await writeSet(temporaryFolder(), 4);
    const other = await writeSet(temporaryFolder(), 2);
    await writePicture(join(other, 'new.png'), 8, 8, () => [1, 2, 3]);
    const set = await prepare(folder, { holdout: other });
    expect(namesOf(set.items)).toEqual(['002.png', '003.png']);
    expect(namesOf(set.heldOut)).toEqual(['000.png', '001.png', 'new.png']);
    expect(codes(set)).toEqual(expect.arrayContaining(['dataset.holdout-overlap', 'dataset.no-caption']));
    await refusalOf('dataset.holdout-all', () => prepare(folder, { holdout: folder }));
    // It must not be taken for the folder that is trained on.
    for (const path of [join(folder, 'nowhere'), join(folder, '000.png'), temporaryFolder()]) {
      await refusalOf('dataset.no-holdout-folder', () => prepare(folder, { holdout: path }));
    }
  });
});

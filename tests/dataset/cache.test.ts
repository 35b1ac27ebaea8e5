import { mkdirSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cacheKey, TensorCache } from '../../src-main/dataset/cache.ts';
import { prepareDataset } from '../../src-main/dataset/index.ts';
import { encodeLatents, type EncodeLatentsOptions } from '../../src-main/dataset/latents.ts';
import { MemoryStore } from '../../src-main/dataset/memory.ts';
import { encodeTexts, type EncodeTextsOptions } from '../../src-main/dataset/texts.ts';
import { refusalOf, temporaryFolder } from '../files/temporary.ts';
import { dataSettings, plain, writePicture, writeSet } from './pictures.ts';

const prepare = (folder: string, more: object = {}) => prepareDataset(
  dataSettings({ folders: [{ path: folder }], resolution: 8, ...more }),
  { modelSize: { width: 8, height: 8 }, pixelStep: 8, seed: 1 });

/** An "autoencoder" whose mean is the mean colour of each half of the picture, and which counts its calls. */
function halves(cacheDir: string, more: Partial<EncodeLatentsOptions> = {}) {
  const calls: number[] = [];
  const options: EncodeLatentsOptions = {
    cacheDir, encoderId: 'e1', ...more,
    encodePixels: (pixels, [count, , height, width]) => {
      calls.push(count);
      const mean = new Float32Array(count * 6);
      for (let plane = 0; plane < count * 3; plane++) {
        for (let index = 0; index < width * height; index++) {
          mean[plane * 2 + (index % width < width / 2 ? 0 : 1)]! += pixels[plane * width * height + index]!
            / (width * height / 2);
        }
      }
      const shape = [count, 3, 1, 2];
      return { mean: { shape, data: mean }, logvar: { shape, data: mean.map((value) => value - 1) } };
    },
  };
  return { options, calls };
}
const normal = (value: number): number => value / 127.5 - 1;
const close = (data: Float32Array, expected: number[]): void => {
  expect(data.length).toBe(expected.length);
  expected.forEach((value, index) => expect(data[index]).toBeCloseTo(value, 4));
};

describe('the cache', () => {
  const tensors = { mean: { shape: [2, 3], data: Float32Array.of(1, -0, 3, Infinity, 1e-40, 6) } };
  const key = cacheKey({ kind: 'test' });

  it('gives back what was written', async () => {
    const cache = new TensorCache(temporaryFolder());
    expect(await cache.read(key, ['mean'])).toBe(null);
    await cache.write(key, tensors);
    expect(cache.pathOf(key)).toBe(join(cache.folder, key.slice(0, 2), `${key}.safetensors`));
    expect(await cache.read(key, ['mean'])).toEqual(tensors);
    expect(await cache.read(key, ['mean', 'other'])).toBe(null);
  });

  it('takes damaged entries as missing and replaces them', async () => {
    const cache = new TensorCache(temporaryFolder());
    const path = cache.pathOf(key);
    const damages = [
      () => truncateSync(path, 40),
      () => truncateSync(path, 0),
      () => truncateSync(path, readFileSync(path).length - 4),
      () => writeFileSync(path, readFileSync(path).map((byte, index, { length }) =>
        (index === length - 2 ? byte ^ 1 : byte))),
      () => writeFileSync(path, 'this is no safetensors file at all'),
      () => { rmSync(path); mkdirSync(join(path, 'inside'), { recursive: true }); },
    ];
    for (const damage of damages) {
      await cache.write(key, tensors);
      expect(await cache.read(key, ['mean'])).not.toBe(null);
      damage();
      expect(await cache.read(key, ['mean']), String(damage)).toBe(null);
    }
    await cache.write(key, tensors);
    expect(await cache.read(key, ['mean'])).toEqual(tensors);
  });

  it('has keys of everything that matters', () => {
    const keys = [{}, { a: 1 }, { a: '1' }, { a: 2 }, { b: 1 }].map(cacheKey);
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(cacheKey({ a: 1 })).toBe(keys[1]);
  });
});

describe('memory', () => {
  it('forgets the longest unused first', () => {
    const store = new MemoryStore<string>(10, (text) => text.length);
    store.set('a', 'xxxx');
    store.set('b', 'xxxx');
    store.get('a');
    store.set('c', 'xxx');
    expect(['a', 'b', 'c'].map((key) => store.get(key) !== undefined)).toEqual([true, false, true]);
    store.set('big', 'x'.repeat(50));
    expect(['a', 'c', 'big'].map((key) => store.get(key) !== undefined)).toEqual([false, false, true]);
    store.set('big', 'x');
    store.set('d', 'x'.repeat(9));
    expect(store.get('big')).toBe('x');
  });
});

describe('latents', () => {
  it('are encoded once for each picture and variant, then read from the disk', async () => {
    const folder = temporaryFolder();
    await writePicture(join(folder, 'a.png'), 8, 8, (x) => (x < 4 ? [0, 51, 102] : [255, 204, 153]));
    await plain(join(folder, 'b.png'), 8, 8, [10, 20, 30]);
    await plain(join(folder, 'same as b.png'), 8, 8, [10, 20, 30]);
    const set = await prepare(folder, { flip: true });
    const cacheDir = temporaryFolder();
    const first = halves(cacheDir);
    const progress: [number, number][] = [];
    const store = await encodeLatents(set.items, set.background,
      { ...first.options, onProgress: (done, total) => progress.push([done, total]) });
    expect(first.calls).toEqual([1, 1, 1, 1]);
    expect(progress).toEqual([[1, 4], [2, 4], [3, 4], [4, 4]]);
    const left = [0, 51, 102].map(normal);
    const right = [255, 204, 153].map(normal);
    const { mean, logvar } = await store.moments(set.items[0]!, 0);
    expect(mean.shape).toEqual([3, 1, 2]);
    close(mean.data, [0, 1, 2].flatMap((channel) => [left[channel]!, right[channel]!]));
    close(logvar.data, [...mean.data].map((value) => value - 1));
    close((await store.moments(set.items[0]!, 1)).mean.data,
      [0, 1, 2].flatMap((channel) => [right[channel]!, left[channel]!]));
    close((await store.moments(set.items[2]!, 0)).mean.data, [10, 10, 20, 20, 30, 30].map(normal));

    const second = halves(cacheDir);
    const again = await encodeLatents(set.items, set.background, second.options);
    expect(second.calls).toEqual([]);
    for (const item of set.items) {
      expect(await again.moments(item, 1)).toEqual(await store.moments(item, 1));
    }
    // Without room in memory they come from the disk.
    const tight = await encodeLatents(set.items, set.background, { ...second.options, memoryBytes: 1 });
    expect(await tight.moments(set.items[0]!, 0)).toEqual(await store.moments(set.items[0]!, 0));
  });

  it('are made again for another encoder, background or crop, and where the cache is damaged', async () => {
    const folder = await writeSet(temporaryFolder(), 3);
    const cacheDir = temporaryFolder();
    const set = await prepare(folder);
    const count = async (more: Partial<EncodeLatentsOptions>, { items, background } = set): Promise<number> => {
      const { options, calls } = halves(cacheDir, more);
      await encodeLatents(items, background, options);
      return calls.reduce((sum, one) => sum + one, 0);
    };
    expect(await count({})).toBe(3);
    expect(await count({})).toBe(0);
    expect(await count({ encoderId: 'e2' })).toBe(3);
    expect(await count({}, { ...set, background: [1, 2, 3] })).toBe(3);
    expect(await count({}, await prepare(folder, { resolution: 16 }))).toBe(3);
    const shard = readdirSync(cacheDir)[0]!;
    const [name] = readdirSync(join(cacheDir, shard));
    truncateSync(join(cacheDir, shard, name!), 100);
    const counts = [await count({}), await count({ encoderId: 'e2' }),
      await count({}, { ...set, background: [1, 2, 3] }), await count({}, await prepare(folder, { resolution: 16 }))];
    expect(counts.reduce((sum, one) => sum + one, 0)).toBe(1);
  });

  it('are encoded in batches of one shape when wished', async () => {
    const folder = temporaryFolder();
    for (let index = 0; index < 5; index++) await plain(join(folder, `s${index}.png`), 64, 64, [index, 0, 0]);
    for (let index = 0; index < 3; index++) await plain(join(folder, `w${index}.png`), 80, 48, [index, 0, 0]);
    const set = await prepare(folder, { resolution: 64 });
    const { options, calls } = halves(temporaryFolder(), { batchSize: 2 });
    const store = await encodeLatents(set.items, set.background, options);
    expect(calls).toEqual([2, 2, 2, 1, 1]);
    for (const [index, item] of set.items.entries()) {
      const red = index < 5 ? index : index - 5;
      close((await store.moments(item, 0)).mean.data, [red, red, 0, 0, 0, 0].map(normal));
    }
  });

  it('name all pictures that cannot be decoded, and keep what was made before', async () => {
    const folder = temporaryFolder();
    for (let index = 0; index < 6; index++) {
      await writePicture(join(folder, `${index}.png`), 64, 64, (x, y) => [x * 3, y * 2, (x * y * (7 + index)) % 256]);
    }
    for (const index of [2, 4]) truncateSync(join(folder, `${index}.png`), 600);
    const set = await prepare(folder);
    const cacheDir = temporaryFolder();
    const { options, calls } = halves(cacheDir);
    const error = await refusalOf('dataset.bad-files', () => encodeLatents(set.items, set.background, options));
    expect(error.message).toMatch(/^2 files.*2\.png.*4\.png/);
    expect(calls.length).toBe(2);
    const rest = halves(cacheDir);
    await encodeLatents(set.items.filter((_, index) => index !== 2 && index !== 4), set.background, rest.options);
    expect(rest.calls.length).toBe(2);
  });

  it('stop when told to, and say when the cache is lost under them', async () => {
    const set = await prepare(await writeSet(temporaryFolder(), 4));
    const cacheDir = temporaryFolder();
    const stop = new AbortController();
    const { options, calls } = halves(cacheDir, {
      signal: stop.signal,
      onProgress: (done) => { if (done === 2) stop.abort(new Error('stopped')); },
    });
    await expect(encodeLatents(set.items, set.background, options)).rejects.toThrow('stopped');
    expect(calls.length).toBe(2);
    const store = await encodeLatents(set.items, set.background, halves(cacheDir, { memoryBytes: 1 }).options);
    rmSync(cacheDir, { recursive: true });
    await refusalOf('dataset.cache-lost', () => store.moments(set.items[0]!, 0));
  });
});

describe('text embeddings', () => {
  /** Embeds a text as its character codes. */
  function codes(cacheDir: string, more: Partial<EncodeTextsOptions> = {}) {
    const calls: string[][] = [];
    const options: EncodeTextsOptions = {
      cacheDir, encoderId: 't1', hasPooled: true,
      encodeText: (texts) => {
        calls.push([...texts]);
        const context = new Float32Array(texts.length * 8);
        texts.forEach((text, row) => context.set([...text].map((letter) => letter.codePointAt(0)!), row * 8));
        return {
          context: { shape: [texts.length, 4, 2], data: context },
          pooled: { shape: [texts.length, 1], data: Float32Array.from(texts, ({ length }) => length) },
        };
      },
      ...more,
    };
    return { options, calls };
  }

  it('are encoded once, kept on disk, and made on demand', async () => {
    const cacheDir = temporaryFolder();
    const first = codes(cacheDir);
    const progress: number[] = [];
    const store = await encodeTexts(['', 'abc', '', 'd'],
      { ...first.options, onProgress: (done) => progress.push(done) });
    expect(first.calls).toEqual([[''], ['abc'], ['d']]);
    expect(progress).toEqual([0, 1, 2, 3]);
    const two = await store.batch(['d', 'abc']);
    expect(two.context.shape).toEqual([2, 4, 2]);
    expect([...two.context.data]).toEqual([100, 0, 0, 0, 0, 0, 0, 0, 97, 98, 99, 0, 0, 0, 0, 0]);
    expect(two.pooled).toEqual({ shape: [2, 1], data: Float32Array.of(1, 3) });
    expect([...(await store.get('new')).context.data.subarray(0, 3)]).toEqual([110, 101, 119]);
    expect(first.calls.length).toBe(4);

    const second = codes(cacheDir);
    const again = await encodeTexts(['abc', 'new'], second.options);
    expect(await again.get('abc')).toEqual(await store.get('abc'));
    expect(await again.batch(['d', 'abc'])).toEqual(two);
    expect(second.calls).toEqual([]);
    const other = codes(cacheDir, { encoderId: 't2', batchSize: 2 });
    await encodeTexts(['', 'abc', 'd'], other.options);
    expect(other.calls).toEqual([['', 'abc'], ['d']]);
  });

  it('may come without a pooled part', async () => {
    const { options } = codes(temporaryFolder(), {
      hasPooled: false,
      encodeText: (texts) => ({ context: { shape: [texts.length, 1, 1], data: Float32Array.from(texts, Number) } }),
    });
    const store = await encodeTexts(['1'], options);
    expect(await store.batch(['1', '2'])).toEqual({ context: { shape: [2, 1, 1], data: Float32Array.of(1, 2) } });
  });
});

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';
import type { Sharp } from 'sharp';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UserError } from '../../src-main/base/errors.ts';
import { composite, decodeImage, encodePng, imageSize, sniffImage } from '../../src-main/files/images.ts';
import { insertPngText, readPngText } from '../../src-main/files/png-text.ts';
import { refusal, refusalOf, temporaryFolder } from './temporary.ts';

const noise = (width: number, height: number, channels: 1 | 2 | 3 | 4): Uint8Array =>
  Uint8Array.from({ length: width * height * channels }, (_, index) => (index * 37 + ((index * index) >> 3)) & 255);

const raw = (data: Uint8Array | Uint16Array, width: number, height: number, channels: 1 | 2 | 3 | 4): Sharp =>
  sharp(data, { raw: { width, height, channels } });

const plain = (r: number, g: number, b: number): Sharp =>
  sharp({ create: { width: 16, height: 16, channels: 3, background: { r, g, b } } });

/** A PNG of arbitrary chunks. */
function png(chunks: [type: string, data: Uint8Array][]): Buffer {
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), ...chunks.map(([type, data]) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const chunk = Buffer.alloc(body.length + 8);
    chunk.writeUInt32BE(data.length);
    body.copy(chunk, 4);
    chunk.writeUInt32BE(crc32(body), body.length + 4);
    return chunk;
  })]);
}

function header(width: number, height: number): Buffer {
  const data = Buffer.alloc(13);
  data.writeUInt32BE(width, 0);
  data.writeUInt32BE(height, 4);
  data.set([8, 2, 0, 0, 0], 8);
  return data;
}

describe('decodeImage', () => {
  it('gives the exact pixels of lossless files, from a path or from bytes', async () => {
    const pixels = noise(20, 30, 3);
    for (const file of [await raw(pixels, 20, 30, 3).png().toBuffer(),
      await raw(pixels, 20, 30, 3).webp({ lossless: true }).toBuffer()]) {
      const path = join(temporaryFolder(), 'Bild ä.xyz');
      writeFileSync(path, file);
      for (const source of [path, file]) {
        const image = await decodeImage(source);
        expect([image.width, image.height, image.channels]).toEqual([20, 30, 3]);
        expect(Buffer.from(image.data).equals(Buffer.from(pixels))).toBe(true);
      }
    }
  });

  it.each(['jpeg', 'avif'] as const)('reads %s', async (format) => {
    const image = await decodeImage(await plain(200, 100, 50).toFormat(format, { quality: 95 }).toBuffer());
    expect([image.width, image.height, image.channels]).toEqual([16, 16, 3]);
    [200, 100, 50].forEach((value, channel) => expect(Math.abs(image.data[channel]! - value)).toBeLessThan(5));
  });

  it('turns pictures upright for each EXIF orientation', async () => {
    // A red corner at the top left of the stored picture, and where it must be when shown.
    const width = 64;
    const height = 32;
    const stored = new Uint8Array(width * height * 3).fill(255);
    for (let y = 0; y < 16; y++) for (let x = 0; x < 16; x++) stored.set([255, 0, 0], (y * width + x) * 3);
    const corner = [['left', 'top'], ['right', 'top'], ['right', 'bottom'], ['left', 'bottom'],
      ['left', 'top'], ['right', 'top'], ['right', 'bottom'], ['left', 'bottom']];
    for (let orientation = 1; orientation <= 8; orientation++) {
      const file = await raw(stored, width, height, 3).withMetadata({ orientation }).jpeg({ quality: 100 }).toBuffer();
      const image = await decodeImage(file);
      const size = orientation >= 5 ? { width: height, height: width } : { width, height };
      expect({ width: image.width, height: image.height }).toEqual(size);
      expect(await imageSize(file)).toEqual(size);
      const [side, end] = corner[orientation - 1]!;
      const at = (x: number, y: number): number => image.data[(y * image.width + x) * 3 + 1]!;
      const x = side === 'left' ? 8 : image.width - 8;
      const y = end === 'top' ? 8 : image.height - 8;
      expect(at(x, y), `orientation ${orientation}`).toBeLessThan(60);
      expect(at(image.width - x, image.height - y), `orientation ${orientation}`).toBeGreaterThan(200);
    }
  });

  it('converts colours to sRGB by the ICC profile', async () => {
    const p3 = await plain(255, 0, 0).withIccProfile('p3').png().toBuffer();
    // The file itself holds smaller numbers, since P3 red is stronger.
    const stored = await sharp(p3, { ignoreIcc: true }).raw().toBuffer();
    expect([...stored.subarray(0, 3)]).not.toEqual([255, 0, 0]);
    const image = await decodeImage(p3);
    [255, 0, 0].forEach((value, channel) => expect(Math.abs(image.data[channel]! - value)).toBeLessThan(3));
    const cmyk = await decodeImage(await plain(0, 0, 0).toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer());
    expect(cmyk.channels).toBe(3);
    expect(cmyk.data[0]).toBeLessThan(60);
  });

  it('makes RGB of grey and palettes, and 8 bits of 16', async () => {
    const grey = await decodeImage(await raw(Uint8Array.of(1, 2, 3, 4), 2, 2, 1).toColourspace('b-w').png().toBuffer());
    expect([grey.channels, ...grey.data]).toEqual([3, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]);
    const greyAlpha = await raw(Uint8Array.of(1, 255, 3, 4), 2, 1, 2).toColourspace('b-w').png().toBuffer();
    expect([...(await decodeImage(greyAlpha)).data]).toEqual([1, 1, 1, 255, 3, 3, 3, 4]);
    expect([...(await decodeImage(greyAlpha, { background: [0, 0, 255] })).data]).toEqual([1, 1, 1, 0, 0, 251]);
    const deep = await raw(Uint16Array.of(0x1234, 0x8000, 0xffff, 0, 0xff00, 0x0180), 2, 1, 3)
      .toColourspace('rgb16').png().toBuffer();
    expect((await sharp(deep).metadata()).depth).toBe('ushort');
    const shallow = await decodeImage(deep);
    [0x12, 0x80, 0xff, 0, 0xff, 1].forEach((value, index) =>
      expect(Math.abs(shallow.data[index]! - value)).toBeLessThanOrEqual(1));
    const palette = await decodeImage(await plain(255, 0, 0).png({ palette: true }).toBuffer());
    expect([palette.channels, ...palette.data.subarray(0, 3)]).toEqual([3, 255, 0, 0]);
  });

  it('keeps alpha, and the colour under it, unless a background is stated', async () => {
    const pixels = Uint8Array.of(255, 0, 0, 128, 10, 20, 30, 0, 40, 50, 60, 255, 0, 255, 0, 51);
    const file = await raw(pixels, 4, 1, 4).png().toBuffer();
    const kept = await decodeImage(file);
    expect([kept.channels, ...kept.data]).toEqual([4, ...pixels]);
    const flat = await decodeImage(file, { background: [0, 100, 255] });
    expect([flat.channels, ...flat.data]).toEqual([3, 128, 50, 127, 0, 100, 255, 40, 50, 60, 0, 131, 204]);
    expect(composite(flat, [0, 0, 0])).toBe(flat);
    const opaque = await decodeImage(await plain(1, 2, 3).png().toBuffer(), { background: [9, 9, 9] });
    expect([...opaque.data.subarray(0, 3)]).toEqual([1, 2, 3]);
  });

  it.each(['png', 'jpeg', 'webp', 'avif'] as const)('refuses a %s that is cut short', async (format) => {
    const file = await raw(noise(64, 48, 3), 64, 48, 3).toFormat(format).toBuffer();
    // A PNG that lacks only the end mark, or the last sums, still has all its pixels.
    for (const cut of [40, file.length >> 2, file.length >> 1, file.length - 60, file.length - 16]) {
      const error = await refusalOf('images.damaged', () =>
        decodeImage(file.subarray(0, file.length - cut), { name: 'cat.png' }));
      expect(error.message).toContain('"cat.png"');
    }
  });

  it('refuses pictures with damaged pixels', async () => {
    const file = Buffer.from(await raw(noise(64, 48, 3), 64, 48, 3).png().toBuffer());
    file[file.length >> 1]! ^= 0xff;
    await refusalOf('images.damaged', () => decodeImage(file));
  });

  it('refuses too many pixels by the header alone', async () => {
    for (const [width, height] of [[20_000, 10_000], [150_000_001, 1], [2 ** 31 - 1, 2 ** 31 - 1]] as const) {
      const file = png([['IHDR', header(width, height)], ['IDAT', deflateSync(Buffer.alloc(10))],
        ['IEND', Buffer.alloc(0)]]);
      for (const work of [decodeImage, imageSize]) {
        try {
          await work(file);
          expect.fail('accepted');
        } catch (error) {
          if (!(error instanceof UserError)) throw error;
          // Beyond what the format's own library takes, it counts as damaged.
          expect(width > 1e6 ? ['images.too-large', 'images.damaged'] : ['images.too-large']).toContain(error.code);
        }
      }
    }
    const real = png([['IHDR', header(20_000, 10_000)], ['IDAT', deflateSync(Buffer.alloc(10))], ['IEND', Buffer.alloc(0)]]);
    expect((await refusalOf('images.too-large', () => decodeImage(real))).message).toContain('20000 x 10000');
  });

  it.each([
    ['svg', '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'], ['svg', '<?xml version="1.0"?><svg/>'],
    ['svg', '\ufeff  <!-- x --><svg/>'], ['pdf', '%PDF-1.7\n'], ['gif', 'GIF89a\x01\x00'], ['tiff', 'II*\x00\x08\x00'],
    ['bmp', 'BM\x00\x00'], ['psd', '8BPS\x00'], ['heic', '\0\0\0\x18ftypheic\0\0\0\0'], ['unknown', 'hello'],
    ['unknown', '\0'],
  ])('refuses %s', async (kind, start) => {
    const path = join(temporaryFolder(), 'picture.png');
    writeFileSync(path, start);
    const error = await refusalOf('images.kind', () => decodeImage(path));
    expect(error.data['kind']).toBe(kind);
    expect(error.message).toContain(path);
    await refusalOf('images.kind', () => imageSize(path));
  });

  it.each(['webp', 'gif'] as const)('refuses an animated %s instead of taking its first picture', async (format) => {
    const two = sharp(noise(8, 16, 3), { raw: { width: 8, height: 16, channels: 3, pageHeight: 8 } });
    const file = await two.toFormat(format, { delay: [100, 100] }).toBuffer();
    for (const work of [() => decodeImage(file, { name: 'cat' }), () => imageSize(file)]) {
      const error = await refusalOf(format === 'gif' ? 'images.kind' : 'images.animated', work);
      if (format === 'webp') expect(error.data['pages']).toBe(2);
    }
  });

  it('refuses an animated PNG, from memory and from a file, and takes one of a single frame', async () => {
    const still = await plain(1, 2, 3).png().toBuffer();
    /** The still picture with a chunk acTL behind its header. */
    const animated = (frames: number): Buffer => {
      const chunk = Buffer.concat([Buffer.from('acTL'), Buffer.alloc(8)]);
      chunk.writeUInt32BE(frames, 4);
      const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
      length.writeUInt32BE(8);
      sum.writeUInt32BE(crc32(chunk));
      return Buffer.concat([still.subarray(0, 33), length, chunk, sum, still.subarray(33)]);
    };
    const path = join(temporaryFolder(), 'moving.png');
    writeFileSync(path, animated(7));
    for (const source of [animated(7), path]) {
      for (const work of [() => decodeImage(source), () => imageSize(source)]) expect((await refusalOf('images.animated', work)).data['pages']).toBe(7);
    }
    for (const source of [animated(1), still]) expect(await imageSize(source)).toMatchObject({ width: expect.any(Number) as number });
  });

  it('refuses empty and missing files and folders', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'empty.png'), '');
    await refusalOf('images.empty', () => decodeImage(join(folder, 'empty.png')));
    await refusalOf('files.not-found', () => decodeImage(join(folder, 'none.png')));
    await refusalOf('files.is-a-folder', () => decodeImage(folder));
  });

  it('knows the formats by content', async () => {
    for (const format of ['png', 'jpeg', 'webp', 'avif'] as const) {
      expect(sniffImage(await plain(1, 2, 3).toFormat(format).toBuffer())).toBe(format);
    }
  });
});

describe('encodePng', () => {
  it('comes back exactly, with its texts', async () => {
    for (const channels of [3, 4] as const) {
      const pixels = noise(9, 7, channels);
      const file = await encodePng(pixels, 9, 7, { parameters: 'a cat\nSteps: 20', workflow: '{"a":"ä€"}' });
      const image = await decodeImage(file);
      expect([image.width, image.height, image.channels]).toEqual([9, 7, channels]);
      expect(Buffer.from(image.data).equals(Buffer.from(pixels))).toBe(true);
      expect([...readPngText(file)]).toEqual([['parameters', 'a cat\nSteps: 20'], ['workflow', '{"a":"ä€"}']]);
      // A reader that is not ours.
      const comments = (await sharp(file).metadata()).comments ?? [];
      expect(comments.map(({ keyword, text }) => [keyword, text])).toEqual(expect.arrayContaining([
        ['parameters', 'a cat\nSteps: 20']]));
    }
    await expect(encodePng(new Uint8Array(10), 2, 2)).rejects.toThrow(/2 x 2/);
  });
});

describe('PNG texts', () => {
  const small = png([['IHDR', header(1, 1)], ['IDAT', deflateSync(Buffer.alloc(4))], ['IEND', Buffer.alloc(0)]]);

  it('come back, whatever they say, before the pixels', () => {
    const keyword = fc.stringMatching(/^[!-~]([ -~]{0,20}[!-~])?$/);
    const text = fc.string({ unit: 'grapheme', maxLength: 200 }).map((value) => value.replaceAll('\0', ''));
    fc.assert(fc.property(fc.dictionary(keyword, text, { maxKeys: 4 }), (texts) => {
      const file = insertPngText(small, texts);
      expect([...readPngText(file)]).toEqual(Object.entries(texts));
      expect(file.indexOf('IDAT')).toBeGreaterThan(file.lastIndexOf('Xt') - 4);
    }), { numRuns: 300, seed: 7 });
  });

  it('are plain tEXt where Latin-1 suffices, else iTXt', () => {
    expect(insertPngText(small, { k: 'Größe' }).includes(Buffer.from('tEXtk\0Gr\xf6\xdfe', 'latin1'))).toBe(true);
    expect(insertPngText(small, { k: '€' }).includes(Buffer.from('iTXtk\0\0\0\0\0€'))).toBe(true);
  });

  it('of other writers are read: compressed ones too, bombs and nonsense not', () => {
    const chunk = (type: string, text: string, rest: Uint8Array): [string, Uint8Array] =>
      [type, Buffer.concat([Buffer.from(text, 'latin1'), rest])];
    const file = png([['IHDR', header(1, 1)], chunk('zTXt', 'z\0\0', deflateSync(Buffer.from('caf\xe9', 'latin1'))),
      chunk('iTXt', 'i\0\x01\0de\0\xc3\xbc\0', deflateSync(Buffer.from('€'))), chunk('tEXt', 'z\0', Buffer.from('second')),
      chunk('zTXt', 'bomb\0\0', deflateSync(Buffer.alloc(20 * 1024 * 1024))), chunk('zTXt', 'bad\0\0', Buffer.from('x')),
      chunk('iTXt', 'cut\0\0\0', Buffer.alloc(0)), chunk('tEXt', '', Buffer.from('no keyword')),
      ['IDAT', new Uint8Array(0)], ['IEND', new Uint8Array(0)]]);
    expect([...readPngText(file)]).toEqual([['z', 'café'], ['i', '€']]);
  });

  it('of damaged files are refused', () => {
    for (let cut = 1; cut < small.length; cut++) {
      refusal('images.png-damaged', () => readPngText(small.subarray(0, small.length - cut)));
    }
    const wrong = Buffer.from(small);
    wrong[20]! ^= 1;
    refusal('images.png-damaged', () => insertPngText(wrong, { a: 'b' }));
    refusal('images.png-damaged', () => readPngText(Buffer.from('GIF89a')));
  });
});

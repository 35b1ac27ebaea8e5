import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compositeOn, parseColour } from '../../src-main/dataset/composite.ts';
import { cropPixels, toBatch } from '../../src-main/dataset/crop.ts';
import { pixelSource } from '../../src-main/dataset/pixels.ts';
import type { Size, Variant } from '../../src-main/dataset/types.ts';
import { coverSize, cropConditioning, variantsOf } from '../../src-main/dataset/variants.ts';
import { decodeImage, type Pixels } from '../../src-main/files/images.ts';
import { temporaryFolder } from '../files/temporary.ts';
import { writePicture } from './pictures.ts';

const size = (width: number, height: number): Size => ({ width, height });
const settings = { crop: 'center', flip: false, crops: 4, seed: 1 } as const;
const pixelsOf = (width: number, height: number, at: (x: number, y: number) => readonly number[]): Pixels => ({
  width, height, channels: 3, data: Uint8Array.from({ length: width * height * 3 }, (_, index) =>
    at(Math.floor(index / 3) % width, Math.floor(index / 3 / width))[index % 3]!),
});
const pixelAt = (crop: { width: number; data: Uint8Array }, x: number, y: number): number[] =>
  [...crop.data.subarray((y * crop.width + x) * 3, (y * crop.width + x) * 3 + 3)];

describe('variants', () => {
  const sides = fc.integer({ min: 1, max: 4000 });
  const targets = fc.record({ width: fc.integer({ min: 8, max: 1500 }), height: fc.integer({ min: 8, max: 1500 }) });

  it('cover the target, touch it in one direction and keep the proportions', () => {
    fc.assert(fc.property(sides, sides, targets, (width, height, target) => {
      const resized = coverSize(size(width, height), target);
      expect(resized.width).toBeGreaterThanOrEqual(target.width);
      expect(resized.height).toBeGreaterThanOrEqual(target.height);
      expect(resized.width === target.width || resized.height === target.height).toBe(true);
      const scale = Math.max(target.width / width, target.height / height);
      expect(Math.abs(resized.width - width * scale)).toBeLessThanOrEqual(0.5 + 1e-9);
      expect(Math.abs(resized.height - height * scale)).toBeLessThanOrEqual(0.5 + 1e-9);
    }));
  });

  it('lie inside the scaled picture, without doubles, with a mirrored one for each crop', () => {
    fc.assert(fc.property(sides, sides, targets, fc.boolean(), fc.nat(9), (width, height, target, flip, seed) => {
      const picture = { size: size(width, height), contentHash: 'abc' };
      const variants = variantsOf(picture, target, { crop: 'random', flip, crops: 5, seed });
      for (const { left, top, resized } of variants) {
        expect(left >= 0 && left + target.width <= resized.width).toBe(true);
        expect(top >= 0 && top + target.height <= resized.height).toBe(true);
      }
      expect(new Set(variants.map((variant) => JSON.stringify(variant))).size).toBe(variants.length);
      expect(variants.filter((variant) => variant.flip).length).toBe(flip ? variants.length / 2 : 0);
      expect(variants[0]!.flip).toBe(false);
      expect(variantsOf(picture, target, { crop: 'random', flip, crops: 5, seed })).toEqual(variants);
    }));
  });

  it('are one middle crop, or several random ones that depend on content and seed', () => {
    const picture = { size: size(400, 100), contentHash: 'abc' };
    expect(variantsOf(picture, size(100, 100), settings)).toEqual(
      [{ resized: size(400, 100), left: 150, top: 0, target: size(100, 100), flip: false }]);
    const leftsOf = (contentHash: string, seed: number): number[] =>
      variantsOf({ ...picture, contentHash }, size(100, 100), { ...settings, crop: 'random', seed })
        .map(({ left }) => left);
    expect(leftsOf('abc', 1).length).toBeGreaterThan(1);
    expect(leftsOf('abc', 1)).not.toEqual(leftsOf('abd', 1));
    expect(leftsOf('abc', 1)).not.toEqual(leftsOf('abc', 2));
    // A picture of the target's shape has one place only.
    expect(variantsOf({ ...picture, size: size(50, 50) }, size(100, 100), { ...settings, crop: 'random' }).length)
      .toBe(1);
  });

  it('tell SDXL the sizes; the mirror of a crop is the crop of the mirror', () => {
    const variant: Variant = { resized: size(200, 100), left: 30, top: 0, target: size(100, 100), flip: false };
    expect(cropConditioning(size(400, 200), variant)).toEqual(
      { originalSize: size(400, 200), cropTopLeft: { top: 0, left: 30 }, targetSize: size(100, 100) });
    expect(cropConditioning(size(400, 200), { ...variant, flip: true }).cropTopLeft).toEqual({ top: 0, left: 70 });
  });
});

describe('cropping', () => {
  it('cuts the exact rectangle when no scaling is needed, mirrored if wished', async () => {
    const picture = pixelsOf(20, 10, (x, y) => [x, y, x * y]);
    const variant: Variant = { resized: size(20, 10), left: 7, top: 1, target: size(8, 9), flip: false };
    const crop = await cropPixels(picture, variant);
    const mirrored = await cropPixels(picture, { ...variant, flip: true });
    for (let y = 0; y < 9; y++) {
      for (let x = 0; x < 8; x++) {
        expect(pixelAt(crop, x, y)).toEqual([x + 7, y + 1, (x + 7) * (y + 1)]);
        expect(pixelAt(mirrored, x, y)).toEqual(pixelAt(crop, 7 - x, y));
      }
    }
  });

  it('scales gradients to gradients, in both directions', async () => {
    const picture = pixelsOf(120, 60, (x, y) => [x * 2, y * 4, 100]);
    for (const target of [size(30, 30), size(240, 240)]) {
      const [variant] = variantsOf({ size: size(120, 60), contentHash: '' }, target, settings);
      const crop = await cropPixels(picture, variant!);
      expect([crop.width, crop.height]).toEqual([target.width, target.height]);
      const scale = target.height / 60;
      const margin = Math.ceil(4 * scale);
      for (let y = margin; y < target.height - margin; y++) {
        for (let x = 0; x < target.width; x++) {
          // Centres of pixels: (x + left + 1/2) / scale - 1/2 in the source.
          const sourceX = (x + variant!.left + 0.5) / scale - 0.5;
          const sourceY = (y + 0.5) / scale - 0.5;
          const [red, green, blue] = pixelAt(crop, x, y) as [number, number, number];
          expect(Math.abs(red - sourceX * 2)).toBeLessThan(1.6);
          expect(Math.abs(green - sourceY * 4)).toBeLessThan(2.1);
          expect(blue).toBe(100);
        }
      }
    }
  });

  it('does not alias: a fine checkerboard shrinks to grey', async () => {
    const picture = pixelsOf(64, 64, (x, y) => ((x + y) % 2 === 0 ? [255, 255, 255] : [0, 0, 0]));
    const [variant] = variantsOf({ size: size(64, 64), contentHash: '' }, size(16, 16), settings);
    const crop = await cropPixels(picture, variant!);
    for (let y = 2; y < 14; y++) {
      for (let x = 2; x < 14; x++) expect(Math.abs(pixelAt(crop, x, y)[0]! - 127.5)).toBeLessThan(4);
    }
  });

  it('refuses pixels with alpha', async () => {
    const variant: Variant = { resized: size(1, 1), left: 0, top: 0, target: size(1, 1), flip: false };
    await expect(cropPixels({ ...size(1, 1), channels: 4, data: new Uint8Array(4) }, variant)).rejects.toThrow('alpha');
  });

  it('makes planes in [-1, 1]', () => {
    const batch = toBatch([
      { ...size(2, 1), data: Uint8Array.of(0, 255, 51, 102, 153, 204) },
      { ...size(2, 1), data: Uint8Array.of(255, 255, 255, 0, 0, 0) },
    ]);
    const expected = [0, 102, 255, 153, 51, 204, 255, 0, 255, 0, 255, 0].map((value) => value / 127.5 - 1);
    expect([...batch]).toEqual(expected.map(Math.fround));
    expect(() => toBatch([{ ...size(1, 1), data: new Uint8Array(3) }, { ...size(2, 1), data: new Uint8Array(6) }]))
      .toThrow('one size');
  });
});

describe('transparency', () => {
  it('is kept by decoding and removed by its own stage only', async () => {
    const path = await writePicture(join(temporaryFolder(), 'a.png'), 3, 1, (x) => [200, 100, 0, [0, 128, 255][x]!]);
    const pixels = await decodeImage(path);
    expect(pixels.channels).toBe(4);
    const flat = compositeOn(pixels, parseColour('#0A80ff'));
    const mix = (value: number, below: number): number => Math.round((value * 128 + below * 127) / 255);
    expect([...flat.data]).toEqual([10, 128, 255, mix(200, 10), mix(100, 128), mix(0, 255), 200, 100, 0]);
  });

  it('is composited before cutting, picture by picture from a source that remembers', async () => {
    const path = await writePicture(join(temporaryFolder(), 'a.png'), 8, 8, (x) => [0, 0, 0, x < 4 ? 0 : 255]);
    const variant: Variant = { resized: size(8, 8), left: 2, top: 0, target: size(4, 8), flip: true };
    const item = {
      path, folder: '', caption: null, repeats: 1, regularization: false, size: size(8, 8), contentHash: '', bucket: 0,
      variants: [variant],
    };
    const source = pixelSource({ items: [item], background: [9, 8, 7] });
    const crop = await source.crop(0, 0);
    expect([0, 1, 2, 3].map((x) => pixelAt(crop, x, 0))).toEqual([[0, 0, 0], [0, 0, 0], [9, 8, 7], [9, 8, 7]]);
    expect(await source.crop(0, 0)).toBe(crop);
  });
});

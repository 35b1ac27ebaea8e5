import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { autoStep, bucketSizes, nearestBucket, planBuckets } from '../../src-main/dataset/buckets.ts';
import type { Size } from '../../src-main/dataset/types.ts';
import { refusal } from '../files/temporary.ts';
import { dataSettings } from './pictures.ts';

const size = (width: number, height: number): Size => ({ width, height });
const names = (sizes: readonly Size[]): string[] => sizes.map(({ width, height }) => `${width}x${height}`);

/** Every pair of multiples of the step that fits the area and cannot grow in one of its sides. */
function bruteForce(resolution: Size, step: number, min: number, max: number): Set<string> {
  const area = resolution.width * resolution.height;
  const found = new Set<string>();
  for (let width = step; width <= area / step; width += step) {
    for (let height = step; width * height <= area; height += step) {
      const full = (width + step) * height > area || width * (height + step) > area;
      if (full && width / height >= min && width / height <= max) found.add(`${width}x${height}`);
    }
  }
  const down = (side: number): number => Math.max(step, side - side % step);
  found.add(`${down(resolution.width)}x${down(resolution.height)}`);
  return found;
}

describe('bucket sizes', () => {
  it('are those of a hand-made list for 64 pixels in steps of 8', () => {
    expect(names(bucketSizes(size(64, 64), { step: 8, minAspect: 0.5, maxAspect: 2 }))).toEqual(
      ['48x80', '56x72', '64x64', '72x56', '80x48']);
    expect(names(bucketSizes(size(64, 64), { step: 8, minAspect: 0.4, maxAspect: 1 }))).toEqual(
      ['40x96', '40x88', '48x80', '56x72', '64x64']);
  });

  it('are those that SDXL was trained on', () => {
    // From the table in the SDXL paper, appendix I: those that cannot grow in both of their directions.
    const published = ['704x1472', '704x1408', '768x1344', '768x1280', '832x1216', '896x1152', '960x1088', '1024x1024',
      '1088x960', '1152x896', '1216x832', '1280x768', '1344x768', '1408x704', '1472x704'];
    expect(names(bucketSizes(size(1024, 1024), { step: 64, minAspect: 0.45, maxAspect: 2.2 })))
      .toEqual(published);
  });

  it('equal brute force, and mirror when the resolution is square', () => {
    fc.assert(fc.property(
      fc.constantFrom(8, 16, 64), fc.integer({ min: 2, max: 20 }), fc.integer({ min: 2, max: 20 }),
      fc.double({ min: 0.2, max: 1, noNaN: true }), fc.double({ min: 1, max: 5, noNaN: true }),
      fc.integer({ min: 0, max: 7 }),
      (step, columns, rows, minAspect, maxAspect, odd) => {
        const resolution = size(columns * step + odd, rows * step);
        const sizes = bucketSizes(resolution, { step, minAspect, maxAspect });
        expect(new Set(names(sizes))).toEqual(bruteForce(resolution, step, minAspect, maxAspect));
        expect(new Set(names(sizes)).size).toBe(sizes.length);
        const aspects = sizes.map(({ width, height }) => width / height);
        expect(aspects).toEqual(aspects.toSorted((a, b) => a - b));
        const square = bucketSizes(size(columns * step, columns * step), { step, minAspect, maxAspect: 1 / minAspect });
        const mirrored = square.map(({ width, height }) => `${height}x${width}`);
        // At the bounds themselves 1/(1/x) may differ from x in the last bit.
        if (1 / (1 / minAspect) === minAspect) expect(new Set(mirrored)).toEqual(new Set(names(square)));
      }), { numRuns: 60 });
  });

  it('have a step that leaves a choice on small pictures', () => {
    expect(autoStep(size(64, 64), 8)).toBe(8);
    expect(autoStep(size(128, 128), 8)).toBe(16);
    expect(autoStep(size(512, 512), 8)).toBe(64);
    expect(autoStep(size(512, 512), 64)).toBe(64);
    expect(autoStep(size(2048, 2048), 16)).toBe(64);
    expect(autoStep(size(64, 64), 32)).toBe(32);
    expect(autoStep(size(768, 768), 48)).toBe(48);
  });
});

describe('choosing a bucket', () => {
  it('takes the nearest ratio, by factor', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 5000 }), (width, height) => {
      const sizes = bucketSizes(size(512, 512), { step: 64, minAspect: 0.3, maxAspect: 3 });
      const factor = ({ width: w, height: h }: Size): number =>
        Math.max(width * h / (height * w), height * w / (width * h));
      const best = Math.min(...sizes.map(factor));
      expect(factor(sizes[nearestBucket(size(width, height), sizes)]!)).toBeCloseTo(best, 9);
    }));
  });

  it('treats wide and tall alike, and prefers the larger of equal shapes', () => {
    const sizes = [size(64, 128), size(96, 96), size(128, 128), size(64, 64), size(128, 64)];
    expect(nearestBucket(size(500, 1000), sizes)).toBe(0);
    expect(nearestBucket(size(1000, 500), sizes)).toBe(4);
    expect(nearestBucket(size(30, 30), sizes)).toBe(2);
    expect(nearestBucket(size(1, 100), sizes)).toBe(0);
  });
});

describe('planning from a job', () => {
  const plan = (data: object, own = size(64, 64), pixelStep = 8) =>
    planBuckets(dataSettings({ folders: [{ path: 'x' }], ...data }), own, pixelStep);

  it("uses the model's own size", () => {
    expect(plan({}).step).toBe(8);
    expect(names(plan({}).sizes)).toContain('64x64');
    expect(names(plan({ resolution: [128, 64] }).sizes)).toContain('128x64');
    expect(plan({ resolution: 128 }).step).toBe(16);
  });

  it('has one size without buckets', () => {
    expect(names(plan({ resolution: 72, buckets: { enabled: false } }).sizes)).toEqual(['72x72']);
    const odd = plan({ resolution: 77, buckets: { enabled: false } });
    expect(names(odd.sizes)).toEqual(['72x72']);
    expect(odd.warnings.map(({ code }) => code)).toEqual(['dataset.resolution-rounded']);
  });

  it('refuses what the model cannot compute', () => {
    refusal('dataset.bucket-step', () => plan({ buckets: { step: 12 } }));
    refusal('dataset.resolution', () => plan({ resolution: 32 }, size(512, 512), 64));
  });
});

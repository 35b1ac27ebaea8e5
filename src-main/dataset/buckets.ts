// Aspect buckets: a few shapes of about equal area, so that pictures keep their proportions and still share batches.
import { UserError } from '../base/errors.ts';
import type { DataSettings, DatasetWarning, Size } from './types.ts';

export interface BucketSettings {
  /** Sides are multiples of this. */
  readonly step: number;
  /** Bounds of width / height. */
  readonly minAspect: number;
  readonly maxAspect: number;
}

const COMMON_STEP = 64;
const STEPS_PER_SIDE = 8;

const aspectOf = ({ width, height }: Size): number => width / height;
const down = (value: number, step: number): number => Math.max(step, Math.floor(value / step) * step);

/**
 * The usual step of 64 pixels, or for small trainings a multiple of `pixelStep` (what the model's layers divide
 * sides by) that leaves about eight steps to a side, so that there are enough shapes to choose from.
 */
export function autoStep({ width, height }: Size, pixelStep: number): number {
  const wanted = Math.min(COMMON_STEP, Math.sqrt(width * height) / STEPS_PER_SIDE);
  return Math.max(1, Math.floor(wanted / pixelStep)) * pixelStep;
}

/**
 * All sizes in steps whose area is at most that of `resolution` and as large as their other side allows, with an
 * aspect inside the bounds; `resolution` itself (cut to whole steps) always. Sorted from narrow to wide.
 */
export function bucketSizes(resolution: Size, { step, minAspect, maxAspect }: BucketSettings): Size[] {
  const area = resolution.width * resolution.height;
  const own = { width: down(resolution.width, step), height: down(resolution.height, step) };
  const found = new Map([[`${own.width}x${own.height}`, own]]);
  for (let side = step; side * step <= area; side += step) {
    const other = Math.floor(area / side / step) * step;
    for (const size of [{ width: side, height: other }, { width: other, height: side }]) {
      const aspect = aspectOf(size);
      if (aspect >= minAspect && aspect <= maxAspect) found.set(`${size.width}x${size.height}`, size);
    }
  }
  return [...found.values()].sort((a, b) => aspectOf(a) - aspectOf(b) || a.width - b.width);
}

/** Index of the size with the nearest aspect (as a ratio, so 2:1 is as far from 1:1 as 1:2); the larger of equals. */
export function nearestBucket(picture: Size, sizes: readonly Size[]): number {
  const distance = (size: Size): number => Math.abs(Math.log(aspectOf(picture) / aspectOf(size)));
  let best = 0;
  sizes.forEach((size, index) => {
    const difference = distance(size) - distance(sizes[best]!);
    // Logarithms of equal ratios may differ in the last bit.
    const closer = difference < -1e-12;
    const larger = Math.abs(difference) <= 1e-12 && size.width * size.height > area(sizes[best]!);
    if (closer || larger) best = index;
  });
  return best;
}

const area = ({ width, height }: Size): number => width * height;

export interface BucketPlan {
  readonly sizes: readonly Size[];
  readonly step: number;
  readonly warnings: readonly DatasetWarning[];
}

/**
 * The sizes that the job's settings give for a model whose own size is `modelSize` and whose sides must be multiples
 * of `pixelStep`. Errors: `dataset.bucket-step`, `dataset.resolution`. Warning: `dataset.resolution-rounded`.
 */
export function planBuckets(
  { resolution, buckets }: Pick<DataSettings, 'resolution' | 'buckets'>, modelSize: Size, pixelStep: number,
): BucketPlan {
  const wanted = resolution === 'auto' ? modelSize
    : typeof resolution === 'number' ? { width: resolution, height: resolution }
      : { width: resolution[0], height: resolution[1] };
  if (wanted.width < pixelStep || wanted.height < pixelStep) {
    throw new UserError('dataset.resolution', `The resolution ${show(wanted)} is too small for this model: set ` +
      `data.resolution to ${pixelStep} or more.`, { resolution: wanted, pixelStep });
  }
  if (buckets.step !== 'auto' && buckets.step % pixelStep !== 0) {
    throw new UserError('dataset.bucket-step', `data.buckets.step is ${buckets.step}, but this model needs a ` +
      `multiple of ${pixelStep}: choose one, or 'auto'.`, { step: buckets.step, pixelStep });
  }
  const step = !buckets.enabled ? pixelStep : buckets.step === 'auto' ? autoStep(wanted, pixelStep) : buckets.step;
  const used = { width: down(wanted.width, step), height: down(wanted.height, step) };
  const warnings = wanted.width === used.width && wanted.height === used.height ? [] : [{
    code: 'dataset.resolution-rounded', data: { resolution: wanted, used, step },
    text: `The resolution ${show(wanted)} is no multiple of ${step} pixels; square pictures or those of that shape ` +
      `are trained at ${show(used)}.`,
  }];
  return { sizes: buckets.enabled ? bucketSizes(wanted, { ...buckets, step }) : [used], step, warnings };
}

export const show = ({ width, height }: Size): string => `${width} x ${height}`;

// Scaling and cutting a decoded picture to the exact size of its bucket.
import sharp from 'sharp';
import { assert } from '../base/errors.ts';
import type { Pixels } from '../files/images.ts';
import type { Size, Variant } from './types.ts';

/** A cut picture: RGB, interleaved rows from the top, 0-255. */
export interface Crop extends Size {
  readonly data: Uint8Array;
}

/** Cuts RGB pixels: Lanczos-3 scaling to `variant.resized`, the rectangle, then the mirror. */
export async function cropPixels(pixels: Pixels, variant: Variant): Promise<Crop> {
  assert(pixels.channels === 3, 'a picture with alpha must pass the stage composite before it is cut');
  const scaled = await scale(pixels, variant.resized);
  const { left, top, target: { width, height }, flip } = variant;
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = ((top + y) * scaled.width + left + x) * 3;
      const to = (y * width + (flip ? width - 1 - x : x)) * 3;
      data[to] = scaled.data[from]!;
      data[to + 1] = scaled.data[from + 1]!;
      data[to + 2] = scaled.data[from + 2]!;
    }
  }
  return { width, height, data };
}

async function scale({ width, height, data }: Pixels, to: Size): Promise<Crop> {
  if (width === to.width && height === to.height) return { width, height, data };
  const scaled = await sharp(data, { raw: { width, height, channels: 3 }, limitInputPixels: false })
    .resize(to.width, to.height, { fit: 'fill', kernel: 'lanczos3' }).raw().toBuffer({ resolveWithObject: true });
  assert(scaled.info.channels === 3, `scaling gave ${scaled.info.channels} channels`);
  return { ...to, data: scaled.data };
}

/**
 * Writes a crop as planes [3, height, width] with values in [-1, 1], what autoencoders are fed, into `out` at `at`.
 */
export function writePlanes({ width, height, data }: Crop, out: Float32Array, at = 0): void {
  const plane = width * height;
  assert(at + 3 * plane <= out.length, 'a crop does not fit its batch');
  for (let pixel = 0; pixel < plane; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      out[at + channel * plane + pixel] = data[pixel * 3 + channel]! / 127.5 - 1;
    }
  }
}

/** Crops of one size as a batch [count, 3, height, width] in [-1, 1]. */
export function toBatch(crops: readonly Crop[]): Float32Array {
  const [first] = crops;
  assert(first !== undefined && crops.every(({ width, height }) => width === first.width && height === first.height),
    'the crops of a batch have one size');
  const size = 3 * first.width * first.height;
  const batch = new Float32Array(crops.length * size);
  crops.forEach((crop, index) => writePlanes(crop, batch, index * size));
  return batch;
}

// What a window shows and warns about one picture: size, hashes, sharpness, exposure, borders, and a thumbnail. All but
// the size is measured on a reduced copy, so that thousands of pictures take minutes.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import sharp from 'sharp';
import { writeFileAtomic } from '../files/atomic-write.ts';
import { readError } from '../files/file-errors.ts';
import { damaged, imageSize, MAX_PIXELS } from '../files/images.ts';

export interface PictureFacts {
  /** Upright, in pixels. */
  readonly width: number;
  readonly height: number;
  readonly bytes: number;
  /** SHA-256 of the file, lower-case hex. */
  readonly contentHash: string;
  /** Difference hash of 64 bits (neighbours of a 9 x 8 reduction), 16 hex digits. */
  readonly differenceHash: string;
  /** Variance of the Laplacian of brightness at `MEASURE_SIDE` pixels. */
  readonly sharpness: number;
  /** Shares of pixels at the ends of the range of brightness. */
  readonly bright: number;
  readonly dark: number;
  /** Some pixel is not opaque. */
  readonly hasAlpha: boolean;
  /** Plain bars with a straight edge along two opposite sides or all. */
  readonly hasBorder: boolean;
  /** Dense detail in a corner whose surroundings have none: signatures, logos. A guess. */
  readonly mayHaveWatermark: boolean;
}

/** Longest side of the copy that is measured. */
export const MEASURE_SIDE = 512;
export const THUMBNAIL_SIDE = 320;

/** Brightness of the measured copy, rows from the top. */
export interface Grey {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/**
 * Measures a picture and writes its thumbnail (WebP, at most 320 pixels a side) to `thumbnailOf(contentHash)` unless
 * `hasThumbnail`. Errors: `images.*`, `files.*`.
 */
export async function pictureFacts(path: string, thumbnailOf: (contentHash: string) => string, hasThumbnail: (file: string) => boolean): Promise<PictureFacts> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw readError(error, path, 'a picture of the data set');
  });
  // Also refuses what is no picture of a known kind.
  const { width, height } = await imageSize(bytes);
  const contentHash = createHash('sha256').update(bytes).digest('hex');
  // As strict as training is, which would stop at a picture that is let through here.
  const open = () => sharp(bytes, { limitInputPixels: MAX_PIXELS, failOn: 'warning' }).autoOrient();
  const { data, info } = await open().resize(MEASURE_SIDE, MEASURE_SIDE, { fit: 'inside', withoutEnlargement: true })
    .toColourspace('srgb').ensureAlpha().raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true })
    .catch((error: unknown) => { throw damaged(basename(path), error); });
  const { grey, hasAlpha } = split(data, info.width, info.height);
  const small = await sharp(grey.data, { raw: { width: grey.width, height: grey.height, channels: 1 } })
    .resize(9, 8, { fit: 'fill' }).toColourspace('b-w').raw().toBuffer();
  const thumbnail = thumbnailOf(contentHash);
  if (!hasThumbnail(thumbnail)) {
    const picture = await sharp(data, { raw: { width: info.width, height: info.height, channels: 4 } })
      .resize(THUMBNAIL_SIDE, THUMBNAIL_SIDE, { fit: 'inside', withoutEnlargement: true }).webp({ quality: 80 }).toBuffer();
    await writeFileAtomic(thumbnail, picture);
  }
  return {
    width, height, bytes: bytes.length, contentHash, hasAlpha,
    differenceHash: differenceHash(small),
    sharpness: laplacianVariance(grey),
    ...exposure(grey),
    hasBorder: hasBorder(grey),
    mayHaveWatermark: mayHaveWatermark(grey),
  };
}

/** Over white, as transparent pixels are trained unless told otherwise. */
function split(data: Uint8Array, width: number, height: number): { grey: Grey; hasAlpha: boolean } {
  const grey = new Uint8Array(width * height);
  let hasAlpha = false;
  for (let i = 0; i < grey.length; i++) {
    const alpha = data[4 * i + 3]!;
    if (alpha < 255) hasAlpha = true;
    // Rec. 601 brightness.
    const value = 0.299 * data[4 * i]! + 0.587 * data[4 * i + 1]! + 0.114 * data[4 * i + 2]!;
    grey[i] = Math.round((value * alpha + 255 * (255 - alpha)) / 255);
  }
  return { grey: { width, height, data: grey }, hasAlpha };
}

/** Bit = a pixel is brighter than its right neighbour; 9 x 8 brightnesses. */
export function differenceHash(small: Uint8Array): string {
  let hash = '';
  for (let y = 0; y < 8; y++) {
    let row = 0;
    for (let x = 0; x < 8; x++) row = 2 * row + Number(small[9 * y + x]! > small[9 * y + x + 1]!);
    hash += row.toString(16).padStart(2, '0');
  }
  return hash;
}

export function laplacianVariance({ width, height, data }: Grey): number {
  let sum = 0;
  let squares = 0;
  let count = 0;
  for (let y = 1; y < height - 1; y++) {
    for (let x = 1; x < width - 1; x++) {
      const at = y * width + x;
      const value = data[at - 1]! + data[at + 1]! + data[at - width]! + data[at + width]! - 4 * data[at]!;
      sum += value;
      squares += value * value;
      count++;
    }
  }
  return count === 0 ? 0 : squares / count - (sum / count) ** 2;
}

function exposure({ data }: Grey): { bright: number; dark: number } {
  let bright = 0;
  let dark = 0;
  for (const value of data) {
    if (value >= 252) bright++;
    else if (value <= 3) dark++;
  }
  return { bright: bright / data.length, dark: dark / data.length };
}

const LEAST_BORDER = 0.02;

/** A picture on a plain background has plain edges too; what makes bars is the straight edge where they end. */
export function hasBorder(grey: Grey): boolean {
  const lines = (count: number, line: (index: number) => { mean: number; spread: number; at: (i: number) => number; length: number }): number => {
    const first = line(0);
    if (first.spread > 3) return 0;
    let depth = 1;
    while (depth < count / 2 && line(depth).spread <= 3 && Math.abs(line(depth).mean - first.mean) <= 3) depth++;
    if (depth < Math.max(2, LEAST_BORDER * count) || depth >= count / 2) return 0;
    const after = line(depth);
    let differs = 0;
    for (let i = 0; i < after.length; i++) if (Math.abs(after.at(i) - first.mean) > 12) differs++;
    return differs > 0.6 * after.length ? depth : 0;
  };
  const { width, height, data } = grey;
  const statistics = (length: number, at: (i: number) => number) => {
    let sum = 0;
    let squares = 0;
    for (let i = 0; i < length; i++) {
      sum += at(i);
      squares += at(i) ** 2;
    }
    const mean = sum / length;
    return { mean, spread: Math.sqrt(Math.max(0, squares / length - mean * mean)), at, length };
  };
  const row = (y: number) => statistics(width, (x) => data[y * width + x]!);
  const column = (x: number) => statistics(height, (y) => data[y * width + x]!);
  const isBetween = lines(height, row) > 0 && lines(height, (y) => row(height - 1 - y)) > 0;
  return isBetween || (lines(width, column) > 0 && lines(width, (x) => column(width - 1 - x)) > 0);
}

/** Share of strong steps of brightness in a part of the picture. */
function detail({ width, data }: Grey, left: number, top: number, right: number, bottom: number): number {
  let strong = 0;
  let count = 0;
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right - 1; x++) {
      if (Math.abs(data[y * width + x]! - data[y * width + x + 1]!) > 24) strong++;
      count++;
    }
  }
  return count === 0 ? 0 : strong / count;
}

export function mayHaveWatermark(grey: Grey): boolean {
  const { width, height } = grey;
  const boxWidth = Math.floor(width * 0.28);
  const boxHeight = Math.floor(height * 0.1);
  if (boxWidth < 24 || boxHeight < 12) return false;
  return [0, width - boxWidth].some((left) => [0, height - boxHeight].some((top) => {
    const inward = top === 0 ? boxHeight : height - 2 * boxHeight;
    const corner = detail(grey, left, top, left + boxWidth, top + boxHeight);
    return corner > 0.06 && corner > 5 * detail(grey, left, inward, left + boxWidth, inward + boxHeight);
  }));
}

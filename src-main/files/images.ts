// Pictures from strangers to plain 8-bit sRGB pixels, and back to PNG.
import { closeSync, openSync, readSync } from 'node:fs';
import sharp from 'sharp';
import type { Sharp, SharpOptions } from 'sharp';
import { assert, UserError } from '../base/errors.ts';
import { readError } from './file-errors.ts';
import { insertPngText } from './png-text.ts';

// Every picture is decoded once, and an open cache keeps files locked on Windows.
sharp.cache(false);

/** More than any camera; beyond it decoding may use gigabytes. */
export const MAX_PIXELS = 150_000_000;

export type ImageFormat = 'png' | 'jpeg' | 'webp' | 'avif';

export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** 3: RGB, 4: RGB and alpha, not premultiplied. */
  readonly channels: 3 | 4;
  /** Rows from the top, interleaved channels, sRGB. */
  readonly data: Uint8Array;
}

export interface DecodeOptions {
  /** Colour (sRGB, 0-255) that shows through where the picture is transparent. Without it alpha is kept. */
  readonly background?: readonly [number, number, number];
  /** Name of the picture in messages, when it is given as bytes. */
  readonly name?: string;
}

type Kind = ImageFormat | 'gif' | 'tiff' | 'bmp' | 'svg' | 'pdf' | 'heic' | 'jxl' | 'psd' | 'unknown';

/** The kind of a picture from its first bytes (32 suffice); names of files prove nothing. */
export function sniffImage(start: Uint8Array): Kind {
  const text = Buffer.from(start.subarray(0, 64)).toString('latin1');
  if (text.startsWith('\x89PNG\r\n\x1a\n')) return 'png';
  if (text.startsWith('\xff\xd8\xff')) return 'jpeg';
  if (text.startsWith('RIFF') && text.slice(8, 12) === 'WEBP') return 'webp';
  if (text.slice(4, 8) === 'ftyp') {
    const brands = text.slice(8);
    return /avi[fs]/.test(brands) ? 'avif' : /hei[cxms]|mif1|hev[cx]/.test(brands) ? 'heic' : 'unknown';
  }
  if (text.startsWith('GIF8')) return 'gif';
  if (text.startsWith('II*\0') || text.startsWith('MM\0*')) return 'tiff';
  if (text.startsWith('BM')) return 'bmp';
  if (text.startsWith('%PDF')) return 'pdf';
  if (text.startsWith('8BPS')) return 'psd';
  if (text.startsWith('\xff\x0a') || text.startsWith('\0\0\0\x0cJXL ')) return 'jxl';
  if (/^(?:\xef\xbb\xbf)?\s*<(?:svg|\?xml|!--|!DOCTYPE svg)/i.test(text)) return 'svg';
  return 'unknown';
}

function startOf(source: string | Uint8Array): Uint8Array {
  if (typeof source !== 'string') return source;
  try {
    const file = openSync(source, 'r');
    try {
      const start = Buffer.alloc(64);
      return start.subarray(0, readSync(file, start, 0, start.length, 0));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw readError(error, source, 'the picture');
  }
}

function checkKind(source: string | Uint8Array, name: string): ImageFormat {
  const start = startOf(source);
  if (start.length === 0) {
    throw new UserError('images.empty', `The picture "${name}" is an empty file: copy it again or remove it.`, { name });
  }
  const kind = sniffImage(start);
  if (kind === 'png' || kind === 'jpeg' || kind === 'webp' || kind === 'avif') return kind;
  const what = kind === 'unknown' ? 'is not a picture of a known kind' : `is a ${kind.toUpperCase()} file`;
  throw new UserError('images.kind', `"${name}" ${what}: save it as PNG, JPEG, WebP or AVIF.`, { name, kind });
}

interface Opened {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly open: (options: SharpOptions) => Sharp;
}

/** Kind and size are checked from the header before any pixel is decoded. */
async function openImage(source: string | Uint8Array, givenName?: string): Promise<Opened> {
  const name = givenName ?? (typeof source === 'string' ? source : 'the picture');
  checkKind(source, name);
  const open = (options: SharpOptions): Sharp => sharp(source, options);
  const { autoOrient: { width, height }, pages = 1 } =
    await open({ limitInputPixels: false }).metadata().catch((error: unknown) => {
      throw damaged(name, error);
    });
  const count = pages > 1 ? pages : framesOfPng(source);
  if (count > 1) {
    throw new UserError('images.animated', `"${name}" is an animation or a set of ${count} pictures: save the one that ` +
      'is meant as a picture of its own.', { name, pages: count });
  }
  if (width * height > MAX_PIXELS) {
    throw new UserError('images.too-large', `The picture "${name}" has ${width} x ${height} pixels, more than the ` +
      `${MAX_PIXELS / 1e6} million that can be read: scale it down.`, { name, width, height });
  }
  return { name, width, height, open };
}

/** Bytes of a chunk's length, name and check sum. */
const CHUNK_FRAME = 12;

/**
 * Frames of an animated PNG: the chunk acTL, which must come before the first image data (PNG Specification, third edition,
 * section 11.3.6). sharp reads such a file as its first frame. 1 for every other picture.
 */
function framesOfPng(source: string | Uint8Array): number {
  const bytes = typeof source === 'string' ? null : Buffer.from(source.buffer, source.byteOffset, source.byteLength);
  const file = bytes === null ? openSync(source as string, 'r') : null;
  const read = (at: number): Buffer => {
    if (bytes !== null) return bytes.subarray(at, at + CHUNK_FRAME);
    const part = Buffer.alloc(CHUNK_FRAME);
    return part.subarray(0, readSync(file!, part, 0, part.length, at));
  };
  try {
    if (!read(0).toString('latin1').startsWith('\x89PNG')) return 1;
    for (let at = 8; ;) {
      const head = read(at);
      const name = head.toString('latin1', 4, 8);
      if (head.length < CHUNK_FRAME || name === 'IDAT' || name === 'IEND') return 1;
      if (name === 'acTL') return head.readUInt32BE(8);
      at += CHUNK_FRAME + head.readUInt32BE(0);
    }
  } finally {
    if (file !== null) closeSync(file);
  }
}

/** For what goes wrong while a picture is decoded. */
export const damaged = (name: string, error: unknown): UserError => {
  const reason = error instanceof Error ? error.message : String(error);
  return new UserError('images.damaged', `The picture "${name}" is damaged or cut short: copy it again, or open and ` +
    'save it in an image editor.', { name, reason });
};

/** Width and height as the picture is shown (turned by its EXIF orientation); reads only the header. */
export async function imageSize(source: string | Uint8Array): Promise<{ width: number; height: number }> {
  const { width, height } = await openImage(source);
  return { width, height };
}

/**
 * Decodes a picture completely: turned upright, colours converted to sRGB by its ICC profile, 16 bits to 8, grey to
 * RGB. Errors: `images.kind`, `images.empty`, `images.animated`, `images.too-large`, `images.damaged` (also when only
 * the last rows are missing), `files.not-found`, `files.no-access`.
 */
export async function decodeImage(source: string | Uint8Array, options: DecodeOptions = {}): Promise<Pixels> {
  const { name, open } = await openImage(source, options.name);
  const { data, info: { width, height, channels } } =
    await open({ limitInputPixels: MAX_PIXELS, failOn: 'warning' }).autoOrient().toColourspace('srgb')
      .raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true })
      .catch((error: unknown) => {
        throw damaged(name, error);
      });
  assert(channels === 3 || channels === 4, `"${name}" was decoded to ${channels} channels`);
  const pixels: Pixels = { width, height, channels, data };
  return options.background === undefined ? pixels : composite(pixels, options.background);
}

/**
 * RGB of a picture over a plain colour (0-255), mixed in sRGB values as browsers and editors do. sharp's `flatten` is
 * not used because it turns the colour grey under grey pictures.
 */
export function composite(pixels: Pixels, background: readonly [number, number, number]): Pixels {
  if (pixels.channels === 3) return pixels;
  const { width, height, data: source } = pixels;
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
    const alpha = source[from + 3]!;
    for (let channel = 0; channel < 3; channel++) {
      data[to + channel] = Math.round((source[from + channel]! * alpha + background[channel]! * (255 - alpha)) / 255);
    }
  }
  return { width, height, channels: 3, data };
}

/** 8-bit RGB or RGBA pixels to a PNG, with texts for other tools if given (see `insertPngText`). */
export async function encodePng(
  data: Uint8Array, width: number, height: number, texts?: Readonly<Record<string, string>>,
): Promise<Buffer> {
  const channels = data.length / (width * height);
  assert(channels === 3 || channels === 4, `${data.length} bytes are no ${width} x ${height} RGB or RGBA picture`);
  const png = await sharp(data, { raw: { width, height, channels } }).png({ compressionLevel: 6 }).toBuffer();
  return texts === undefined ? png : insertPngText(png, texts);
}

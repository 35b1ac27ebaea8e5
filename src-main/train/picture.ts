// A picture that is asked for, and one that was painted.
import { rng } from '../base/rng.ts';
import { writeFileAtomic } from '../files/atomic-write.ts';
import { encodePng } from '../files/images.ts';

export interface PictureSettings {
  readonly prompt: string;
  readonly negative: string;
  readonly seed: number;
  readonly sampler: string;
  readonly steps: number;
  /** Factor of classifier-free guidance; 1 is none. */
  readonly guidance: number;
  /** In pixels. */
  readonly width: number;
  readonly height: number;
}

export interface Picture {
  /** Rows from the top, RGB. */
  readonly rgb: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** The noise that a picture starts from, or that of one of its steps: given by its seed, whatever is painted with it. */
export function pictureNoise(seed: number, size: number, stream: 'start' | 'step', step = 0): Float32Array {
  return rng(seed, 'picture', stream, step).fillNormal(new Float32Array(size));
}

/** Planes [3,H,W] in [−1,1] to interleaved bytes. */
export function toRgb(pixels: Float32Array, width: number, height: number): Uint8Array {
  const plane = width * height;
  const rgb = new Uint8Array(3 * plane);
  for (let channel = 0; channel < 3; channel++) {
    for (let i = 0; i < plane; i++) {
      const value = (pixels[channel * plane + i]! + 1) / 2;
      rgb[3 * i + channel] = Math.round(255 * Math.min(1, Math.max(0, value)));
    }
  }
  return rgb;
}

/** The picture as a PNG with its settings in the text that A1111 and other tools read. */
export function picturePng({ rgb, width, height }: Picture, settings: PictureSettings): Promise<Buffer> {
  return encodePng(rgb, width, height, { parameters: infoText(settings) });
}

export async function savePicture(file: string, picture: Picture, settings: PictureSettings): Promise<void> {
  await writeFileAtomic(file, await picturePng(picture, settings));
}

function infoText({ prompt, negative, steps, sampler, guidance, seed, width, height }: PictureSettings): string {
  const excluded = negative === '' ? '' : `Negative prompt: ${negative}\n`;
  return `${prompt}\n${excluded}Steps: ${steps}, Sampler: ${sampler}, CFG scale: ${guidance}, Seed: ${seed}, Size: ${width}x${height}`;
}

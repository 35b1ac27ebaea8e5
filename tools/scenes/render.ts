import sharp from 'sharp';
import { unitsAcross } from './pen.ts';
import { pictureOf } from './picture.ts';
import type { Scene } from './scene.ts';
import { styles } from './styles/index.ts';
import type { StyleName } from './styles/index.ts';
import type { Style } from './styles/style.ts';

/** The scene as an SVG document of `size` x `size` pixels. */
export function svgOf(scene: Scene, size: number, style: StyleName = 'plain'): string {
  const frame = `width="${size}" height="${size}" viewBox="0 0 ${unitsAcross} ${unitsAcross}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${frame}>${styles[style].paint(pictureOf(scene))}</svg>`;
}

export interface RenderOptions {
  size: number;
  style?: StyleName;
}

/** RGB bytes, row by row, `size` x `size` x 3: drawn at twice the size and averaged down. */
export async function renderPixels(scene: Scene, { size, style = 'plain' }: RenderOptions): Promise<Uint8Array> {
  const drawn = sharp(Buffer.from(svgOf(scene, size * 2, style))).removeAlpha().toColourspace('srgb');
  const pixels = await drawn.resize(size, size, { kernel: 'linear' }).raw().toBuffer();
  const { finish }: Style = styles[style];
  return finish === undefined ? pixels : finish(pixels, size);
}

/** Encodes RGB bytes as a PNG file. */
export async function pngOf(pixels: Uint8Array, width: number, height = width): Promise<Buffer> {
  return sharp(pixels, { raw: { width, height, channels: 3 } }).png({ compressionLevel: 9 }).toBuffer();
}

/** The scene as a PNG file of `size` x `size` pixels. */
export async function render(scene: Scene, options: RenderOptions): Promise<Buffer> {
  return pngOf(await renderPixels(scene, options), options.size);
}

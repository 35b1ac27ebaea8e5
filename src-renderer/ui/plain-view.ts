// The arithmetic of shaders/viewer.wgsl on a plain canvas, where there is no WebGPU or the graphics card belongs to a training.
import type { PictureView, ViewSettings } from './picture-view.ts';

const SQUARE_BITS = 3;
const BOARD = [0.36, 0.5] as const;
const STOPS = [[0, 0, 0.04], [0.42, 0.07, 0.44], [0.89, 0.35, 0.2], [0.99, 0.98, 0.63]] as const;

export function openPlainView(canvas: HTMLCanvasElement, first: ImageBitmap, second: ImageBitmap): PictureView {
  const context = canvas.getContext('2d');
  if (context === null) throw new Error('The canvas is in use.');
  const { width, height } = canvas;
  const [a, b] = [pixels(first, width, height), pixels(second, width, height)];
  return {
    how: 'Canvas',
    draw: ({ mode, gain, split }: ViewSettings) => {
      const out = context.createImageData(width, height);
      for (let at = 0, pixel = 0; at < a.length; at += 4, pixel++) {
        const [x, y] = [pixel % width, Math.floor(pixel / width)];
        const board = BOARD[((x >> SQUARE_BITS) + (y >> SQUARE_BITS)) % 2]!;
        const colour = mode === 'difference' ? heat(difference(a, b, at) * gain) : onBoard(mode === 'alpha' || x + 0.5 < width * split ? a : b, at, board);
        for (let channel = 0; channel < 3; channel++) out.data[at + channel] = colour[channel]! * 255;
        out.data[at + 3] = 255;
      }
      context.putImageData(out, 0, 0);
    },
    close: () => {},
  };
}

/** Stretched without filtering, as the shader reads. */
function pixels(image: ImageBitmap, width: number, height: number): Uint8ClampedArray {
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })!;
  context.imageSmoothingEnabled = false;
  context.drawImage(image, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

/** The largest difference of what is seen, or of alpha: 0 to 1. Colour that nothing shows of does not count. */
function difference(a: Uint8ClampedArray, b: Uint8ClampedArray, at: number): number {
  const [alphaA, alphaB] = [a[at + 3]! / 255, b[at + 3]! / 255];
  let most = Math.abs(alphaA - alphaB);
  for (let channel = 0; channel < 3; channel++) most = Math.max(most, Math.abs(a[at + channel]! * alphaA - b[at + channel]! * alphaB) / 255);
  return most;
}

/** Black over violet and orange to yellow: brightness rises all the way, so it reads without colour too. */
function heat(value: number): readonly number[] {
  const at = Math.min(0.999999, Math.max(0, value)) * (STOPS.length - 1);
  const [low, high] = [STOPS[Math.floor(at)]!, STOPS[Math.floor(at) + 1]!];
  return low.map((from, channel) => from + (high[channel]! - from) * (at % 1));
}

function onBoard(image: Uint8ClampedArray, at: number, board: number): readonly number[] {
  const alpha = image[at + 3]! / 255;
  return [0, 1, 2].map((channel) => image[at + channel]! / 255 * alpha + board * (1 - alpha));
}

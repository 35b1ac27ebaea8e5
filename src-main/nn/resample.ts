import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { conv } from './conv.ts';

/**
 * Halves height and width by a convolution of stride 2, `<path>.conv`.
 * @param padding 1: a zero on every side; 0: zeros at the bottom and right only, as autoencoders have it
 */
export function downsample(g: Builder, path: string, x: Value, padding: 0 | 1): Value {
  const pads = padding === 1 ? ([1, 1, 1, 1] as const) : ([0, 0, 1, 1] as const);
  return conv(g, `${path}.conv`, x, x.shape[1]!, { stride: 2, pads });
}

/**
 * Doubles height and width by repeating pixels, then convolves with `<path>.conv`.
 * @param size height and width wanted when the level below had odd extents: one less than the double
 */
export function upsample(g: Builder, path: string, x: Value, size?: readonly [number, number]): Value {
  const doubled = g.upsampleNearest(x, { factor: 2 });
  const [batch, channels, height, width] = doubled.shape as [number, number, number, number];
  const fits = !size || (size[0] === height && size[1] === width);
  const cut = fits ? doubled : g.slice(doubled, { starts: [0, 0, 0, 0], sizes: [batch, channels, ...size] });
  return conv(g, `${path}.conv`, cut, channels);
}

// Shared by the convolution ops: the arithmetic of extents and the f64 loops. Layouts are NCHW and OIHW, no groups.
import { assert } from '../base/errors.ts';
import { showShape, sizeOf, type Shape } from '../base/shape.ts';
import type { NdArray, OnnxEmitter } from './types.ts';

export interface ConvAttrs {
  readonly [key: string]: number | readonly number[];
  readonly stride: number;
  /** Zeros added: top, left, bottom, right. */
  readonly pads: readonly number[];
}

/** Extents of the output of a convolution. */
export function convShape(x: Shape, w: Shape, { stride, pads }: ConvAttrs): [number, number, number, number] {
  assert(x.length === 4 && w.length === 4 && x[1] === w[1], `cannot convolve ${showShape(x)} with ${showShape(w)}`);
  const height = Math.floor((x[2]! + pads[0]! + pads[2]! - w[2]!) / stride) + 1;
  const width = Math.floor((x[3]! + pads[1]! + pads[3]! - w[3]!) / stride) + 1;
  assert(height > 0 && width > 0, `convolution of ${showShape(x)} with ${showShape(w)} is empty`);
  return [x[0]!, w[0]!, height, width];
}

/** Calls `visit(index in x, index in w, index in y)` for every product a convolution sums. */
export function forEachProduct(x: Shape, w: Shape, y: Shape, attrs: ConvAttrs, visit: (x: number, w: number, y: number) => void): void {
  const [batch, channels, height, width] = x as [number, number, number, number];
  const [, , kernelHeight, kernelWidth] = w as [number, number, number, number];
  const [, filters, outHeight, outWidth] = y as [number, number, number, number];
  for (let n = 0; n < batch; n++)
    for (let o = 0; o < filters; o++)
      for (let i = 0; i < outHeight; i++)
        for (let j = 0; j < outWidth; j++)
          for (let c = 0; c < channels; c++)
            for (let p = 0; p < kernelHeight; p++)
              for (let q = 0; q < kernelWidth; q++) {
                const row = i * attrs.stride + p - attrs.pads[0]!;
                const col = j * attrs.stride + q - attrs.pads[1]!;
                if (row < 0 || col < 0 || row >= height || col >= width) continue;
                visit(
                  ((n * channels + c) * height + row) * width + col,
                  ((o * channels + c) * kernelHeight + p) * kernelWidth + q,
                  ((n * filters + o) * outHeight + i) * outWidth + j,
                );
              }
}

export function convolve(x: NdArray, w: NdArray, y: Shape, attrs: ConvAttrs): Float64Array {
  const out = new Float64Array(sizeOf(y));
  forEachProduct(x.shape, w.shape, y, attrs, (ix, iw, iy) => (out[iy]! += x.data[ix]! * w.data[iw]!));
  return out;
}

/**
 * Emits the convolution of x with w. The WebGPU provider of onnxruntime-node 1.30 computes wrongly when the channels are a
 * multiple of 3 (but for 3 itself) and not of 4, and the filters one of 4: there zeros make them a multiple of 4.
 */
export function lowerConv(e: OnnxEmitter, x: string, w: string, [filters, channels, kh, kw]: Shape, { stride, pads }: ConvAttrs): string {
  const isWrong = e.device === 'webgpu' && kh! * kw! > 1 && channels! > 3 && channels! % 3 === 0 && channels! % 4 !== 0 && filters! % 4 === 0;
  const widen = (name: string): string => (isWrong ? e.node('Pad', [name, e.ints([0, 0, 0, 0, 0, 4 - (channels! % 4), 0, 0])], { mode: 'constant' }) : name);
  return e.node('Conv', [widen(x), widen(w)], { kernel_shape: [kh!, kw!], strides: [stride, stride], pads });
}

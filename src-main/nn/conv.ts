import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';

export interface ConvOptions {
  /** Extent of the square kernel; 3 when absent. */
  readonly kernel?: number;
  readonly stride?: number;
  /** Zeros added at top, left, bottom, right; when absent, as many as keep the extents at stride 1. */
  readonly pads?: readonly [number, number, number, number];
}

/**
 * x[N,C,H,W] -> [N,out,H',W'] with `<path>.weight` [out,C,k,k] and `<path>.bias` [out].
 * A layer: an adapter may replace its output.
 */
export function conv(g: Builder, path: string, x: Value, out: number, options: ConvOptions = {}): Value {
  const { kernel = 3, stride = 1 } = options;
  const side = (kernel - 1) >> 1;
  const pads = options.pads ?? [side, side, side, side];
  const weight = g.param(`${path}.weight`, [out, x.shape[1]!, kernel, kernel]);
  const bias = g.param(`${path}.bias`, [out]);
  return g.layer({ kind: 'conv', path, x, weight, bias, conv: { stride, pads } }, () =>
    g.add(g.conv2d(x, weight, { stride, pads }), g.reshape(bias, { shape: [1, out, 1, 1] })),
  );
}

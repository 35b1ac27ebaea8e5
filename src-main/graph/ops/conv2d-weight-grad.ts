import type { Builder } from '../builder.ts';
import type { Composite, Value } from '../types.ts';

// N batch, C input channels, O output channels, P positions of the batch laid out as padded grids one after another

export interface Conv2dWeightGradAttrs {
  readonly [key: string]: number | readonly number[];
  readonly stride: number;
  readonly pads: readonly number[];
  /** Height and width of the kernel. */
  readonly kernel: readonly number[];
}

/** Gradient of conv2d with respect to its weight: x[N,C,H,W], dy[N,O,H',W'] -> [O,C,kh,kw]. */
export const conv2dWeightGrad: Composite<Conv2dWeightGradAttrs, 2> = {
  kind: 'composite',
  arity: 2,
  body: (g, [x, dy], attrs) => {
    const x_CNHW = g.transpose(x!, { perm: [1, 0, 2, 3] });
    const dy_ONHW = g.transpose(dy!, { perm: [1, 0, 2, 3] });
    const { pads, kernel } = attrs;
    if (kernel.every((extent) => extent === 1) && pads.every((pad) => pad === 0) && attrs.stride === 1) return pointwise(g, x_CNHW, dy_ONHW);
    const padded = g.pad(x_CNHW, { before: [0, 0, pads[0]!, pads[1]!], after: [0, 0, pads[2]!, pads[3]!] });
    return attrs.stride === 1 ? shifted(g, padded, dy_ONHW, kernel) : gathered(g, padded, dy_ONHW, attrs);
  },
  cases: [
    { inputs: [{ shape: [2, 3, 5, 4] }, { shape: [2, 4, 5, 4] }], attrs: { stride: 1, pads: [1, 1, 1, 1], kernel: [3, 3] } },
    { inputs: [{ shape: [2, 2, 4, 5] }, { shape: [2, 3, 3, 5] }], attrs: { stride: 1, pads: [0, 1, 0, 1], kernel: [2, 3] } },
    { inputs: [{ shape: [1, 2, 6, 6] }, { shape: [1, 3, 3, 3] }], attrs: { stride: 2, pads: [0, 0, 1, 1], kernel: [3, 3] } },
    { inputs: [{ shape: [2, 3, 3, 3] }, { shape: [2, 2, 3, 3] }], attrs: { stride: 1, pads: [0, 0, 0, 0], kernel: [1, 1] } },
  ],
};

const flat = (g: Builder, value: Value): Value => g.reshape(value, { shape: [value.shape[0]!, value.shape.slice(1).reduce((a, b) => a * b, 1)] });

function pointwise(g: Builder, x_CNHW: Value, dy_ONHW: Value): Value {
  const product = g.matmul(flat(g, dy_ONHW), flat(g, x_CNHW), { transB: true });
  return g.reshape(product, { shape: [dy_ONHW.shape[0]!, x_CNHW.shape[0]!, 1, 1] });
}

/**
 * Stride 1. With dy laid out on the same padded grid as x, zeros around it, the position that kernel element (i, j)
 * pairs with p is p + i·width + j. Rows of the kernel shift dy, columns shift x, so that kh + kw contiguous copies
 * (instead of kh·kw windows) and kw matrix products make the whole gradient.
 */
function shifted(g: Builder, x: Value, dy: Value, [kh, kw]: readonly number[]): Value {
  const [channels, , gridHeight, gridWidth] = x.shape as [number, number, number, number];
  const [filters, , height, width] = dy.shape as [number, number, number, number];
  const dy_OP = flat(g, g.pad(dy, { before: [0, 0, 0, 0], after: [0, 0, gridHeight - height, gridWidth - width] }));
  const positions = dy_OP.shape[1]!;
  const far = (kh! - 1) * gridWidth;
  const rows = Array.from({ length: kh! }, (_, i) => g.pad(dy_OP, { before: [0, i * gridWidth], after: [0, far - i * gridWidth] }));
  const dy_KOP = rows.length === 1 ? rows[0]! : g.concat(rows, { axis: 0 });
  const x_CP = g.pad(flat(g, x), { before: [0, 0], after: [0, far + kw! - 1] });
  const columns = Array.from({ length: kw! }, (_, j) => {
    const x_j = g.slice(x_CP, { starts: [0, j], sizes: [channels, positions + far] });
    return g.reshape(g.matmul(dy_KOP, x_j, { transB: true }), { shape: [1, kh!, filters, channels] });
  });
  const all_WHOC = columns.length === 1 ? columns[0]! : g.concat(columns, { axis: 0 });
  return g.transpose(all_WHOC, { perm: [2, 3, 1, 0] });
}

/** Any stride: one matrix product with the windows of x side by side. */
function gathered(g: Builder, x: Value, dy: Value, { stride, kernel }: Conv2dWeightGradAttrs): Value {
  const [channels, batch] = x.shape as [number, number];
  const [filters, , height, width] = dy.shape as [number, number, number, number];
  const [kh, kw] = kernel as [number, number];
  const windows = Array.from({ length: kh * kw }, (_, i) => {
    const starts = [0, 0, Math.floor(i / kw), i % kw];
    return flat(g, g.slice(x, { starts, sizes: [channels, batch, height, width], steps: [1, 1, stride, stride] }));
  });
  const product = g.matmul(flat(g, dy), g.concat(windows, { axis: 0 }), { transB: true });
  const byElement = g.reshape(product, { shape: [filters, kh * kw, channels] });
  return g.reshape(g.transpose(byElement, { perm: [0, 2, 1] }), { shape: [filters, channels, kh, kw] });
}

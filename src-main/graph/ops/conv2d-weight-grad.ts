import type { Builder } from '../builder.ts';
import type { Composite, Value } from '../types.ts';

export interface Conv2dWeightGradAttrs {
  readonly [key: string]: number | readonly number[];
  readonly stride: number;
  readonly pads: readonly number[];
  /** Height and width of the kernel. */
  readonly kernel: readonly number[];
}

/**
 * Gradient of conv2d with respect to its weight: x[N,C,H,W], dy[N,O,H',W'] -> [O,C,kh,kw].
 * One matrix product over all positions of the batch: dy as [O, N·H'·W'] times the shifted copies of x.
 */
export const conv2dWeightGrad: Composite<Conv2dWeightGradAttrs, 2> = {
  kind: 'composite',
  arity: 2,
  body: (g, [x, dy], { stride, pads, kernel }) => {
    const [batch, channels] = x!.shape as [number, number];
    const [, filters, height, width] = dy!.shape as [number, number, number, number];
    const [kh, kw] = kernel as [number, number];
    const positions = batch * height * width;
    const x_CNHW = g.transpose(x!, { perm: [1, 0, 2, 3] });
    const padded = g.pad(x_CNHW, { before: [0, 0, pads[0]!, pads[1]!], after: [0, 0, pads[2]!, pads[3]!] });
    const shift = (row: number, col: number): Value => {
      const window = g.slice(padded, { starts: [0, 0, row, col], sizes: [channels, batch, height, width], steps: [1, 1, stride, stride] });
      return g.reshape(window, { shape: [channels, positions] });
    };
    const dy_OP = g.reshape(g.transpose(dy!, { perm: [1, 0, 2, 3] }), { shape: [filters, positions] });
    const shifts = Array.from({ length: kh * kw }, (_, i) => shift(Math.floor(i / kw), i % kw));
    return g.reshape(
      g.transpose(g.reshape(product(g, dy_OP, shifts), { shape: [filters, kh * kw, channels] }), { perm: [0, 2, 1] }),
      { shape: [filters, channels, kh, kw] },
    );
  },
  cases: [
    { inputs: [{ shape: [2, 3, 5, 4] }, { shape: [2, 4, 5, 4] }], attrs: { stride: 1, pads: [1, 1, 1, 1], kernel: [3, 3] } },
    { inputs: [{ shape: [1, 2, 6, 6] }, { shape: [1, 3, 3, 3] }], attrs: { stride: 2, pads: [0, 0, 1, 1], kernel: [3, 3] } },
    { inputs: [{ shape: [2, 3, 3, 3] }, { shape: [2, 2, 3, 3] }], attrs: { stride: 1, pads: [0, 0, 0, 0], kernel: [1, 1] } },
  ],
};

/** [O,P] times the transposes of [C,P] each, side by side: [O, shifts·C]. */
function product(g: Builder, dy_OP: Value, shifts: readonly Value[]): Value {
  const all = shifts.length === 1 ? shifts[0]! : g.concat(shifts, { axis: 0 });
  return g.matmul(dy_OP, all, { transB: true });
}

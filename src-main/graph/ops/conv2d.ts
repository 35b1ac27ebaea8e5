import { type ConvAttrs, convolve, convShape, lowerConv } from '../convolution.ts';
import { sameDType } from '../elementwise.ts';
import type { Primitive } from '../types.ts';

/** x[N,C,H,W] convolved with w[O,C,kh,kw]; same stride along both axes, no bias, no groups, no dilation. */
export const conv2d: Primitive<ConvAttrs, 2> = {
  kind: 'primitive',
  arity: 2,
  infer: ([x, w], attrs) => ({ dtype: sameDType([x!, w!]), shape: convShape(x!.shape, w!.shape, attrs) }),
  evaluate: ([x, w], attrs, output) => convolve(x!, w!, output.shape, attrs),
  grad: (g, { dy, inputs: [x, w], attrs: { stride, pads }, wants }) => [
    wants(0) ? g.conv2dInputGrad(dy, w!, { stride, pads, size: x!.shape.slice(2) }) : null,
    wants(1) ? g.conv2dWeightGrad(x!, dy, { stride, pads, kernel: w!.shape.slice(2) }) : null,
  ],
  onnx: (e, [x, w], { inputs: [, wType], attrs }) => lowerConv(e, x!, w!, wType!.shape, attrs),
  cases: [
    { inputs: [{ shape: [2, 3, 5, 4] }, { shape: [4, 3, 3, 3] }], attrs: { stride: 1, pads: [1, 1, 1, 1] } },
    { inputs: [{ shape: [1, 2, 6, 6] }, { shape: [3, 2, 3, 3] }], attrs: { stride: 2, pads: [1, 1, 1, 1] } },
    { inputs: [{ shape: [1, 2, 6, 6] }, { shape: [3, 2, 3, 3] }], attrs: { stride: 2, pads: [0, 0, 1, 1] } },
    { inputs: [{ shape: [2, 6, 4, 3] }, { shape: [8, 6, 3, 3] }], attrs: { stride: 1, pads: [1, 1, 1, 1] } },
    { inputs: [{ shape: [1, 9, 4, 4] }, { shape: [4, 9, 3, 3] }], attrs: { stride: 2, pads: [1, 1, 1, 1] } },
    { inputs: [{ shape: [2, 3, 3, 3] }, { shape: [2, 3, 1, 1] }], attrs: { stride: 1, pads: [0, 0, 0, 0] } },
  ],
};

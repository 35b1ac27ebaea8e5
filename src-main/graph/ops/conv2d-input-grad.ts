import { assert } from '../../base/errors.ts';
import { sizeOf, type Shape } from '../../base/shape.ts';
import { convShape, forEachProduct, lowerConv } from '../convolution.ts';
import { sameDType } from '../elementwise.ts';
import type { Primitive } from '../types.ts';

export interface Conv2dInputGradAttrs {
  readonly [key: string]: number | readonly number[];
  readonly stride: number;
  readonly pads: readonly number[];
  /** Height and width of the convolution's input. */
  readonly size: readonly number[];
}

const inputShape = (dy: Shape, w: Shape, { size }: Conv2dInputGradAttrs): Shape => [dy[0]!, w[1]!, size[0]!, size[1]!];

/** Gradient of conv2d with respect to its input: dy[N,O,H',W'], w[O,C,kh,kw] -> [N,C,H,W]. */
export const conv2dInputGrad: Primitive<Conv2dInputGradAttrs, 2> = {
  kind: 'primitive',
  arity: 2,
  infer: ([dy, w], attrs) => {
    const shape = inputShape(dy!.shape, w!.shape, attrs);
    assert(convShape(shape, w!.shape, attrs).every((extent, axis) => extent === dy!.shape[axis]), 'conv2dInputGrad: dy does not fit');
    return { dtype: sameDType([dy!, w!]), shape };
  },
  evaluate: ([dy, w], attrs, output) => {
    const out = new Float64Array(sizeOf(output.shape));
    forEachProduct(output.shape, w!.shape, dy!.shape, attrs, (ix, iw, iy) => (out[ix]! += dy!.data[iy]! * w!.data[iw]!));
    return out;
  },
  grad: (g, { dy: d, inputs: [dy, w], attrs: { stride, pads }, wants }) => [
    wants(0) ? g.conv2d(d, w!, { stride, pads }) : null,
    wants(1) ? g.conv2dWeightGrad(d, dy!, { stride, pads, kernel: w!.shape.slice(2) }) : null,
  ],
  onnx: (e, [dy, w], { inputs: [dyType, wType], attrs: { stride, pads, size } }) => {
    const [, , kh, kw] = wType!.shape as [number, number, number, number];
    const far = [
      size[0]! - ((dyType!.shape[2]! - 1) * stride - pads[0]! + kh),
      size[1]! - ((dyType!.shape[3]! - 1) * stride - pads[1]! + kw),
    ];
    if (stride !== 1) {
      // output_padding covers rows at the far edge that no window reached completely.
      return e.node('ConvTranspose', [dy!, w!], {
        kernel_shape: [kh, kw],
        strides: [stride, stride],
        pads: [pads[0]!, pads[1]!, Math.max(-far[0]!, 0), Math.max(-far[1]!, 0)],
        output_padding: [Math.max(far[0]!, 0), Math.max(far[1]!, 0)],
      });
    }
    // With stride 1 it is a convolution with the turned, channel-swapped kernel: about twice as fast as ConvTranspose.
    const swapped = e.node('Transpose', [w!], { perm: [1, 0, 2, 3] });
    const turned =
      kh === 1 && kw === 1 ? swapped : e.node('Slice', [swapped, e.ints([-1, -1]), e.ints([-kh - 1, -kw - 1]), e.ints([2, 3]), e.ints([-1, -1])]);
    return lowerConv(e, dy!, turned, [wType!.shape[1]!, wType!.shape[0]!, kh, kw], {
      stride: 1,
      pads: [kh - 1 - pads[0]!, kw - 1 - pads[1]!, kh - 1 - pads[0]! + far[0]! + pads[0]!, kw - 1 - pads[1]! + far[1]! + pads[1]!],
    });
  },
  cases: [
    { inputs: [{ shape: [2, 4, 5, 4] }, { shape: [4, 3, 3, 3] }], attrs: { stride: 1, pads: [1, 1, 1, 1], size: [5, 4] } },
    { inputs: [{ shape: [1, 3, 3, 3] }, { shape: [3, 2, 3, 3] }], attrs: { stride: 2, pads: [1, 1, 1, 1], size: [6, 6] } },
    { inputs: [{ shape: [1, 3, 3, 3] }, { shape: [3, 2, 3, 3] }], attrs: { stride: 2, pads: [0, 0, 1, 1], size: [6, 6] } },
    { inputs: [{ shape: [1, 3, 3, 4] }, { shape: [3, 2, 3, 3] }], attrs: { stride: 2, pads: [1, 1, 1, 1], size: [5, 7] } },
    { inputs: [{ shape: [2, 6, 3, 4] }, { shape: [6, 8, 3, 3] }], attrs: { stride: 1, pads: [1, 1, 1, 1], size: [3, 4] } },
    { inputs: [{ shape: [2, 2, 3, 3] }, { shape: [2, 3, 1, 1] }], attrs: { stride: 1, pads: [0, 0, 0, 0], size: [3, 3] } },
  ],
};

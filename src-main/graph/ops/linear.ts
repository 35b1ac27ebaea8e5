import { sizeOf } from '../../base/shape.ts';
import type { Composite, NoAttrs } from '../types.ts';

/** x[..., in] times the transpose of w[out, in], plus b[out] unless null: [..., out]. */
export const linear: Composite<NoAttrs, '2or3'> = {
  kind: 'composite',
  arity: '2or3',
  body: (g, [x, w, b]) => {
    const product = g.matmul(x!, w!, { transB: true });
    return b ? g.add(product, b) : product;
  },
  grad: (g, { dy, inputs: [x, w, b], wants }) => {
    const rows = sizeOf(x!.shape) / x!.shape.at(-1)!;
    const dy_RO = g.reshape(dy, { shape: [rows, dy.shape.at(-1)!] });
    const x_RI = (): typeof dy_RO => g.reshape(x!, { shape: [rows, x!.shape.at(-1)!] });
    const gradients = [
      wants(0) ? g.reshape(g.matmul(dy_RO, w!, {}), { shape: x!.shape }) : null,
      wants(1) ? g.matmul(dy_RO, x_RI(), { transA: true }) : null,
    ];
    return b ? [...gradients, wants(2) ? g.reduceSum(dy_RO, { axes: [0], keep: false }) : null] : gradients;
  },
  onnx: (e, [x, w, b], { inputs: [xType], output }) => {
    const flat = xType!.shape.length === 2;
    const rows = flat ? x! : e.node('Reshape', [x!, e.ints([-1, xType!.shape.at(-1)!])]);
    const product = e.node('Gemm', b ? [rows, w!, b] : [rows, w!], { transB: 1 });
    return flat ? product : e.node('Reshape', [product, e.ints(output.shape)]);
  },
  cases: [
    { inputs: [{ shape: [2, 3, 4] }, { shape: [5, 4] }, { shape: [5] }] },
    { inputs: [{ shape: [3, 4] }, { shape: [5, 4] }] },
  ],
};

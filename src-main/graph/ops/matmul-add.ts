import type { Composite } from '../types.ts';
import type { MatmulAttrs } from '../matmul-attrs.ts';

/** a[M,K] times b[K,N], either stored transposed, plus c[M,N]: one pass over the result instead of two. */
export const matmulAdd: Composite<MatmulAttrs, 3> = {
  kind: 'composite',
  arity: 3,
  body: (g, [a, b, c], attrs) => g.add(g.matmul(a!, b!, attrs), c!),
  onnx: (e, names, { attrs: { transA = false, transB = false } }) => e.node('Gemm', names, { transA: Number(transA), transB: Number(transB) }),
  cases: [
    { inputs: [{ shape: [3, 4] }, { shape: [4, 2] }, { shape: [3, 2] }] },
    { inputs: [{ shape: [4, 3] }, { shape: [2, 4] }, { shape: [3, 2] }], attrs: { transA: true, transB: true } },
  ],
};

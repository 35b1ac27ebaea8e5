import { assert } from '../../base/errors.ts';
import { broadcastShapes, showShape, sizeOf } from '../../base/shape.ts';
import { broadcastOffsets, sameDType } from '../elementwise.ts';
import type { MatmulAttrs } from '../matmul-attrs.ts';
import type { OnnxEmitter, Primitive, TensorType } from '../types.ts';

interface Dims {
  readonly batch: readonly number[];
  readonly m: number;
  readonly k: number;
  readonly n: number;
}

function dimsOf([a, b]: readonly Pick<TensorType, 'shape'>[], { transA, transB }: MatmulAttrs): Dims {
  const [rowsA, colsA] = a!.shape.slice(-2) as [number, number];
  const [rowsB, colsB] = b!.shape.slice(-2) as [number, number];
  const [m, k] = transA ? [colsA, rowsA] : [rowsA, colsA];
  const [k2, n] = transB ? [colsB, rowsB] : [rowsB, colsB];
  assert(a!.shape.length >= 2 && b!.shape.length >= 2 && k === k2, `cannot multiply ${showShape(a!.shape)} by ${showShape(b!.shape)}`);
  return { batch: broadcastShapes(a!.shape.slice(0, -2), b!.shape.slice(0, -2)), m: m!, k: k!, n: n! };
}

/** a[..., M, K] times b[..., K, N]; the last two axes of either may be stored transposed. Leading axes broadcast. */
export const matmul: Primitive<MatmulAttrs, 2> = {
  kind: 'primitive',
  arity: 2,
  infer: (inputs, attrs) => {
    const { batch, m, n } = dimsOf(inputs, attrs);
    return { dtype: sameDType(inputs), shape: [...batch, m, n] };
  },
  evaluate: ([a, b], attrs, output) => {
    const { batch, m, k, n } = dimsOf([a!, b!], attrs);
    const out = new Float64Array(sizeOf(output.shape));
    const fromA = broadcastOffsets(a!.shape.slice(0, -2), batch);
    const fromB = broadcastOffsets(b!.shape.slice(0, -2), batch);
    const [stepAm, stepAk] = attrs.transA ? [1, m] : [k, 1];
    const [stepBk, stepBn] = attrs.transB ? [1, k] : [n, 1];
    fromA.forEach((offsetA, i) => {
      const startA = offsetA * m * k;
      const startB = fromB[i]! * k * n;
      for (let row = 0; row < m; row++) {
        for (let col = 0; col < n; col++) {
          let total = 0;
          for (let j = 0; j < k; j++) {
            total += a!.data[startA + row * stepAm! + j * stepAk!]! * b!.data[startB + j * stepBk! + col * stepBn!]!;
          }
          out[(i * m + row) * n + col] = total;
        }
      }
    });
    return out;
  },
  grad: (g, { dy, inputs: [a, b], attrs: { transA, transB }, wants }) => [
    !wants(0) ? null : transA ? g.matmul(b!, dy, { transA: transB ?? false, transB: true }) : g.matmul(dy, b!, { transB: !transB }),
    !wants(1) ? null : transB ? g.matmul(dy, a!, { transA: true, transB: transA ?? false }) : g.matmul(a!, dy, { transA: !transA }),
  ],
  onnx: (e, [a, b], { inputs, output, attrs }) => {
    const [typeA, typeB] = inputs as [TensorType, TensorType];
    const { transA = false, transB = false } = attrs;
    if (typeB.shape.length === 2 && (typeA.shape.length === 2 || !transA)) {
      // Gemm reads a transposed weight in place, where MatMul would need a transposed copy.
      const flat = typeA.shape.length === 2;
      const rows = flat ? a! : e.node('Reshape', [a!, e.ints([-1, typeA.shape.at(-1)!])]);
      const product = e.node('Gemm', [rows, b!], { transA: Number(transA), transB: Number(transB) });
      return flat ? product : e.node('Reshape', [product, e.ints(output.shape)]);
    }
    if (!transA && !transB) return e.node('MatMul', [a!, b!]);
    if (e.device === 'cpu') return e.node('FusedMatMul', [a!, b!], { transA: Number(transA), transB: Number(transB) }, 'com.microsoft');
    return e.node('MatMul', [transA ? swapped(e, a!, typeA) : a!, transB ? swapped(e, b!, typeB) : b!]);
  },
  cases: [
    { inputs: [{ shape: [3, 4] }, { shape: [4, 2] }] },
    { inputs: [{ shape: [4, 3] }, { shape: [2, 4] }], attrs: { transA: true, transB: true } },
    { inputs: [{ shape: [2, 3, 4] }, { shape: [5, 4] }], attrs: { transB: true } },
    { inputs: [{ shape: [2, 2, 3, 4] }, { shape: [2, 2, 5, 4] }], attrs: { transB: true } },
    { inputs: [{ shape: [2, 4, 3] }, { shape: [2, 4, 5] }], attrs: { transA: true } },
    { inputs: [{ shape: [3, 4] }, { shape: [2, 4, 5] }] },
  ],
};

function swapped(e: OnnxEmitter, name: string, { shape }: TensorType): string {
  const perm = shape.map((_, axis) => axis);
  [perm[shape.length - 2], perm[shape.length - 1]] = [shape.length - 1, shape.length - 2];
  return e.node('Transpose', [name], { perm });
}

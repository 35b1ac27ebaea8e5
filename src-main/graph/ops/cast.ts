import type { DType } from '../../base/dtype.ts';
import { isFloat } from '../../base/dtype.ts';
import type { Primitive } from '../types.ts';

const ONNX_TYPE: Readonly<Record<DType, number>> = { f32: 1, i64: 7, bool: 9, f16: 10 };

export const cast: Primitive<{ readonly to: DType }, 1> = {
  kind: 'primitive',
  arity: 1,
  infer: ([x], { to }) => ({ dtype: to, shape: x!.shape }),
  evaluate: ([x], { to }) => (to === 'i64' ? x!.data.map(Math.trunc) : to === 'bool' ? x!.data.map((v) => Number(v !== 0)) : x!.data.slice()),
  grad: (g, { dy, inputs: [x] }) => [isFloat(x!.dtype) ? g.cast(dy, { to: x!.dtype }) : null],
  onnx: (e, names, { attrs }) => e.node('Cast', names, { to: ONNX_TYPE[attrs.to] }),
  cases: [
    { inputs: [{ shape: [4], dtype: 'i64', values: [0, 1, 5, 900], fixed: true }], attrs: { to: 'f32' } },
    { inputs: [{ shape: [4], dtype: 'bool', values: [0, 1, 1, 0], fixed: true }], attrs: { to: 'f32' } },
  ],
};

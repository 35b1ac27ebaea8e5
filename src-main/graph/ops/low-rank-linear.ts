import { assert } from '../../base/errors.ts';
import { sizeOf } from '../../base/shape.ts';
import type { Builder } from '../builder.ts';
import type { Composite, OnnxEmitter, TensorType, Value } from '../types.ts';

// R rows (all axes of x but the last), I inputs, O outputs, r rank

export interface LowRankLinearAttrs {
  readonly [key: string]: number | string | boolean;
  /** Factor of the low-rank product. */
  readonly scale: number;
  /** Whether a gain multiplies the rows (`output`) or columns (`input`) of the changed weight. */
  readonly gain: 'none' | 'output' | 'input';
  readonly bias: boolean;
}

interface Parts<T> {
  readonly x: T;
  readonly w: T;
  readonly a: T;
  readonly b: T;
  readonly gain: T | null;
  readonly bias: T | null;
}

function parts<T>(inputs: readonly T[], attrs: LowRankLinearAttrs): Parts<T> {
  const [x, w, a, b, ...rest] = inputs as readonly [T, T, T, T, ...T[]];
  return { x, w, a, b, gain: attrs.gain === 'none' ? null : rest.shift()!, bias: attrs.bias ? rest.shift()! : null };
}

/**
 * A linear layer with the weight (W + scale·B·A), rows or columns times a gain, plus a bias: inputs x[...,I], W[O,I],
 * A[r,I], B[O,r], then gain[O or I] and bias[O] if there are any -> [...,O]. W has no gradient.
 *
 * The gain multiplies W and B (or A) rather than activations: as many elements as the weights have. Nothing of the size
 * of the output is kept for the gradient of the gain; it follows from the output itself.
 *
 * Where there are more activations than weights, W + scale·B·A is formed for the moment: one product then does what takes
 * three, and passes over the activations are what costs. Not in f16, which would round the change away.
 */
export const lowRankLinear: Composite<LowRankLinearAttrs, 'many'> = {
  kind: 'composite',
  arity: 'many',
  body: (g, inputs, attrs) => {
    const { x, w, a, b, gain, bias } = parts(inputs, attrs);
    const seen = attrs.gain === 'input' ? g.mul(x, gain!) : x;
    const sum = g.add(g.linear(seen, w, null), g.linear(g.mul(g.linear(seen, a, null), attrs.scale), b, null));
    const y = attrs.gain === 'output' ? g.mul(sum, gain!) : sum;
    return bias ? g.add(y, bias) : y;
  },
  grad: (g, { dy, inputs, output, attrs, wants }) => {
    assert(!wants(1), 'the weight of a low-rank layer is frozen');
    const { x, w, a, b, gain, bias } = parts(inputs, attrs);
    const column_O1 = attrs.gain === 'output' ? g.reshape(gain!, { shape: [gain!.shape[0]!, 1] }) : null;
    const w_OI = column_O1 ? g.mul(w, column_O1) : gain ? g.mul(w, gain) : w;
    const b_Or = column_O1 ? g.mul(b, column_O1) : b;
    const a_rI = attrs.gain === 'input' ? g.mul(a, gain!) : a;
    const rows = sizeOf(x.shape) / x.shape.at(-1)!;
    const x_RI = g.reshape(x, { shape: [rows, x.shape.at(-1)!] });
    const dy_RO = g.reshape(dy, { shape: [rows, dy.shape.at(-1)!] });
    const up_Rr = times(g, g.matmul(dy_RO, b_Or, {}), attrs.scale);
    const formed = (): Value => g.matmul(dy_RO, g.matmulAdd(times(g, b_Or, attrs.scale), a_rI, w_OI, {}), {});
    const factored = (): Value => g.matmulAdd(up_Rr, a_rI, g.matmul(dy_RO, w_OI, {}), {});
    const needsDx = wants(0) || attrs.gain === 'input';
    const dx_RI = !needsDx ? null : formsWeight(x, w) ? formed() : factored();
    const sum = (value: Value): Value => g.reduceSum(value, { axes: [0], keep: false });
    const wide = (value: Value): Value => (value.dtype === 'f16' ? g.cast(value, { to: 'f32' }) : value);

    const da = wants(2) ? g.matmul(up_Rr, x_RI, { transA: true }) : null;
    const db = wants(3) ? times(g, g.matmul(dy_RO, g.matmul(x_RI, a_rI, { transB: true }), { transA: true }), attrs.scale) : null;
    const gradients = [
      dx_RI && g.reshape(dx_RI, { shape: x.shape }),
      null,
      da && (attrs.gain === 'input' ? g.mul(da, gain!) : da),
      db && (column_O1 ? g.mul(db, column_O1) : db),
    ];
    // What a gain multiplied, times its gradient, summed, over the gain: Σ dy·(y − bias) / gain or Σ x·dx / gain.
    if (attrs.gain === 'output') {
      const whole = sum(g.mul(wide(dy_RO), wide(g.reshape(output, { shape: dy_RO.shape }))));
      gradients.push(overGain(g, bias ? g.sub(whole, g.mul(wide(bias), sum(wide(dy_RO)))) : whole, gain!));
    } else if (attrs.gain === 'input') gradients.push(overGain(g, sum(g.mul(wide(x_RI), wide(dx_RI!))), gain!));
    if (bias) gradients.push(wants(inputs.length - 1) ? sum(dy_RO) : null);
    return gradients;
  },
  onnx: (e, names, { inputs, output, attrs }) => {
    const { x, w, a, b, gain, bias } = parts(names, attrs);
    const isFlat = inputs[0]!.shape.length === 2;
    const rows = isFlat ? x : e.node('Reshape', [x, e.ints([-1, inputs[0]!.shape.at(-1)!])]);
    const w2 = attrs.gain === 'output' ? byRow(e, w, gain!) : gain ? e.node('Mul', [w, gain]) : w;
    const a2 = attrs.gain === 'input' ? e.node('Mul', [a, gain!]) : a;
    const b2 = attrs.gain === 'output' ? byRow(e, b, gain!) : b;
    const layer = (weight: string): string => e.node('Gemm', bias ? [rows, weight, bias] : [rows, weight], { transB: 1 });
    const alpha = { float: attrs.scale };
    const sum = formsWeight(inputs[0]!, inputs[1]!)
      ? layer(e.node('Gemm', [b2, a2, w2], { alpha }))
      : e.node('Gemm', [e.node('Gemm', [rows, a2], { transB: 1, alpha }), b2, layer(w2)], { transB: 1 });
    return isFlat ? sum : e.node('Reshape', [sum, e.ints(output.shape)]);
  },
  // Six rows are more than the weight, one is less.
  cases: (['none', 'output', 'input'] as const).flatMap((gain) => [true, false].flatMap((bias) => [[2, 3], [1, 1]].map((rows) => ({
    inputs: [
      { shape: [...rows, 4] }, { shape: [5, 4], fixed: true }, { shape: [2, 4] }, { shape: [5, 2] },
      ...(gain === 'none' ? [] : [{ shape: [gain === 'output' ? 5 : 4], range: [0.5, 2] as const }]),
      ...(bias ? [{ shape: [5] }] : []),
    ],
    attrs: { scale: bias ? 1.5 : 1, gain, bias },
  })))),
};

/** Whether inputs and outputs of a layer have more elements than its weight. */
function formsWeight(x: TensorType, w: TensorType): boolean {
  const [outputs, inputs] = w.shape as [number, number];
  return x.dtype === 'f32' && (sizeOf(x.shape) / inputs) * (inputs + outputs) > inputs * outputs;
}

/** A gain this small belongs to a vector of zeros: it has nothing to scale, and its gradient is 0. */
const LEAST_GAIN = 1e-7;

function overGain(g: Builder, whole: Value, gain: Value): Value {
  const exact = gain.dtype === 'f16' ? g.cast(gain, { to: 'f32' }) : gain;
  const isTiny = g.greater(g.scalar(LEAST_GAIN), g.abs(exact));
  const quotient = g.div(whole, g.where(isTiny, g.scalar(1), exact));
  return gain.dtype === 'f16' ? g.cast(quotient, { to: 'f16' }) : quotient;
}

const times = (g: Builder, value: Value, factor: number): Value => (factor === 1 ? value : g.mul(value, factor));

function byRow(e: OnnxEmitter, matrix: string, gain: string): string {
  return e.node('Mul', [matrix, e.node('Reshape', [gain, e.ints([-1, 1])])]);
}

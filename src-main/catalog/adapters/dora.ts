// DoRA (Liu et al. 2024, arXiv 2402.09353): a weight as magnitude and direction; LoRA changes the direction, the magnitude
// is trained by itself. W' = m · V / ‖V‖ with V = W + s·B·A and s = alpha / rank inside the norm.
// O output channels, I inputs (times kernel positions), r rank
import { defineFields, type SettingsOf } from '../../contract/fields.ts';
import type { Builder, Layer } from '../../graph/builder.ts';
import type { Value } from '../../graph/types.ts';
import { castTo } from '../../nn/cast.ts';
import { asMatrix, bareLayer, denseSum, DOWN, lowRankBranch, lowRankLayer, lowRankScale, lowRankShapes, MAGNITUDE, overOutputs, UP, withBias } from '../../nn/low-rank.ts';
import type { Adapter } from '../define/adapter.ts';

/** Squared norms never get below this: a row of zeros must not divide by zero. */
const LEAST = 1e-24;

const fields = defineFields({
  rank: { kind: 'number', label: 'Rank', help: 'Width of the change of direction.', why: 'DoRA needs about half of LoRA’s rank.', default: 16, min: 1, max: 1024, integer: true },
  alpha: { kind: 'number', label: 'Alpha', help: 'Strength of the change is alpha / rank. Equal to the rank keeps it at 1.', why: 'A recipe is only right with its alpha: what counts is learning rate × alpha / rank.', default: 16, min: 0.001, max: 4096 },
  rsLora: { kind: 'flag', label: 'Rank-stabilised', help: 'Strength is alpha / √rank, so that high ranks learn as fast as low ones.', why: 'On for ranks of 64 and more, which otherwise learn slowly; a recipe that was made without it wants it off.', default: false },
  axis: {
    kind: 'choice', label: 'Magnitude axis', help: 'Which vectors of the weight have a magnitude of their own. Decides which programs can read the file.', why: 'A file of the wrong axis paints something else in the program that reads it. Choose one by hand only when you know which program will.', default: 'auto',
    options: [
      { value: 'auto', label: 'By program', help: 'The one that the program of output.for applies; per input for all of them.' },
      { value: 'output', label: 'Per output', help: 'As in the paper and in PEFT: for diffusers.' },
      { value: 'input', label: 'Per input', help: 'As ComfyUI, A1111, Forge and InvokeAI apply it.' },
    ],
  },
  norm: {
    kind: 'choice', label: 'Norm in the gradient', help: 'Whether the norm counts as a constant when gradients are taken.', why: 'Exact only to compare with the paper: it costs memory and ends in the same pictures.', default: 'detached',
    options: [
      { value: 'detached', label: 'Constant', help: 'Paper section 4.3: a quarter less memory, the same result.' },
      { value: 'exact', label: 'Exact', help: 'The full gradient, equation 6 of the paper.' },
    ],
  },
  dropout: { kind: 'number', label: 'Dropout', help: 'Share of the inputs that the adapter does not see in each step. Costs a second pass through the layer.', why: '0.05 to 0.1 against learning single pictures of a small set; slower.', default: 0, min: 0, max: 0.9 },
});
type Settings = SettingsOf<typeof fields>;

/** Jobs have the program's axis in place of `auto`; without a program it is the paper's. */
const axisOf = ({ axis }: Settings): 'output' | 'input' => (axis === 'input' ? 'input' : 'output');

export const dora: Adapter<typeof fields> = {
  label: 'DoRA',
  help: 'Learns strength and direction apart; close to full fine-tuning at the size of a LoRA.',
  fields,
  parameters: ({ shape }, settings) => {
    const { down, up } = lowRankShapes(shape, settings.rank);
    return [
      { name: DOWN, shape: down, initial: 'kaiming' },
      { name: UP, shape: up, initial: 'zero' },
      { name: MAGNITUDE, shape: magnitudeShape(shape, axisOf(settings)), initial: 'norm' },
    ];
  },
  norm: (g, weight, settings) => {
    const w = castTo(g, weight, 'f32');
    return g.sqrt(g.maximum(squaredNorm(g, w, axisOf(settings)), g.scalar(LEAST)));
  },
  apply: (g, layer, p, settings, dropout) => {
    const gain = gainOf(g, layer, p, settings);
    const scale = lowRankScale(settings);
    if (layer.kind === 'linear' && !dropout) return lowRankLayer(g, layer, p[DOWN]!, p[UP]!, scale, { axis: axisOf(settings), value: gain });
    const change = (x: Value): Value => lowRankBranch(g, layer, x, p[DOWN]!, p[UP]!, scale);
    const scaled = (x: Value): Value => {
      const seen = axisOf(settings) === 'input' ? g.mul(x, overInputs(g, layer.kind, castTo(g, gain, g.compute))) : x;
      const sum = g.add(bareLayer(g, layer, seen), change(seen));
      return axisOf(settings) === 'output' ? g.mul(sum, overOutputs(g, layer.kind, castTo(g, gain, g.compute))) : sum;
    };
    if (!dropout) return withBias(g, layer, scaled(layer.x));
    // Dropout covers all that the adapter adds, and not the base layer: y = W x + (W' − W) dropout(x).
    const dropped = g.mul(layer.x, dropout);
    const added = g.sub(scaled(dropped), bareLayer(g, layer, dropped));
    return withBias(g, layer, g.add(bareLayer(g, layer, layer.x), added));
  },
  merge: (g, weight, p, settings, sums) => {
    const direction = denseSum(g, weight, p[DOWN]!, p[UP]!, lowRankScale(settings));
    const norm = g.sqrt(g.maximum(sums ?? squaredNorm(g, direction, axisOf(settings)), g.scalar(LEAST)));
    const along = weight.shape.map((extent, axis) => (axis === (axisOf(settings) === 'output' ? 0 : 1) ? extent : 1));
    const vector = (value: Value): Value => g.reshape(value, { shape: along });
    return g.mul(direction, g.div(vector(p[MAGNITUDE]!), vector(norm)));
  },
  rowSums: (g, rows, p, settings) =>
    (axisOf(settings) === 'output' ? null : squaredNorm(g, denseSum(g, rows, p[DOWN]!, p[UP]!, lowRankScale(settings)), 'input')),
};

/** [O] or, for a convolution, [1,O,1,1] on the output axis (as PEFT stores it); [1,I] or [1,I,1,1] on the input axis. */
function magnitudeShape(weight: readonly number[], axis: 'output' | 'input'): number[] {
  const isLinear = weight.length === 2;
  if (axis === 'output') return isLinear ? [weight[0]!] : [1, weight[0]!, 1, 1];
  return isLinear ? [1, weight[1]!] : [1, weight[1]!, 1, 1];
}

/** Squared norms of the vectors that have a magnitude: rows [O], or columns [I] (over outputs and kernel positions). */
function squaredNorm(g: Builder, weight: Value, axis: 'output' | 'input'): Value {
  const kept = axis === 'output' ? 0 : 1;
  return g.sumSquares(weight, { axes: weight.shape.map((_, i) => i).filter((i) => i !== kept), keep: false });
}

/** m / ‖W + s·B·A‖ as [O] or [I], in f32, without forming B·A. */
function gainOf(g: Builder, { weight }: Layer, p: Readonly<Record<string, Value>>, settings: Settings): Value {
  const isConstant = settings.norm === 'detached';
  const down = isConstant ? g.detach(p[DOWN]!) : p[DOWN]!;
  const up = isConstant ? g.detach(p[UP]!) : p[UP]!;
  const scale = lowRankScale(settings);
  const own = squaredNorm(g, castTo(g, weight, 'f32'), axisOf(settings));
  const { cross, square } = axisOf(settings) === 'output' ? rowParts(g, weight, down, up) : columnParts(g, weight, down, up);
  const total = g.add(own, g.add(g.mul(cross, 2 * scale), g.mul(square, scale * scale)));
  const norm = g.sqrt(g.maximum(total, g.scalar(LEAST)));
  return g.div(g.reshape(p[MAGNITUDE]!, { shape: norm.shape }), norm);
}

interface NormParts {
  /** Inner products of the vectors of W with those of B·A. */
  readonly cross: Value;
  /** Squared norms of the vectors of B·A. */
  readonly square: Value;
}

/** Rows: (W Aᵀ ⊙ B)·1 and (B (A Aᵀ) ⊙ B)·1. */
function rowParts(g: Builder, weight: Value, down: Value, up: Value): NormParts {
  const [w_OI, a_rI, b_Or] = [asMatrix(g, weight), asMatrix(g, down), asMatrix(g, up)];
  const sum = { axes: [1], keep: false };
  const wa_Or = castTo(g, g.matmul(w_OI, castTo(g, a_rI, w_OI.dtype), { transB: true }), 'f32');
  const aa_rr = g.matmul(a_rI, a_rI, { transB: true });
  return { cross: g.reduceSum(g.mul(wa_Or, b_Or), sum), square: g.reduceSum(g.mul(g.matmul(b_Or, aa_rr, {}), b_Or), sum) };
}

/** Columns: 1·(Bᵀ W ⊙ A) and 1·((Bᵀ B) A ⊙ A), over kernel positions too. */
function columnParts(g: Builder, weight: Value, down: Value, up: Value): NormParts {
  const [w_OI, a_rI, b_Or] = [asMatrix(g, weight), asMatrix(g, down), asMatrix(g, up)];
  const wide_rI = castTo(g, g.matmul(castTo(g, b_Or, w_OI.dtype), w_OI, { transA: true }), 'f32');
  const bb_rr = g.matmul(b_Or, b_Or, { transA: true });
  const perColumn = (value: Value): Value => {
    const split = g.reshape(value, { shape: [value.shape[0]!, weight.shape[1]!, value.shape[1]! / weight.shape[1]!] });
    return g.reduceSum(split, { axes: [0, 2], keep: false });
  };
  return { cross: perColumn(g.mul(wide_rI, a_rI)), square: perColumn(g.mul(g.matmul(bb_rr, a_rI, {}), a_rI)) };
}

/** A vector over input channels [I], shaped to broadcast over the layer's input. */
const overInputs = (g: Builder, kind: Layer['kind'], vector: Value): Value =>
  kind === 'linear' ? vector : g.reshape(vector, { shape: [1, vector.shape[0]!, 1, 1] });

// The low-rank branch that LoRA and DoRA share: A takes the layer's input to r channels (with the layer's kernel, stride
// and padding), B takes them to its output.
// r rank, O output channels, I input channels
import type { Shape } from '../base/shape.ts';
import type { Builder, Layer } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { castTo } from './cast.ts';

export const DOWN = 'lora_A.weight';
export const UP = 'lora_B.weight';
/** Lengths of a weight's rows or columns, which DoRA trains by themselves. */
export const MAGNITUDE = 'lora_magnitude_vector';

/** Shapes of A [r,I(,kh,kw)] and B [O,r(,1,1)] for a weight [O,I(,kh,kw)]. */
export function lowRankShapes(weight: Shape, rank: number): { readonly down: Shape; readonly up: Shape } {
  const [out, ...rest] = weight as [number, ...number[]];
  return { down: [rank, ...rest], up: [out, rank, ...rest.slice(1).map(() => 1)] };
}

/** Factor of B·A: alpha / r, or alpha / √r (rsLoRA, arXiv 2312.03732). */
export const lowRankScale = ({ rank, alpha, rsLora }: { readonly rank: number; readonly alpha: number; readonly rsLora: boolean }): number =>
  alpha / (rsLora ? Math.sqrt(rank) : rank);

/** The layer without its bias, on `x` in place of its own input. */
export function bareLayer(g: Builder, { kind, weight, conv }: Layer, x: Value): Value {
  return kind === 'linear' ? g.linear(x, weight, null) : g.conv2d(x, weight, conv!);
}

/** scale · B(A(x)), without the dense product. */
export function lowRankBranch(g: Builder, { kind, conv }: Layer, x: Value, down: Value, up: Value, scale: number): Value {
  const [a, b] = [castTo(g, down, g.compute), castTo(g, up, g.compute)];
  // The factor multiplies the r channels in the middle: fewer than the outputs.
  const middle = (value: Value): Value => (scale === 1 ? value : g.mul(value, scale));
  if (kind === 'linear') return g.linear(middle(g.linear(x, a, null)), b, null);
  return g.conv2d(middle(g.conv2d(x, a, conv!)), b, { stride: 1, pads: [0, 0, 0, 0] });
}

/**
 * A linear layer with its low-rank change and, for DoRA, a gain [O] or [I] in f32, as one operation.
 * @param gain null for LoRA
 */
export function lowRankLayer(g: Builder, layer: Layer, down: Value, up: Value, scale: number, gain: { readonly axis: 'output' | 'input'; readonly value: Value } | null): Value {
  const { x, weight, bias } = layer;
  const inputs = [x, weight, castTo(g, down, g.compute), castTo(g, up, g.compute), ...(gain ? [castTo(g, gain.value, g.compute)] : []), ...(bias ? [bias] : [])];
  return g.lowRankLinear(inputs, { scale, gain: gain?.axis ?? 'none', bias: bias !== null });
}

/** A vector over output channels [O], shaped to broadcast over the layer's output. */
export const overOutputs = (g: Builder, kind: Layer['kind'], vector: Value): Value =>
  kind === 'linear' ? vector : g.reshape(vector, { shape: [1, vector.shape[0]!, 1, 1] });

/** A layer's output with its bias. */
export const withBias = (g: Builder, { kind, bias }: Layer, y: Value): Value => (bias ? g.add(y, overOutputs(g, kind, bias)) : y);

/** A weight [O,I(,kh,kw)] as a matrix [O,I·kh·kw]. */
export const asMatrix = (g: Builder, weight: Value): Value =>
  weight.shape.length === 2 ? weight : g.reshape(weight, { shape: [weight.shape[0]!, weight.shape.slice(1).reduce((a, b) => a * b, 1)] });

/** W + scale·B·A for a weight [O,I(,kh,kw)]; only for merging, never in a training step. */
export function denseSum(g: Builder, weight: Value, down: Value, up: Value, scale: number): Value {
  const b = asMatrix(g, up);
  const sum = g.matmulAdd(scale === 1 ? b : g.mul(b, scale), asMatrix(g, down), asMatrix(g, weight), {});
  return weight.shape.length === 2 ? sum : g.reshape(sum, { shape: weight.shape });
}

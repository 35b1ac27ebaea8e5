// Parts of a layer's output channels, without cutting the output.
import { assert } from '../base/errors.ts';
import type { Builder } from '../graph/builder.ts';
import type { LowRankLinearAttrs } from '../graph/ops/low-rank-linear.ts';
import type { Value } from '../graph/types.ts';

/**
 * y[...,O] -> `count` values [...,O/count], of neighbouring channels each.
 *
 * What a linear layer has put out is made anew from rows of its weight: cutting activations (and writing the parts of their
 * gradient side by side) costs passes over memory, cutting a weight that does not change costs nothing. A trained weight is
 * left whole, because its gradient would have to be put together from parts.
 */
export function splitOutputs(g: Builder, y: Value, count: number): Value[] {
  const outputs = y.shape.at(-1)!;
  assert(outputs % count === 0, `${outputs} channels do not make ${count} equal parts`);
  const size = outputs / count;
  const cut = (value: Value, axis: number, part: number): Value => g.slice(value, {
    starts: value.shape.map((_, i) => (i === axis ? part * size : 0)),
    sizes: value.shape.map((extent, i) => (i === axis ? size : extent)),
  });
  const rows = (value: Value, part: number): Value => cut(value, 0, part);
  const parts = Array.from({ length: count }, (_, part) => part);
  const [x, w, ...rest] = y.inputs as readonly [Value, Value, ...Value[]];
  if (y.op === 'linear' && isFrozen(w)) return parts.map((part) => g.linear(x, rows(w, part), rest[0] ? rows(rest[0], part) : null));
  if (y.op === 'lowRankLinear') {
    const attrs = y.attrs as LowRankLinearAttrs;
    const [a, ...others] = rest as unknown as readonly [Value, ...Value[]];
    // After B comes the gain, if there is one; that over inputs belongs to every part.
    const whole = attrs.gain === 'input' ? others[1] : null;
    return parts.map((part) => g.lowRankLinear([x, rows(w, part), a, ...others.map((value) => (value === whole ? value : rows(value, part)))], attrs));
  }
  return parts.map((part) => cut(y, y.shape.length - 1, part));
}

/** Whether nothing that is trained went into it. */
const isFrozen = (weight: Value): boolean => weight.leaf?.kind === 'weight' || (weight.op === 'cast' && isFrozen(weight.inputs[0]!));

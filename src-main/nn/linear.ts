import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';

/**
 * x[..., in] -> [..., out] with `<path>.weight` [out,in] and, unless `bias` is false, `<path>.bias` [out].
 * A layer: an adapter may replace its output.
 */
export function linear(g: Builder, path: string, x: Value, out: number, bias = true): Value {
  const weight = g.param(`${path}.weight`, [out, x.shape.at(-1)!]);
  const offset = bias ? g.param(`${path}.bias`, [out]) : null;
  return g.layer({ kind: 'linear', path, x, weight, bias: offset }, () => g.linear(x, weight, offset));
}

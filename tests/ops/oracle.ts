// Random inputs for op cases and the graphs that tests make of them.
import { sizeOf } from '../../src-main/base/shape.ts';
import { createBuilder, type Builder } from '../../src-main/graph/builder.ts';
import { ops, type OpName } from '../../src-main/graph/ops/index.ts';
import type { Arity, Attrs, CaseInput, Op, OpCase, Value } from '../../src-main/graph/types.ts';

export const opOf = (name: OpName): Op<Attrs, Arity> => ops[name] as unknown as Op<Attrs, Arity>;

/** Deterministic numbers in [min, max]; spread so that no two elements of a case are equal. */
export function valuesOf(input: CaseInput, seed: number): Float64Array {
  if (input.values) return Float64Array.from(input.values);
  const [min, max] = input.range ?? [-1.5, 1.5];
  let state = (seed * 2654435761 + 12345) >>> 0;
  return Float64Array.from({ length: sizeOf(input.shape) }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.fround(min + ((max - min) * state) / 2 ** 32);
  });
}

export interface CaseGraph {
  readonly g: Builder;
  readonly inputs: readonly Value[];
  readonly output: Value;
  readonly feeds: ReadonlyMap<string, Float64Array>;
}

export function buildCase(name: OpName, { inputs: specs, attrs }: OpCase<Attrs>): CaseGraph {
  const g = createBuilder();
  const inputs = specs.map((spec, i) => g.input(`x${i}`, spec.shape, spec.dtype ?? 'f32'));
  const feeds = new Map(specs.map((spec, i) => [`x${i}`, valuesOf(spec, i + 1)]));
  return { g, inputs, output: g.apply(name, inputs, attrs ?? {}), feeds };
}

/** A scalar that depends on every element of `value` in its own way: Σ value·w with fixed irregular w. */
export function weighted(g: Builder, value: Value): Value {
  const weights = Array.from({ length: sizeOf(value.shape) }, (_, i) => Math.sin(1.3 * i + 0.7) + 0.2);
  const product = g.mul(value, g.constant(weights, value.shape));
  return g.reshape(g.reduceSum(product, { axes: value.shape.map((_, axis) => axis), keep: false }), { shape: [] });
}

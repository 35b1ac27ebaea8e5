// Golden files: tensors by name, compared by the largest error relative to the largest value.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { gradients } from '../../src-main/graph/autodiff.ts';
import { evaluate } from '../../src-main/graph/evaluate.ts';
import type { Builder } from '../../src-main/graph/builder.ts';
import type { Value } from '../../src-main/graph/types.ts';
import { verify } from '../../src-main/graph/verify.ts';

export const goldenPath = (...parts: string[]): string =>
  fileURLToPath(new URL(`../golden/${parts.join('/')}`, import.meta.url));

export const readConfig = (...parts: string[]): Record<string, unknown> =>
  JSON.parse(readFileSync(goldenPath(...parts), 'utf8')) as Record<string, unknown>;

export interface GoldenTensors {
  readonly names: readonly string[];
  shape(name: string): readonly number[];
  data(name: string): Float64Array;
  has(name: string): boolean;
}

export function readGolden(...parts: string[]): GoldenTensors {
  const file = openSafetensors(goldenPath(...parts));
  const info = (name: string) => {
    const found = file.tensors.get(name);
    if (!found) throw new Error(`no golden tensor ${name}`);
    return found;
  };
  return {
    names: [...file.tensors.keys()],
    shape: (name) => info(name).shape,
    has: (name) => file.tensors.has(name),
    data: (name) => {
      if (info(name).dtype !== 'i64') return Float64Array.from(file.readF32(name));
      const { bytes } = file.read(name);
      return Float64Array.from(new BigInt64Array(bytes.slice().buffer), Number);
    },
  };
}

/** Evaluates outputs with parameters from the golden weights (keys without the component) and named inputs. */
export function run(
  g: Builder, outputs: Record<string, Value>, part: string, weights: GoldenTensors, inputs: Record<string, ArrayLike<number>>,
): Map<string, Float64Array> {
  const feeds = new Map<string, ArrayLike<number>>(Object.entries(inputs));
  const graph = verify(g.graph(outputs));
  for (const { leaf } of graph.nodes) {
    if (leaf && (leaf.kind === 'weight' || leaf.kind === 'trainable')) feeds.set(leaf.name, weights.data(leaf.name.slice(part.length + 1)));
  }
  return new Map([...evaluate(graph, feeds)].map(([name, { data }]) => [name, data]));
}

/** Largest error divided by the largest magnitude that is expected. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let error = 0;
  let size = 0;
  for (let i = 0; i < expected.length; i++) {
    error = Math.max(error, Math.abs(actual[i]! - expected[i]!));
    size = Math.max(size, Math.abs(expected[i]!));
  }
  return Number.isNaN(error) ? Infinity : error / (size || 1);
}

export function expectClose(actual: ArrayLike<number> | undefined, expected: ArrayLike<number>, what: string, tolerance = 1e-4): void {
  expect(actual, what).toBeDefined();
  expect(relativeError(actual!, expected), what).toBeLessThan(tolerance);
}

/**
 * Like expectClose. Some gradients are zero whatever the numbers are (a bias of the keys moves all scores of a query
 * alike; a bias before a norm over that one channel): there the f32 golden file holds rounding errors only.
 */
export function expectGradient(actual: Float64Array, expected: Float64Array, what: string): void {
  const largest = (values: Float64Array): number => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (largest(actual) > 1e-12) return expectClose(actual, expected, what);
  expect(largest(expected), `${what}, which is zero`).toBeLessThan(1e-6);
}

/** Gradients of the loss for every trained parameter, named as in the golden files: `grad.<key>`. */
export function gradientOutputs(g: Builder, loss: Value, part: string): Record<string, Value> {
  const leaves = [...g.leaves.values()].filter((value) => value.leaf!.kind === 'trainable');
  const found = gradients(g, loss, leaves);
  return Object.fromEntries(leaves.flatMap((value, i) => {
    const gradient = found[i];
    return gradient ? [[`grad.${value.leaf!.name.slice(part.length + 1)}`, gradient]] : [];
  }));
}

// Runs a graph on a runtime with f64 feeds, and compares arrays.
import { expect } from 'vitest';
import { sizeOf } from '../../src-main/base/shape.ts';
import type { Graph } from '../../src-main/graph/types.ts';
import type { DeviceTensor, HostData, Runtime, WeightLocation } from '../../src-main/runtime/runtime.ts';

export function hostData(dtype: string, values: ArrayLike<number>): HostData {
  if (dtype === 'i64') return BigInt64Array.from(values, (value) => BigInt(value));
  return dtype === 'bool' ? Uint8Array.from(values) : Float32Array.from(values);
}

/** Feeds inputs, trainables and frozen weights of the graph from `feeds`; gives the outputs. */
export async function runOn(runtime: Runtime, graph: Graph, feeds: ReadonlyMap<string, ArrayLike<number>>): Promise<Map<string, Float32Array>> {
  const weights = (path: string): WeightLocation => ({ kind: 'memory', data: Float32Array.from(feeds.get(path)!) });
  const program = await runtime.compile(graph, { weights, name: 'test' });
  const tensors = new Map<string, DeviceTensor>();
  for (const { leaf, dtype, shape } of graph.nodes) {
    if (!leaf || leaf.kind === 'constant' || leaf.kind === 'weight') continue;
    tensors.set(leaf.name, runtime.upload({ dtype, shape, data: hostData(dtype, feeds.get(leaf.name)!) }));
  }
  const results = new Map<string, Float32Array>();
  for (const [name, tensor] of await program.run(tensors)) {
    const data = await tensor.read();
    expect(data.length).toBe(sizeOf(tensor.shape));
    results.set(name, Float32Array.from(data as Float32Array, Number));
  }
  await program.dispose();
  return results;
}

/** Largest difference relative to the largest expected magnitude (at least 1e-3). */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let worst = 0;
  let scale = 1e-3;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    worst = difference > worst || Number.isNaN(difference) ? difference : worst;
    scale = Math.max(scale, Math.abs(expected[i]!));
  }
  return worst / scale;
}

export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  expect(relativeError(actual, expected)).toBeLessThan(tolerance);
}

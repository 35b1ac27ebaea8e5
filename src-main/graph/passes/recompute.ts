// Gradient checkpointing: backward regions compute again what they need from inside their forward region, so that only
// the values that cross forward regions live until the backward part.
import { assert } from '../../base/errors.ts';
import { forwardOf } from '../autodiff.ts';
import { reachable } from '../builder.ts';
import type { Graph, Value } from '../types.ts';

/** The same graph with recomputation in every backward region whose forward region `isCheckpointed`. */
export function recompute(graph: Graph, isCheckpointed: (region: string) => boolean): Graph {
  let nextId = 0;
  const crossing = crossingValues(graph);
  const kept = new Map<Value, Value>();
  const again = new Map<string, Map<Value, Value>>();

  const copy = (node: Value, inputs: readonly Value[], region: string): Value => ({ ...node, id: nextId++, inputs, region });

  /** Value of a forward node as seen from backward region `region`. */
  const seenFrom = (value: Value, region: string): Value => {
    const isInside = value.op !== 'leaf' && value.region === forwardOf(region) && !crossing.has(value);
    if (!isInside) {
      const known = kept.get(value);
      assert(known, `value %${value.id} is used before it is made`);
      return known;
    }
    const clones = again.get(region) ?? new Map<Value, Value>();
    again.set(region, clones);
    const known = clones.get(value);
    if (known) return known;
    const clone = copy(value, value.inputs.map((input) => seenFrom(input, region)), region);
    clones.set(value, clone);
    return clone;
  };

  for (const node of graph.nodes) {
    const forward = forwardOf(node.region);
    const resolves = forward !== null && isCheckpointed(forward);
    const inputs = node.inputs.map((input) => (resolves ? seenFrom(input, node.region) : kept.get(input)!));
    kept.set(node, copy(node, inputs, node.region));
  }
  const outputs = new Map([...graph.outputs].map(([name, value]) => [name, kept.get(value)!]));
  return { outputs, nodes: reachable([...outputs.values()]) };
}

/** Values that another forward region uses, and outputs: they are kept anyway. */
function crossingValues(graph: Graph): Set<Value> {
  const crossing = new Set(graph.outputs.values());
  for (const node of graph.nodes) {
    if (forwardOf(node.region) !== null) continue;
    for (const input of node.inputs) if (input.region !== node.region) crossing.add(input);
  }
  return crossing;
}

// Cuts a graph's linear schedule into segments: runs of nodes of the same region. Values that cross a cut are outputs of
// one segment and inputs of others, so what lives between segments is exactly known.
import type { Graph, Value } from '../../graph/types.ts';

export interface Segment {
  readonly region: string;
  readonly nodes: readonly Value[];
  /** Values and fed leaves from outside, in order of first use. */
  readonly inputs: readonly Value[];
  /** Frozen weights and constants used here. */
  readonly constants: readonly Value[];
  /** Values that later segments or the graph's outputs need. */
  readonly outputs: readonly Value[];
  /** Values that nobody needs after this segment. */
  readonly lastUses: readonly Value[];
}

const isConstant = (value: Value): boolean => value.leaf?.kind === 'weight' || value.leaf?.kind === 'constant';

export function cutIntoSegments(graph: Graph): Segment[] {
  const runs: { region: string; nodes: Value[] }[] = [];
  for (const node of graph.nodes) {
    if (node.op === 'leaf') continue;
    const last = runs.at(-1);
    if (last?.region === node.region) last.nodes.push(node);
    else runs.push({ region: node.region, nodes: [node] });
  }
  const results = new Set(graph.outputs.values());
  const lastUser = new Map<Value, number>();
  runs.forEach(({ nodes }, index) => {
    for (const node of nodes) for (const input of node.inputs) lastUser.set(input, index);
  });
  return runs.map(({ region, nodes }, index) => {
    const own = new Set(nodes);
    const used = [...new Set(nodes.flatMap((node) => node.inputs))].filter((value) => !own.has(value));
    const inputs = used.filter((value) => !isConstant(value));
    return {
      region,
      nodes,
      inputs,
      constants: used.filter(isConstant),
      outputs: nodes.filter((node) => results.has(node) || (lastUser.get(node) ?? index) > index),
      lastUses: inputs.filter((value) => value.op !== 'leaf' && lastUser.get(value) === index && !results.has(value)),
    };
  });
}

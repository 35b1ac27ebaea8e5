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

const isFrozen = (value: Value): boolean => value.leaf?.kind === 'weight' || value.leaf?.kind === 'constant';

/**
 * What follows from frozen values alone, such as a weight in another element type or some of its rows, is made in every
 * segment that uses it: ONNX Runtime does so once, when the session is created, where a crossing value would be copied at
 * each run.
 */
export function cutIntoSegments(graph: Graph): Segment[] {
  const results = new Set(graph.outputs.values());
  const folded = new Set<Value>();
  const isKnown = (value: Value): boolean => isFrozen(value) || folded.has(value);
  const runs: { region: string; nodes: Value[] }[] = [];
  for (const node of graph.nodes) {
    if (node.op === 'leaf') continue;
    if (node.inputs.every(isKnown) && !results.has(node)) {
      folded.add(node);
      continue;
    }
    const last = runs.at(-1);
    if (last?.region === node.region) last.nodes.push(node);
    else runs.push({ region: node.region, nodes: [node] });
  }
  const lastUser = new Map<Value, number>();
  runs.forEach(({ nodes }, index) => {
    for (const node of nodes) for (const input of node.inputs) lastUser.set(input, index);
  });
  return runs.map(({ region, nodes: own }, index) => {
    const nodes = [...foldedBefore(own, folded), ...own];
    const inside = new Set(nodes);
    const used = [...new Set(nodes.flatMap((node) => node.inputs))].filter((value) => !inside.has(value));
    const inputs = used.filter((value) => !isFrozen(value));
    return {
      region,
      nodes,
      inputs,
      constants: used.filter(isFrozen),
      outputs: own.filter((node) => results.has(node) || (lastUser.get(node) ?? index) > index),
      lastUses: inputs.filter((value) => value.op !== 'leaf' && lastUser.get(value) === index && !results.has(value)),
    };
  });
}

/** The folded values that these nodes need, inputs before users. */
function foldedBefore(nodes: readonly Value[], folded: ReadonlySet<Value>): Value[] {
  const needed = new Set<Value>();
  const visit = (value: Value): void => {
    if (!folded.has(value) || needed.has(value)) return;
    value.inputs.forEach(visit);
    needed.add(value);
  };
  for (const node of nodes) node.inputs.forEach(visit);
  return [...needed];
}

// What a compiled graph takes: nothing is computed, the schedule is walked as the executor walks it. Values live from the
// node that makes them to their last use; those that cross a cut between segments, to the last segment that uses them.
import { sizeOf } from '../base/shape.ts';
import type { DType } from '../base/dtype.ts';
import type { Graph, Value } from '../graph/types.ts';
import { repacksWeights } from '../runtime/onnx/repack.ts';
import { cutIntoSegments, type Segment } from '../runtime/onnx/segments.ts';

/** Bytes. */
export interface GraphMemory {
  /** Weights of all sessions in the type they are computed in: a weight counts once for each session that uses it. */
  readonly weights: number;
  /** What a processor keeps of them: copies in the order that its products want, and pages of the files for other uses. */
  readonly packed: number;
  /** Number of sessions. */
  readonly sessions: number;
  /** The most that values which the graph makes take at one time, its results included. */
  readonly activations: number;
}

const BYTES: Readonly<Record<DType, number>> = { f32: 4, f16: 2, i64: 8, bool: 1 };
export const bytesOf = ({ shape, dtype }: Pick<Value, 'shape' | 'dtype'>): number => sizeOf(shape) * BYTES[dtype];

/** @param savesMemory as the graph will be compiled */
export function graphMemory(graph: Graph, savesMemory: boolean): GraphMemory {
  const segments = cutIntoSegments(graph);
  const repacks = repacksWeights(graph, savesMemory);
  const sums = segments.map((segment) => weightsOf(segment, repacks));
  return {
    weights: sums.reduce((sum, { weights }) => sum + weights, 0),
    packed: sums.reduce((sum, { packed }) => sum + packed, 0),
    sessions: segments.length,
    activations: peakOf(segments),
  };
}

const isWeightCast = ({ op, inputs }: Value): boolean => op === 'cast' && inputs[0]!.leaf?.kind === 'weight';
/** Rows of a weight are a view of its bytes, or a part of its copy. */
const isWeightPart = ({ op, inputs }: Value): boolean => op === 'slice' && (inputs[0]!.leaf?.kind === 'weight' || isWeightCast(inputs[0]!));

/** Ways of use for which the library makes a copy of a constant, by how the copy is laid out. */
function layoutOf(node: Value, at: number): 'conv' | 'conv-turned' | 'product' | null {
  switch (node.op) {
    case 'conv2d': return at === 1 ? 'conv' : null;
    case 'conv2dInputGrad': return at === 1 ? 'conv-turned' : null;
    case 'lowRankLinear': return at === 1 && node.attrs['gain'] === 'none' ? 'product' : null;
    case 'linear': case 'matmul': case 'matmulAdd': return at < 2 ? 'product' : null;
    default: return null;
  }
}

function weightsOf({ nodes, constants }: Segment, repacks: boolean): { readonly weights: number; readonly packed: number } {
  // A weight that is stored in one type and computed in another is kept in the second.
  const casts = new Map(nodes.filter(isWeightCast).map((node) => [node.inputs[0]!, node]));
  const used = new Map<Value, Set<string>>();
  for (const node of nodes) {
    if (isWeightCast(node) || isWeightPart(node)) continue;
    node.inputs.forEach((part, at) => {
      const input = isWeightPart(part) ? part.inputs[0]! : part;
      const known = used.get(input) ?? new Set();
      used.set(input, known.add(layoutOf(node, at) ?? 'plain'));
    });
  }
  let weights = 0;
  let packed = 0;
  for (const constant of constants) {
    if (constant.leaf!.kind !== 'weight') continue;
    const computed = casts.get(constant) ?? constant;
    weights += bytesOf(computed);
    const layouts = used.get(computed) ?? new Set();
    // A kernel that is turned round is another constant, which is folded in any case.
    const copies = repacks ? layouts.size : layouts.has('conv-turned') ? Math.min(layouts.size, 2) : 1;
    packed += bytesOf(computed) * Math.max(1, copies);
  }
  return { weights, packed };
}

function peakOf(segments: readonly Segment[]): number {
  const bytes = (values: readonly Value[]): number => values.reduce((sum, value) => sum + bytesOf(value), 0);
  let crossing = 0;
  let peak = 0;
  for (const segment of segments) {
    peak = Math.max(peak, crossing + peakInside(segment));
    crossing += bytes(segment.outputs) - bytes(segment.lastUses);
  }
  return peak;
}

/** The most that values made in this segment take at one time; its outputs live to its end. */
function peakInside({ nodes, outputs }: Segment): number {
  const own = new Set(nodes);
  const results = new Set(outputs);
  // A reshaped value is another view of what it is made from.
  const root = new Map<Value, Value>();
  for (const node of nodes) {
    const input = node.inputs[0];
    const isView = (node.op === 'reshape' || node.op === 'detach') && !results.has(node) && input !== undefined && own.has(input);
    root.set(node, isView ? root.get(input)! : node);
  }
  const lastUse = new Map<Value, number>();
  nodes.forEach((node, at) => {
    for (const input of node.inputs) if (own.has(input)) lastUse.set(root.get(input)!, at);
  });
  for (const value of outputs) lastUse.set(root.get(value)!, Infinity);
  const ending = new Map<number, number>();
  let live = 0;
  let peak = 0;
  nodes.forEach((node, at) => {
    if (root.get(node) === node && !isWeightCast(node) && !isWeightPart(node)) {
      const size = bytesOf(node);
      live += size;
      peak = Math.max(peak, live);
      const end = lastUse.get(node) ?? at;
      ending.set(end, (ending.get(end) ?? 0) + size);
    }
    live -= ending.get(at) ?? 0;
  });
  return peak;
}

// Graphs as text, for error messages, snapshots and eyes.
import { showShape } from '../base/shape.ts';
import type { Graph, TensorType, Value } from './types.ts';

export const showType = ({ dtype, shape }: TensorType): string => `${dtype}${showShape(shape)}`;

/** One line: `%7 f32[2,3] = add(%5, %6) @region`. */
export function printNode(node: Value, nameOf: (value: Value) => string = (value) => `%${value.id}`): string {
  const attrs = Object.entries(node.attrs).filter(([, value]) => value !== undefined);
  const settings = attrs.map(([key, value]) => `${key}=${Array.isArray(value) ? showShape(value as number[]) : String(value)}`);
  const call = node.leaf ? `${node.leaf.kind} ${node.leaf.name}` : `${node.op}(${[...node.inputs.map(nameOf), ...settings].join(', ')})`;
  return `${nameOf(node)} ${showType(node)} = ${call} @${node.region}`;
}

/** Every node in order, numbered from 0, then the outputs. Equal text means equal graphs. */
export function printGraph(graph: Graph): string {
  const numbers = new Map(graph.nodes.map((node, index) => [node, `%${index}`]));
  const nameOf = (value: Value): string => numbers.get(value)!;
  const outputs = [...graph.outputs].map(([name, value]) => `${name} <- ${nameOf(value)}`);
  return [...graph.nodes.map((node) => printNode(node, nameOf)), ...outputs].join('\n');
}

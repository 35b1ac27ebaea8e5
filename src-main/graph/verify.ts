// The grammar of legal graphs. Run after building and after every pass in tests, and once before compiling.
import { assert } from '../base/errors.ts';
import { sameShape } from '../base/shape.ts';
import { inferType } from './builder.ts';
import { ops } from './ops/index.ts';
import { printNode, showType } from './print.ts';
import type { Arity, Attrs, Graph, Op } from './types.ts';

/** Throws with the offending node when the graph breaks a rule. */
export function verify(graph: Graph): Graph {
  const position = new Map(graph.nodes.map((node, index) => [node, index]));
  const names = new Set<string>();
  graph.nodes.forEach((node, index) => {
    const where = printNode(node);
    assert(node.shape.every((extent) => Number.isInteger(extent) && extent >= 0), `not a static shape: ${where}`);
    for (const input of node.inputs) {
      const at = position.get(input);
      assert(at !== undefined && at < index, `input %${input.id} does not come before its user: ${where}`);
    }
    if (node.op === 'leaf') {
      assert(node.leaf !== undefined && !names.has(node.leaf.name), `leaf without a name of its own: ${where}`);
      names.add(node.leaf.name);
      return;
    }
    const op = ops[node.op] as unknown as Op<Attrs, Arity>;
    const count = node.inputs.length;
    const allowed = op.arity === 'many' ? count > 0 : op.arity === '2or3' ? count === 2 || count === 3 : count === op.arity;
    assert(allowed, `wrong number of inputs: ${where}`);
    const expected = inferType(op, node.inputs, node.attrs);
    assert(expected.dtype === node.dtype && sameShape(expected.shape, node.shape), `should be ${showType(expected)}: ${where}`);
  });
  for (const [name, value] of graph.outputs) assert(position.has(value), `output ${name} is not in the graph`);
  return graph;
}

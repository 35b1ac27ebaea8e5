// The oracle: evaluates a graph in f64 with plain loops. Slow, and independent of every runtime. Element types are not
// rounded, so an f16 graph gives what exact arithmetic would give.
import { assert } from '../base/errors.ts';
import { sizeOf } from '../base/shape.ts';
import { createBuilder, reachable } from './builder.ts';
import { ops } from './ops/index.ts';
import type { Arity, Attrs, Graph, NdArray, Op, Value } from './types.ts';

/** Feeds and results by name: inputs, weights and trainables alike. */
export type Arrays = ReadonlyMap<string, ArrayLike<number>>;

export function evaluate(graph: Graph, feeds: Arrays): Map<string, NdArray> {
  const results = new Map<Value, NdArray>();
  for (const node of graph.nodes) results.set(node, evaluateNode(node, (input) => results.get(input)!, feeds));
  return new Map([...graph.outputs].map(([name, value]) => [name, results.get(value)!]));
}

function evaluateNode(node: Value, resultOf: (input: Value) => NdArray, feeds: Arrays): NdArray {
  if (node.op === 'leaf') {
    const data = node.leaf!.data ?? feeds.get(node.leaf!.name);
    assert(data !== undefined, `${node.leaf!.name} is not fed`);
    assert(data.length === sizeOf(node.shape), `${node.leaf!.name} has ${data.length} elements instead of ${sizeOf(node.shape)}`);
    return { shape: node.shape, data: Float64Array.from(data) };
  }
  const op = ops[node.op] as unknown as Op<Attrs, Arity>;
  const inputs = node.inputs.map(resultOf);
  if (op.kind === 'primitive') return { shape: node.shape, data: op.evaluate(inputs, node.attrs, node, node.inputs) };
  const scratch = createBuilder();
  const leaves = node.inputs.map((input, i) => scratch.input(`x${i}`, input.shape, input.dtype));
  const body = op.body(scratch, leaves, node.attrs);
  const values = new Map<string, ArrayLike<number>>(inputs.map((input, i) => [`x${i}`, input.data]));
  return evaluate({ outputs: new Map([['y', body]]), nodes: reachable([body]) }, values).get('y')!;
}

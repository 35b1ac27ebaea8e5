// The grammar of graphs: each rule is broken once by a node made by hand.
import { expect, test } from 'vitest';
import { createBuilder } from '../../src-main/graph/builder.ts';
import type { Graph, Value } from '../../src-main/graph/types.ts';
import { verify } from '../../src-main/graph/verify.ts';

const leaf = (id: number, name: string, shape: readonly number[] = [2, 3]): Value =>
  ({ id, op: 'leaf', inputs: [], attrs: {}, dtype: 'f32', shape, region: 'main', leaf: { kind: 'input', name } });
const node = (id: number, op: Value['op'], inputs: readonly Value[], more: Partial<Value> = {}): Value =>
  ({ id, op, inputs, attrs: {}, dtype: 'f32', shape: [2, 3], region: 'main', ...more });
const graph = (nodes: readonly Value[], output = nodes.at(-1)!): Graph => ({ nodes, outputs: new Map([['y', output]]) });

const x = leaf(0, 'x');
const y = leaf(1, 'y');
const column = leaf(2, 'column', [3, 1]);

test('a legal graph is given back', () => {
  const good = graph([x, y, node(3, 'add', [x, y])]);
  expect(verify(good)).toBe(good);
  const g = createBuilder();
  const built = g.graph({ z: g.mean(g.attention(g.input('q', [1, 2, 4]), g.input('k', [1, 3, 4]), g.input('v', [1, 3, 4]), { heads: 2 }), { axes: [0], keep: false }) });
  expect(verify(built)).toBe(built);
});

const half = node(3, 'add', [x, y], { dtype: 'f16' });
const broken: readonly (readonly [rule: string, graph: Graph, message: RegExp])[] = [
  ['an extent that is no number', graph([leaf(0, 'x', [2, Number.NaN])]), /not a static shape: .*x/],
  ['a negative extent', graph([leaf(0, 'x', [2, -3])]), /not a static shape/],
  ['half an extent', graph([leaf(0, 'x', [2.5])]), /not a static shape/],
  ['an input after its user', graph([x, node(3, 'add', [x, y]), y], x), /input %1 does not come before its user: %3 .*add/],
  ['an input outside of the graph', graph([x, node(3, 'add', [x, y])]), /input %1 does not come before its user/],
  ['a node that uses itself', (() => {
    const inputs: Value[] = [x];
    const loop = node(3, 'add', inputs);
    inputs.push(loop);
    return graph([x, loop]);
  })(), /input %3 does not come before its user/],
  ['a leaf that says nothing', graph([node(0, 'leaf', [])]), /leaf without a name of its own/],
  ['two leaves of one name', graph([x, leaf(1, 'x')]), /leaf without a name of its own/],
  ['too few inputs', graph([x, node(3, 'add', [x])]), /wrong number of inputs: .*add/],
  ['too many inputs', graph([x, node(3, 'neg', [x, x])]), /wrong number of inputs/],
  ['no inputs for a list', graph([node(3, 'concat', [], { attrs: { axis: 0 } })]), /wrong number of inputs/],
  ['one input where two or three belong', graph([x, node(3, 'linear', [x])]), /wrong number of inputs/],
  ['another shape than the op gives', graph([x, y, node(3, 'add', [x, y], { shape: [3, 2] })]), /should be f32\[2,3\]: .*f32\[3,2\]/],
  ['another shape than a composite gives', graph([x, node(3, 'silu', [x], { shape: [6] })]), /should be f32\[2,3\]/],
  ['another element type than the op gives', graph([x, y, half]), /should be f32\[2,3\]: .*f16/],
  ['operands of two element types', graph([x, y, half, node(4, 'add', [x, half])]), /./],
  ['operands that do not broadcast', graph([x, column, node(3, 'add', [x, column])]), /./],
  ['an output that is not computed', graph([x], y), /output y is not in the graph/],
];

test.each(broken)('%s', (_, wrong, message) => {
  expect(() => verify(wrong)).toThrow(message);
});

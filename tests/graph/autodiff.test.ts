// The walk of autodiff; the rules of the single ops are tested with the ops.
import { describe, expect, test } from 'vitest';
import { gradients, vectorJacobian } from '../../src-main/graph/autodiff.ts';
import { createBuilder, type Builder } from '../../src-main/graph/builder.ts';
import { evaluate } from '../../src-main/graph/evaluate.ts';
import type { Value } from '../../src-main/graph/types.ts';
import { verify } from '../../src-main/graph/verify.ts';
import { valuesOf, weighted } from '../ops/oracle.ts';
import { expectClose } from '../ops/run-graph.ts';

type Inputs = Readonly<Record<string, readonly number[]>>;

/** Gradients of a scalar made of the inputs, and central differences of it. */
function check(shapes: Inputs, build: (g: Builder, x: Record<string, Value>) => Value): Map<string, Float64Array> {
  const g = createBuilder();
  const x = Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, g.input(name, shape)]));
  const feeds = new Map(Object.entries(shapes).map(([name, shape], i) => [name, valuesOf({ shape }, i + 1)]));
  const loss = build(g, x);
  const names = Object.keys(shapes);
  const found = gradients(g, loss, names.map((name) => x[name]!));
  const graph = verify(g.graph(Object.fromEntries(names.map((name, i) => [name, found[i]!]))));
  const results = evaluate(graph, feeds);
  const lossGraph = g.graph({ loss });
  const lossAt = (name: string, at: number, value: number): number =>
    evaluate(lossGraph, new Map([...feeds, [name, feeds.get(name)!.with(at, value)]])).get('loss')!.data[0]!;
  return new Map(names.map((name) => {
    const gradient = results.get(name)!;
    expect(gradient.shape).toEqual(shapes[name]);
    const h = 1e-4;
    const differences = feeds.get(name)!.map((v, at) => (lossAt(name, at, v + h) - lossAt(name, at, v - h)) / (2 * h));
    expectClose(gradient.data, differences, 1e-6);
    return [name, gradient.data];
  }));
}

describe('against central differences', () => {
  test('an expression that is used twice', () => {
    check({ x: [2, 3] }, (g, { x }) => {
      const shared = g.sigmoid(g.mul(x!, x!));
      return weighted(g, g.add(g.mul(shared, x!), g.exp(shared)));
    });
  });

  test('operands that are broadcast, down to a scalar', () => {
    check({ matrix: [3, 4], column: [3, 1], row: [4], deep: [1, 1, 4], scalar: [] }, (g, { matrix, column, row, deep, scalar }) =>
      weighted(g, g.mul(g.add(g.sub(g.mul(matrix!, column!), row!), deep!), g.add(scalar!, 2))));
  });

  test('many users of one value', () => {
    check({ x: [4] }, (g, { x }) => {
      const uses = [g.neg(x!), g.mul(x!, x!), g.exp(x!), x!, x!];
      return weighted(g, uses.reduce((a, b) => g.add(a, b)));
    });
  });

  test('a composite without a gradient of its own, with a value on both sides', () => {
    check({ x: [2, 5] }, (g, { x }) => weighted(g, g.quickGelu(g.add(g.quickGelu(x!), x!))));
  });

  test('composites inside composites', () => {
    check({ x: [1, 2, 4] }, (g, { x }) => weighted(g, g.sumSquares(g.attention(x!, g.quickGelu(x!), x!, { heads: 2 }), { axes: [2], keep: false })));
  });

  test('a path through whole numbers ends there, the other goes on', () => {
    check({ x: [3] }, (g, { x }) => weighted(g, g.mul(x!, g.cast(g.greater(x!, g.scalar(0)), { to: 'f32' }))));
  });
});

describe('targets', () => {
  const setUp = () => {
    const g = createBuilder();
    const [x, y] = [g.input('x', [3]), g.input('y', [3])];
    return { g, x, y };
  };

  test('one without influence has no gradient', () => {
    const { g, x, y } = setUp();
    const loss = weighted(g, g.mul(x, 2));
    g.mul(y, 3);
    expect(gradients(g, loss, [y, x]).map((gradient) => gradient?.shape ?? null)).toEqual([null, [3]]);
  });

  test('one behind detach has none, and detached factors count as constants', () => {
    const { g, x, y } = setUp();
    const loss = weighted(g, g.mul(g.mul(x, g.detach(x)), g.detach(g.exp(y))));
    const [dx, dy] = gradients(g, loss, [x, y]);
    expect(dy).toBeNull();
    const feeds = new Map([['x', [1, 2, 3]], ['y', [0, 0.5, 1]]]);
    const doubled = gradients(g, weighted(g, g.mul(g.mul(x, x), g.exp(y))), [x])[0]!;
    const { data } = evaluate(g.graph({ dx: dx! }), feeds).get('dx')!;
    const full = evaluate(g.graph({ doubled }), feeds).get('doubled')!.data;
    expectClose(data, full.map((value) => value / 2), 1e-12);
  });

  test('the loss itself has gradient 1, times the seed', () => {
    const { g, x } = setUp();
    const loss = weighted(g, x);
    const seed = g.input('seed', []);
    const [plain] = gradients(g, loss, [loss]);
    const [scaled, dx] = gradients(g, loss, [loss, x], seed);
    const values = evaluate(g.graph({ plain: plain!, scaled: scaled!, dx: dx!, dx1: gradients(g, loss, [x])[0]! }), new Map([['seed', [8]], ['x', [1, 2, 3]]]));
    expect([values.get('plain')!.data[0], values.get('scaled')!.data[0]]).toEqual([1, 8]);
    expectClose(values.get('dx')!.data, values.get('dx1')!.data.map((value) => 8 * value), 1e-12);
  });

  test('a value inside the graph, and one asked for twice', () => {
    const { g, x } = setUp();
    const inner = g.exp(x);
    const loss = weighted(g, g.mul(inner, inner));
    const [first, second, dx] = gradients(g, loss, [inner, inner, x]);
    expect(second).toBe(first);
    const values = evaluate(g.graph({ inner, first: first!, dx: dx! }), new Map([['x', [0.1, -0.4, 1]]]));
    const chain = values.get('first')!.data.map((value, i) => value * values.get('inner')!.data[i]!);
    expectClose(values.get('dx')!.data, chain, 1e-12);
  });

  test('a vector may be pulled back too', () => {
    const { g, x } = setUp();
    const [dx] = vectorJacobian(g, g.mul(x, x), [x], g.constant([1, 10, 100], [3]));
    expect([...evaluate(g.graph({ dx: dx! }), new Map([['x', [1, 2, 3]]])).get('dx')!.data]).toEqual([2, 40, 600]);
  });
});

test('nothing is built for frozen weights', () => {
  const g = createBuilder({ trains: (path) => path.startsWith('a') });
  const hidden = g.linear(g.linear(g.input('x', [2, 3]), g.param('a.weight', [4, 3]), null), g.param('b.weight', [5, 4]), null);
  const graph = g.graph({ da: gradients(g, weighted(g, hidden), [g.leaves.get('a.weight')!])[0]! });
  const shapes = graph.nodes.filter(({ region, op }) => region.endsWith('~back') && op !== 'leaf').map(({ shape }) => shape.join('x'));
  expect(shapes).toContain('4x3');
  expect(shapes).not.toContain('5x4');
});

test('a loss that is no scalar is our mistake', () => {
  const g = createBuilder();
  const x = g.input('x', [2]);
  expect(() => gradients(g, x, [x])).toThrow(/scalar/);
});

import { expect, test } from 'vitest';
import { gradients } from '../../src-main/graph/autodiff.ts';
import { createBuilder } from '../../src-main/graph/builder.ts';
import { printGraph, printNode } from '../../src-main/graph/print.ts';

function example() {
  const g = createBuilder({ storedDType: () => 'f16' });
  const x = g.input('x', [2, 3]);
  const y = g.region('block', () => g.linear(x, g.param('unet.proj.weight', [4, 3]), null));
  const loss = g.mean(g.mul(y, y), { axes: [0, 1], keep: false });
  return { g, x, y, loss };
}

test('a graph is shown line by line, renumbered', () => {
  const { g, loss } = example();
  expect(printGraph(g.graph({ loss }))).toMatchInlineSnapshot(`
    "%0 f32[2,3] = input x @main
    %1 f16[4,3] = weight unet.proj.weight @block
    %2 f32[4,3] = cast(%1, to=f32) @block
    %3 f32[2,4] = linear(%0, %2) @block
    %4 f32[2,4] = mul(%3, %3) @main
    %5 f32[] = mean(%4, axes=[0,1], keep=false) @main
    loss <- %5"
  `);
});

test('a gradient stands in the backward region of its forward node', () => {
  const { g, x, loss } = example();
  const [dx] = gradients(g, loss, [x]);
  const lines = printGraph(g.graph({ dx: dx! })).split('\n');
  const regions = lines.flatMap((line) => /= (?!input|weight|constant).* @(.*)$/.exec(line)?.[1] ?? []);
  expect(regions.join(' ')).toMatch(/^block block (main~back )+(block~back )*block~back$/);
  expect(lines.at(-1)).toMatch(/^dx <- %\d+$/);
});

test('equal graphs give equal text, whatever was built beside them', () => {
  const first = example();
  const second = example();
  second.g.exp(second.x);
  const again = second.g.mean(second.g.mul(second.y, second.y), { axes: [0, 1], keep: false });
  expect(printGraph(second.g.graph({ loss: again }))).toBe(printGraph(first.g.graph({ loss: first.loss })));
  expect(printNode(again)).not.toBe(printNode(first.loss));
});

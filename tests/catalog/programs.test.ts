// Which program shows what exactly, written down a second time.
import { expect, test } from 'vitest';

import { axisOfJob, verdictsOnFile, verdictsOnRun } from '../../src-main/catalog/programs.ts';

const flat = ['comfyui', 'a1111', 'forge', 'invokeai'];
const names = (list: readonly { readonly id: string; readonly exact: boolean | null }[], exact: boolean | null): string[] => list.filter((one) => one.exact === exact).map(({ id }) => id).sort();

test.each([
  ['kohya', 'input', { true: flat, false: [], null: ['diffusers'] }],
  ['kohya', 'output', { true: [], false: flat, null: ['diffusers'] }],
  ['kohya', null, { true: flat, false: [], null: ['diffusers'] }],
  ['kohya', undefined, { true: [], false: [], null: [...flat, 'diffusers'] }],
  ['peft', null, { true: ['diffusers'], false: [], null: flat }],
  ['peft', 'input', { true: [], false: ['diffusers'], null: flat }],
  [null, null, { true: [], false: [], null: [...flat, 'diffusers'] }],
] as const)('a file of the layout %s with magnitudes per %s', (layout, axis, expected) => {
  const verdicts = verdictsOnFile(layout, axis);
  for (const exact of [true, false, null]) expect([exact, names(verdicts, exact)]).toEqual([exact, [...expected[`${exact}`]].sort()]);
});

test('a run is exact where its axis is applied, and everywhere without magnitudes', () => {
  expect(names(verdictsOnRun('input'), true)).toEqual([...flat].sort());
  expect(names(verdictsOnRun('output'), true)).toEqual(['diffusers']);
  expect(names(verdictsOnRun(null), false)).toEqual([]);
  const refused = verdictsOnRun('input').find(({ id }) => id === 'diffusers')!;
  expect(refused.alternatives.map(({ kind }) => kind)).toEqual(['merged', 'other-tool', 'train-again']);
  expect(refused.alternatives[1]!.text).toContain('ComfyUI');
});

test('the axis of a job', () => {
  expect(axisOfJob({ adapter: { kind: 'dora', axis: 'input' } as never })).toBe('input');
  expect(axisOfJob({ adapter: { kind: 'dora', axis: 'output' } as never })).toBe('output');
  expect(axisOfJob({ adapter: { kind: 'lora' } as never })).toBeNull();
});

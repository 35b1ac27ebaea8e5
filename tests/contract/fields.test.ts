import { describe, expect, expectTypeOf, test } from 'vitest';

import { issueLine } from '../../src-main/contract/issue.ts';
import { defaultSettings, defineFields, parseSettings, type SettingsOf } from '../../src-main/contract/fields.ts';

const fields = defineFields({
  rank: { kind: 'number', default: 16, min: 1, max: 1024, integer: true, label: 'Rank', help: 'Width of the adapter.' },
  axis: {
    kind: 'choice', default: 'output', label: 'Axis', help: 'Axis of the magnitude.',
    options: [
      { value: 'output', label: 'Output', help: 'One per output feature.' },
      { value: 'input', label: 'Input', help: 'One per input feature.' },
    ],
  },
  rankStabilized: { kind: 'flag', default: false, label: 'rsLoRA', help: 'Scale by the square root of the rank.' },
  note: { kind: 'text', default: '', label: 'Note', help: 'Free text.' },
});

describe('parseSettings', () => {
  test('fills in defaults and keeps good values', () => {
    expect(parseSettings(fields, { kind: 'dora', rank: 4 }, 'adapter')).toEqual({
      settings: { rank: 4, axis: 'output', rankStabilized: false, note: '' }, issues: [],
    });
    expect(defaultSettings(fields).rank).toBe(16);
  });

  test('types follow from the fields', () => {
    expectTypeOf<SettingsOf<typeof fields>>().toEqualTypeOf<{
      rank: number; axis: 'output' | 'input'; rankStabilized: boolean; note: string;
    }>();
  });

  test.each([
    [{ rnak: 4 }, "adapter.rnak: unknown setting. Did you mean 'rank'?"],
    [{ zzzzzzzz: 4 }, 'adapter.zzzzzzzz: unknown setting. Known here: rank, axis, rankStabilized, note.'],
    [{ rank: 0 }, 'adapter.rank: 0 is below the smallest allowed value 1.'],
    [{ rank: 4096 }, 'adapter.rank: 4096 is above the largest allowed value 1024.'],
    [{ rank: 1.5 }, 'adapter.rank: must be a whole number, not 1.5.'],
    [{ rank: NaN }, 'adapter.rank: must be a number, not null.'],
    [{ rank: '8' }, 'adapter.rank: must be a number, not "8".'],
    [{ axis: 'ouput' }, 'adapter.axis: must be one of output, input, not "ouput". Did you mean \'output\'?'],
    [{ rankStabilized: 1 }, 'adapter.rankStabilized: must be true or false, not 1.'],
    [{ note: [] }, 'adapter.note: must be text, not [].'],
    [{ constructor: 1 }, 'adapter.constructor: unknown setting.'],
  ])('%j is refused', (raw, message) => {
    const { issues, settings } = parseSettings(fields, raw, 'adapter');
    expect(issues).toHaveLength(1);
    expect(issueLine(issues[0]!)).toContain(message);
    expect(settings).toEqual(defaultSettings(fields));
  });
});

// Drafts and the forms that edit them.
import { describe, expect, test } from 'vitest';

import type { SettingDescription } from '../../src-main/contract/api.ts';
import { belongsTo, namedSetting, readField, settingGroups, valueAt, withValue } from '../../src-renderer/state/draft.ts';

const number = (path: string, more: Partial<SettingDescription> = {}): SettingDescription => ({
  path, group: path.split('.')[0]!, code: 'setting.group', groupLabel: 'Group', when: null, advanced: false,
  field: { code: 'setting.x', kind: 'number', label: path, help: 'Help of it.', default: 4, min: 1, max: 8, integer: true }, ...more,
});

describe('draft', () => {
  test('a value is put in and taken out without touching the rest', () => {
    const before = { train: { steps: 3, batch: 2 } };
    const after = withValue(before, 'train.steps', 5);
    expect(valueAt(after, 'train.steps')).toBe(5);
    expect(valueAt(after, 'train.batch')).toBe(2);
    expect(before.train.steps).toBe(3);
    expect(withValue(after, 'train.steps', undefined)).toEqual({ train: { batch: 2 } });
    expect(withValue({}, 'adapter.rank', 8)).toEqual({ adapter: { rank: 8 } });
  });
});

describe('what is wrong', () => {
  test('is shown at the setting that holds it, or that a sentence names first', () => {
    expect(['preview.prompts', 'preview.prompts[2]', 'preview.promptsMore', 'preview'].map((path) => belongsTo(path, 'preview.prompts'))).toEqual([true, true, false, false]);
    const settings = ['adapter.from', 'adapter.fromStep', 'adapter.rank', 'adapter.targets'].map((path) => number(path));
    const named = (text: string) => namedSetting(settings, text)?.path ?? null;
    expect(named('adapter.rank = 1024 is larger than both sides of the layer: choose at most 64, or other adapter.targets.')).toBe('adapter.rank');
    expect(named('Set adapter.fromStep to 3.')).toBe('adapter.fromStep');
    expect(named('The trainer process ended by itself.')).toBeNull();
  });
});

describe('form', () => {
  const kind: SettingDescription = { ...number('adapter.kind'), field: { code: 'setting.x', kind: 'choice', label: 'Kind', help: '', default: 'dora', options: [] } };
  const rank = number('adapter.rank', { when: { path: 'adapter.kind', is: 'dora' } });
  const secret = number('train.secret', { advanced: true });
  const paths = (draft: Record<string, unknown>, search = '', advanced = false): string[] =>
    settingGroups([kind, rank, secret], draft, search, advanced).flatMap((group) => group.settings.map((setting) => setting.path));

  test('a setting is there only while the choice it belongs to holds, defaults included', () => {
    expect(paths({})).toEqual(['adapter.kind', 'adapter.rank']);
    expect(paths({ adapter: { kind: 'full' } })).toEqual(['adapter.kind']);
  });

  test('advanced ones come with the full list and with a search', () => {
    expect(paths({}, '', true)).toContain('train.secret');
    expect(paths({}, 'SECRET help')).toEqual(['train.secret']);
  });

  test('numbers are read within their range', () => {
    const { field } = rank;
    expect(readField(field, '6')).toEqual({ value: 6 });
    expect(readField(field, ' ')).toEqual({ value: undefined });
    for (const wrong of ['0', '9', '1.5', 'x']) expect(readField(field, wrong)).toHaveProperty('error');
  });
});

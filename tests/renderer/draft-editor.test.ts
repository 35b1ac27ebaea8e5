// Every change of a draft has a name, shows what it changed, and can be taken back.
import { describe, expect, test } from 'vitest';

import type { Draft, SettingDescription } from '../../src-main/contract/api.ts';
import { changesBetween } from '../../src-renderer/state/draft.ts';
import { DraftEditor } from '../../src-renderer/state/draft-editor.svelte.ts';

const number = (path: string, value: number, when: SettingDescription['when'] = null): SettingDescription =>
  ({ path, group: path.split('.')[0]!, code: 'setting.group', groupLabel: '', when, advanced: false, field: { code: 'setting.x', kind: 'number', label: path, help: '', default: value, min: 0, max: 1e6 } });
const settings = [number('train.steps', 1000), number('adapter.rank', 16), number('optimizer.beta', 0.9, { path: 'optimizer.kind', is: 'adamw' })];
const steps = (value: number): Draft => ({ train: { steps: value } });

describe('differences', () => {
  test('are told with defaults filled in, and only for settings that exist afterwards', () => {
    expect(changesBetween(settings, {}, steps(5))).toEqual([{ path: 'train.steps', label: 'train.steps', field: settings.find(({ path }) => path === 'train.steps')!.field, before: 1000, after: 5 }]);
    expect(changesBetween(settings, {}, steps(1000))).toEqual([]);
    expect(changesBetween(settings, {}, { optimizer: { kind: 'lion', beta: 0.5 } })).toEqual([]);
    expect(changesBetween(settings, {}, { optimizer: { kind: 'adamw', beta: 0.5 } })).toHaveLength(1);
  });
});

describe('the editor', () => {
  test('takes changes back and does them again', () => {
    const saved: Draft[] = [];
    const editor = new DraftEditor({}, (draft) => saved.push(draft));
    editor.change(steps(5), 'Steps');
    editor.change({ ...steps(5), adapter: { rank: 4 } }, 'Rank');
    expect([editor.last, editor.next]).toEqual(['Rank', null]);
    expect(editor.lastChanges(settings).map(({ path }) => path)).toEqual(['adapter.rank']);
    editor.undo();
    expect(editor.draft).toEqual(steps(5));
    expect([editor.last, editor.next]).toEqual(['Steps', 'Rank']);
    editor.undo();
    expect([editor.draft, editor.last]).toEqual([{}, null]);
    editor.undo();
    editor.redo();
    expect(editor.lastChanges(settings)).toMatchObject([{ before: 1000, after: 5 }]);
    editor.redo();
    expect(editor.draft).toEqual({ ...steps(5), adapter: { rank: 4 } });
    editor.redo();
    expect(saved).toHaveLength(6);
    editor.undo();
    editor.change(steps(7), 'Steps');
    expect(editor.next).toBe(null);
  });

  test('a slider that moves is one change, from where it began; let go, the next is another', () => {
    const editor = new DraftEditor(steps(1), () => {});
    for (const value of [2, 3, 4]) {
      expect(editor.beforeOf('Slider')).toEqual(steps(1));
      editor.change(steps(value), 'Slider');
    }
    expect(editor.lastChanges(settings)).toMatchObject([{ before: 1, after: 4 }]);
    editor.settle();
    expect(editor.beforeOf('Slider')).toEqual(steps(4));
    editor.change(steps(9), 'Slider');
    editor.undo();
    expect(editor.draft).toEqual(steps(4));
    editor.undo();
    expect(editor.draft).toEqual(steps(1));
  });

  test('one setting of a change can be kept as it was', () => {
    const editor = new DraftEditor({}, () => {});
    editor.change({ ...steps(5), adapter: { rank: 4 } }, 'Recipe');
    const [change] = editor.lastChanges(settings);
    editor.keepOld(change!, true);
    expect(editor.draft).toEqual({ train: {}, adapter: { rank: 4 } });
    expect(editor.lastChanges(settings).map(({ path }) => path)).toEqual(['adapter.rank']);
  });
});

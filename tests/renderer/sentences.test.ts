// A stand-in language: what the app says is put into it by code, on the components of the page; what it lacks stays English.
import { cleanup, render, screen } from '@testing-library/svelte';
import { afterEach, expect, test } from 'vitest';

import type { SettingDescription } from '../../src-main/contract/api.ts';
import { say } from '../../src-main/contract/text.ts';
import { inLanguage, type Sentences } from '../../src-renderer/sentences.ts';
import Field from '../../src-renderer/ui/Field.svelte';

afterEach(cleanup);

const xx: Sentences = {
  'data.nothing': 'Xx nothing', 'readiness.few': ({ count }) => `Xx ${String(count)} few`, 'task.waits': 'Xx waits',
  'setting.adapter.rank': 'Xx rank', 'setting.adapter.rank.help': 'Xx help', 'verdict.learns.holds': 'Xx learns',
};
const setting: SettingDescription = {
  path: 'adapter.rank', group: 'adapter', code: 'setting.adapter', groupLabel: 'Adapter', when: null, advanced: false,
  field: { kind: 'number', code: 'setting.adapter.rank', label: 'Rank', help: 'Size of the adapter.', default: 16, min: 1, max: 64, integer: true },
};

test('errors, verdicts and tasks are said by code with their data, the rest stays as the app said it', () => {
  expect(inLanguage({ id: 1, ok: false, error: { code: 'data.nothing', message: 'No picture.' } }, xx).error.message).toBe('Xx nothing');
  expect(inLanguage([{ level: 'warning', ...say('readiness.few', '3 pictures only.', { count: 3 }) }], xx)[0]!.text).toBe('Xx 3 few');
  expect(inLanguage({ code: 'task.waits', data: {}, label: 'Waits', unit: 'pictures' }, xx)).toMatchObject({ label: 'Xx waits', unit: 'pictures' });
  expect(inLanguage({ kind: 'verdict', name: 'learns', ok: true, text: 'It learns.', data: {} }, xx).text).toBe('Xx learns');
  expect(inLanguage({ label: 'ComfyUI', ...say('data.nothing', 'No.') }, xx)).toMatchObject({ label: 'ComfyUI', text: 'Xx nothing' });
  expect(inLanguage(say('unknown.code', 'English.'), xx).text).toBe('English.');
});

test('a field shows its label in the language', () => {
  render(Field, { setting: inLanguage(setting, xx), value: 16, onchange: () => {} });
  expect(screen.getByLabelText('Xx rank')).toBeTruthy();
});

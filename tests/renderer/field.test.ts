// A field of the generated form, as a person uses it.
import { cleanup, fireEvent, render, screen } from '@testing-library/svelte';
import { afterEach, expect, test, vi } from 'vitest';

import type { SettingDescription } from '../../src-main/contract/api.ts';
import Field from '../../src-renderer/ui/Field.svelte';

afterEach(cleanup);

const setting: SettingDescription = {
  path: 'adapter.rank', group: 'adapter', code: 'setting.group', groupLabel: 'Adapter', when: null, advanced: false,
  field: { code: 'setting.x', kind: 'number', label: 'Rank', help: 'Size of the adapter.', why: 'More room for detail.', default: 16, min: 1, max: 64, integer: true },
};

test('a number is handed on, a wrong one is explained and is not', async () => {
  const onchange = vi.fn<(value: unknown) => void>();
  render(Field, { setting, value: 16, onchange });
  const input = screen.getByLabelText('Rank');
  await fireEvent.change(input, { target: { value: '32' } });
  expect(onchange).toHaveBeenCalledExactlyOnceWith(32);
  await fireEvent.change(input, { target: { value: '99' } });
  expect(onchange).toHaveBeenCalledTimes(1);
  expect(screen.getByRole('alert').textContent).toBe('99 is too large: the most is 64.');
});

test('a choice goes back to its default by the name that it has in the list', () => {
  const options = [{ code: 'd.auto', value: 'auto', label: 'The best one', help: '' }, { code: 'd.cpu', value: 'cpu', label: 'Processor', help: '' }];
  render(Field, { setting: { ...setting, field: { code: 'd', kind: 'choice', label: 'Device', help: 'What computes.', options, default: 'auto' } }, value: 'cpu', onchange: () => {} });
  expect(screen.getByLabelText<HTMLSelectElement>('Device').selectedOptions[0]?.text).toBe('Processor');
  expect(screen.getByRole('button', { name: 'Reset Device to The best one' })).toBeTruthy();
});

test('whoever owns the form hears of what cannot be used, until it is reset or another value comes', async () => {
  const onwrong = vi.fn<(text: string | null) => void>();
  const { rerender, unmount } = render(Field, { setting, value: 16, onchange: () => {}, onwrong });
  const input = screen.getByLabelText<HTMLInputElement>('Rank');
  const type = async (value: string): Promise<void> => { await fireEvent.change(input, { target: { value } }); };
  await type('many');
  expect([onwrong.mock.lastCall, input.value, input.getAttribute('aria-invalid')]).toEqual([['Type a number.'], 'many', 'true']);
  await fireEvent.click(screen.getByRole('button', { name: 'Reset Rank to 16' }));
  expect([onwrong.mock.lastCall, input.value, input.getAttribute('aria-invalid')]).toEqual([[null], '16', 'false']);
  await type('0');
  expect(onwrong.mock.lastCall).toEqual(['0 is too small: the least is 1.']);
  await rerender({ value: 8 });
  expect([onwrong.mock.lastCall, input.value]).toEqual([[null], '8']);
  await type('0');
  unmount();
  expect(onwrong.mock.lastCall).toEqual([null]);
});

test('the reason opens, and a changed value can go back to its default', async () => {
  const onchange = vi.fn<(value: unknown) => void>();
  render(Field, { setting, value: 8, onchange });
  await fireEvent.click(screen.getByRole('button', { name: 'Why: Rank' }));
  expect(screen.getByText('More room for detail.')).toBeTruthy();
  await fireEvent.click(screen.getByRole('button', { name: 'Reset Rank to 16' }));
  expect(onchange).toHaveBeenCalledExactlyOnceWith(undefined);
});

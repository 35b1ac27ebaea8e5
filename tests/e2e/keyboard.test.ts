// Without a mouse and in another language: from an empty home to an exported file by keys alone, with a focus that is seen and never
// lost; then every screen in a made-up language, in which no sentence of the app's may be left in English.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Page } from 'playwright-core';

import { leftovers, otherLanguage } from './other-language.ts';
import { openStudio, program, type OpenStudio } from './pages.ts';

/** Where the focus is: its name, and whether one sees it. */
const focused = (page: Page): Promise<{ readonly name: string; readonly isSeen: boolean; readonly isLost: boolean }> => page.evaluate(() => {
  const element = document.activeElement;
  if (element === null || element === document.body) return { name: '', isSeen: false, isLost: true };
  const labels = [...(element as HTMLInputElement).labels ?? []].map((label) => label.textContent?.trim() ?? '');
  const by = (element.getAttribute('aria-labelledby') ?? '').split(' ').map((id) => document.getElementById(id)?.textContent?.trim() ?? '').join(' ').trim();
  const name = element.getAttribute('aria-label') ?? (by || labels.join(' ') || element.textContent?.trim() || element.getAttribute('placeholder') || '');
  const shown = element.matches('input[type=file], .wipe input') ? element.parentElement! : element;
  const { outlineStyle, outlineWidth } = getComputedStyle(shown);
  const box = shown.getBoundingClientRect();
  const isInside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  return { name: name.replaceAll(/\s+/g, ' '), isSeen: isInside && (element.matches('main') || (outlineStyle !== 'none' && outlineWidth !== '0px')), isLost: false };
});

/** Goes on with Tab until the focus has this name; every stop on the way must be seen. */
async function tabTo(page: Page, name: RegExp): Promise<void> {
  const passed: string[] = [];
  for (let press = 0; press < 90; press++) {
    await page.keyboard.press('Tab');
    const at = await focused(page);
    // After the last one the browser's own bar has the focus for one press.
    if (at.isLost) { passed.push('(page)'); continue; }
    expect(at.isSeen, `the focus on "${at.name}" is seen, after ${passed.slice(-3).join(', ')}`).toBe(true);
    if (name.test(at.name)) return;
    passed.push(at.name.slice(0, 40));
  }
  throw new Error(`${String(name)} is not reached: ${passed.join(' | ')}`);
}

describe.skipIf(program === undefined)('by keys alone', () => {
  let studio: OpenStudio;
  let page: Page;
  beforeAll(async () => {
    studio = await openStudio([otherLanguage]);
    ({ page } = studio);
    page.setDefaultTimeout(60_000);
  });
  afterAll(() => studio?.close());

  test('from an empty home to an exported file', async () => {
    await page.getByText('Try the demo').waitFor();
    await tabTo(page, /^Try the demo/);
    await page.keyboard.press('Enter');
    await page.getByRole('slider', { name: 'How strong' }).waitFor();
    // The button is gone; the focus is in the screen that took its place.
    await expect.poll(async () => (await focused(page)).isLost).toBe(false);
    await tabTo(page, /^Steps$/);
    await page.keyboard.press('Control+a');
    await page.keyboard.type('10');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Control+1');
    await page.keyboard.press('Control+3');
    await page.getByRole('slider', { name: 'How strong' }).waitFor();
    await tabTo(page, /^Train$/);
    await page.keyboard.press('Enter');
    await page.getByText('has finished').first().waitFor({ timeout: 300_000 });
    expect((await focused(page)).isLost).toBe(false);
    await page.keyboard.press('Control+5');
    await page.getByRole('main').getByRole('button', { name: 'Export', exact: true }).waitFor();
    await tabTo(page, /^Export$/);
    await page.keyboard.press('Enter');
    await page.getByText('.safetensors').first().waitFor({ timeout: 120_000 });
    expect((await focused(page)).isLost).toBe(false);
    expect(studio.complaints).toEqual([]);
  }, 480_000);
});

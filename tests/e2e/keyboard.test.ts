// Without a mouse and in another language: from an empty home to an exported file by keys alone, with a focus that is seen and never
// lost; then every screen in a made-up language, in which no sentence of the app's may be left in English.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Page } from 'playwright-core';

import { leftovers, otherLanguage } from './other-language.ts';
import { openStudio, program, type OpenStudio } from './pages.ts';

/** Where the focus is: its name, and whether one sees it. */
const focused = (page: Page): Promise<{ readonly name: string; readonly isSeen: boolean; readonly isLost: boolean; readonly isInScreen: boolean }> => page.evaluate(() => {
  const element = document.activeElement;
  if (element === null || element === document.body) return { name: '', isSeen: false, isLost: true, isInScreen: false };
  const labels = [...(element as HTMLInputElement).labels ?? []].map((label) => label.textContent?.trim() ?? '');
  const by = (element.getAttribute('aria-labelledby') ?? '').split(' ').map((id) => document.getElementById(id)?.textContent?.trim() ?? '').join(' ').trim();
  const name = element.getAttribute('aria-label') ?? (by || labels.join(' ') || element.textContent?.trim() || element.getAttribute('placeholder') || '');
  const shown = element.matches('input[type=file], .wipe input') ? element.parentElement! : element;
  const { outlineStyle, outlineWidth } = getComputedStyle(shown);
  const box = shown.getBoundingClientRect();
  const isInside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  return { name: name.replaceAll(/\s+/g, ' '), isSeen: isInside && (element.matches('main') || (outlineStyle !== 'none' && outlineWidth !== '0px')), isLost: false, isInScreen: element.closest('main') !== null };
});

/** Goes on with Tab until the focus has this name, in the screen and not beside it; every stop on the way must be seen. */
async function tabTo(page: Page, name: RegExp): Promise<void> {
  const passed: string[] = [];
  for (let press = 0; press < 90; press++) {
    await page.keyboard.press('Tab');
    const at = await focused(page);
    // After the last one the browser's own bar has the focus for one press.
    if (at.isLost) { passed.push('(page)'); continue; }
    expect(at.isSeen, `the focus on "${at.name}" is seen, after ${passed.slice(-3).join(', ')}`).toBe(true);
    if (name.test(at.name) && at.isInScreen) return;
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
    const { handlers } = studio.home.studio;
    await expect.poll(async () => (await handlers['runs.list']({})).runs.length, { timeout: 60_000 }).toBe(1);
    await expect.poll(async () => (await handlers['runs.list']({})).runs[0]!.state, { timeout: 600_000, interval: 500 }).toBe('finished');
    expect((await focused(page)).isLost).toBe(false);
    await page.keyboard.press('Control+5');
    await page.getByRole('main').getByRole('button', { name: 'Export', exact: true }).waitFor();
    await tabTo(page, /^Export$/);
    await page.keyboard.press('Enter');
    const [run] = (await handlers['runs.list']({})).runs;
    // What the training ended with is listed too, under this name.
    await expect.poll(async () => (await handlers['export.list']({ runId: run!.id })).exports[0]?.id, { timeout: 120_000 }).not.toBe('at-end');
    await page.getByText('.safetensors').first().waitFor();
    // While it is written the button cannot be pressed; then it has the focus again.
    await expect.poll(async () => (await focused(page)).name, { timeout: 30_000 }).toBe('Export');
    expect(studio.complaints).toEqual([]);
  }, 900_000);

  /** Names of files, programs, families, settings and their values, what the demo's captions say, numbers with units, dates. */
  const names = /^(?:[·/\s\d.,:×%|~+–()?=-]|\b[A-Z]\b|[A-Z][a-z]{2} \d+|[AP]M|[kMG]?B\b|\b(?:min|s|h|e|steps?)\b|Adora|Xx|English|Neon[ -]demo|neon|holdout|demo|starter|\d+\.png|\/[^\s]+|safetensors|kohya|peft|ComfyUI|Forge|A1111|InvokeAI|SD\.Next|diffusers|DoRA|LoRA|[fF]16|[fF]32|bf16|Stable Diffusion 1|SD|Ctrl|unet|vae|text_encoder|Custom UNet|"auto"|illustrious|noobai-v|pony|sd15|sdxl-illustration|sdxl-photo|wan-alpha)+$/;
  test('says nothing in English when another language is chosen, with what the real app and trainer say', async () => {
    const { handlers } = studio.home.studio;
    if ((await handlers['projects.list']({})).projects.length === 0) {
      await page.getByText('Try the demo').click();
      await page.getByRole('slider', { name: 'How strong' }).waitFor();
    }
    const { taskId } = await handlers['doctor.run']({ again: true });
    await studio.home.finished(taskId!);
    await handlers['settings.set']({ locale: 'xx' });
    await page.locator('html[lang=xx]').waitFor();
    const [{ id: projectId } = { id: '' }] = (await handlers['projects.list']({})).projects;
    const captions = (await handlers['data.items']({ projectId, offset: 0, limit: 200, filter: {}, sort: 'name', descending: false })).items.flatMap(({ caption, tags, trainedText, name }) => [caption, trainedText, name, ...tags]);
    const left: Record<string, string[]> = {};
    for (const [at, screen] of ['home', 'data', 'train', 'compare', 'export', 'library', 'settings'].entries()) {
      await page.getByRole('navigation').getByRole('button').nth(at).click();
      await page.waitForTimeout(2500);
      if (screen === 'data') await page.locator('#picture-0').click();
      if (screen === 'train') await page.getByRole('main').getByRole('tab').first().click();
      if (screen === 'library') await page.getByRole('button', { name: 'Inspect' }).first().click();
      await page.waitForTimeout(2500);
      const found = (await page.evaluate(leftovers)).filter((text) => !names.test(text) && !captions.some((caption) => text.includes(caption) || caption.includes(text)));
      if (found.length > 0) left[screen] = found;
      await page.keyboard.press('Escape');
    }
    expect(left).toEqual({});
  }, 240_000);
});

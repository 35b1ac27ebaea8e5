// The page in small windows. At 200 % zoom (680 x 450 of its own pixels) everything can be read and reached, and nothing needs
// scrolling in two directions; the toolbar of pictures is one row from 1100 pixels on.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { chromium, type Browser, type Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { program } from './pages.ts';
import { places, serveBuilt } from './places.ts';
import { standIn } from './stand-in.ts';

/** Runs in the page: what cannot be reached by scrolling, is covered by something else, or is wider than its place. */
function faults(): string[] {
  const found: string[] = [];
  const name = (element: Element): string => `${element.tagName.toLowerCase()} ${(element.getAttribute('aria-label') ?? element.textContent ?? '').trim().replaceAll(/\s+/g, ' ').slice(0, 40)}`;
  const modal = document.querySelector('[role=dialog]');
  const scope = modal ?? document.body;
  const isSeen = (element: Element): boolean => element.getClientRects().length > 0 && getComputedStyle(element).visibility !== 'hidden' && element.closest('.hidden-visually') === null;
  for (const element of scope.querySelectorAll('button, input, select, textarea, a, summary, [tabindex="0"]')) {
    if (!isSeen(element) || element.matches('input[type=file]')) continue;
    element.scrollIntoView({ block: 'center', inline: 'center' });
    const box = element.getBoundingClientRect();
    if (box.left < -1 || box.right > innerWidth + 1) { found.push(`${name(element)}: beside the window`); continue; }
    // Lists and tables scroll by themselves.
    if (element.tagName === 'DIV') continue;
    const top = Math.max(box.top, 0);
    const at = document.elementFromPoint(box.left + box.width / 2, top + Math.min(box.height, innerHeight - top) / 2);
    if (at === null || !(element.contains(at) || at.contains(element) || at.closest('label')?.contains(element) === true)) found.push(`${name(element)}: behind ${at === null ? 'nothing' : name(at)}`);
    // Large areas may be higher than the window; controls may not.
    if (box.height < innerHeight / 3 && (box.top < -1 || box.bottom > innerHeight + 1)) found.push(`${name(element)}: above or below the window`);
  }
  for (const element of scope.querySelectorAll('*')) {
    if (!isSeen(element)) continue;
    const { overflowX, textOverflow } = getComputedStyle(element);
    const tooWide = element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0;
    if (tooWide && overflowX === 'hidden' && textOverflow !== 'ellipsis') found.push(`${name(element)}: cut off at the side`);
    if (tooWide && ['auto', 'scroll'].includes(overflowX) && !element.matches('[role=region], [role=group], textarea, .scroller')) found.push(`${name(element)}: scrolls to the side`);
  }
  return [...new Set(found)];
}

describe.skipIf(program === undefined)('at 200 %', () => {
  const out = mkdtempSync(join(tmpdir(), 'adora-zoom-'));
  let browser: Browser;
  beforeAll(async () => {
    await build({ root: resolve('src-renderer'), configFile: resolve('src-renderer/vite.config.ts'), logLevel: 'error', build: { outDir: out, emptyOutDir: true } });
    browser = await chromium.launch({ executablePath: program!, args: ['--no-sandbox'] });
  });
  afterAll(async () => {
    await browser?.close();
    rmSync(out, { recursive: true, force: true });
  });

  async function open(screen: string, size = { width: 680, height: 450 }, theme: 'dark' | 'light' = 'dark'): Promise<Page> {
    const page = await browser.newPage({ viewport: size, deviceScaleFactor: size.width < 900 ? 2 : 1, reducedMotion: 'reduce' });
    page.setDefaultTimeout(20_000);
    await serveBuilt(page, out);
    await page.addInitScript(standIn, { pictures: 24, theme } as const);
    await page.goto(`http://adora.test/#/${screen}/p1/run1`);
    await page.locator('main h1, main [role=list]').first().waitFor();
    await page.waitForTimeout(500);
    return page;
  }

  test.each(Object.keys(places))('%s', async (name) => {
    const [screen, act] = places[name]!;
    const page = await open(screen);
    await act?.(page);
    await page.waitForTimeout(300);
    const dialogs = await page.locator('[role=dialog]').count();
    // A message that is put away over a dialog leaves the dialog open.
    for (const dismiss of await page.locator('.toasts button').all()) await dismiss.click().catch(() => {});
    expect(await page.locator('[role=dialog]').count()).toBe(dialogs);
    if (process.env['SHOTS']) await page.screenshot({ path: join(process.env['SHOTS'], `${name.replaceAll(' ', '-')}.png`) });
    const found = await page.evaluate(faults);
    await page.close();
    expect(found).toEqual([]);
  });

  test.each([[1100, 700], [1360, 900]] as const)('the toolbar of pictures is one row at %d x %d, with the panel and with a selection', async (width, height) => {
    const page = await open('data', { width, height });
    const bar = page.locator('.middle > .bar');
    const heights: number[] = [];
    const measure = async (name: string): Promise<void> => {
      await page.waitForTimeout(200);
      heights.push(Math.round((await bar.boundingBox())!.height));
      if (process.env['SHOTS']) await page.screenshot({ path: join(process.env['SHOTS'], `bar-${width}-${name}.png`) });
    };
    await measure('plain');
    await page.locator('#picture-0').click();
    await measure('panel');
    await page.getByRole('button', { name: 'Select all' }).click();
    await measure('selected');
    await page.close();
    expect(heights.filter((one) => one > 40)).toEqual([]);
  });
});

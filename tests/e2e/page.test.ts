// The built page in Chromium, under the strict policy that the app serves it with, over a stand-in for the app: every screen and
// dialog without complaints of axe and reachable by keys, nothing that moves where movement is unwanted.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { chromium, type Browser, type Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { standIn } from './stand-in.ts';

const root = join(import.meta.dirname, '../..');
const program = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => existsSync(path));
const screens = ['home', 'data', 'train', 'compare', 'export', 'library', 'settings'];
const types: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const pictures = ['neon', 'holdout'].flatMap((name) => (existsSync(join(root, 'assets/demo', name)) ? [join(root, 'assets/demo', name)] : []));

if (program === undefined) process.stderr.write('No Chromium was found: the page is not tested in a browser.\n');

/** Complaints of axe about WCAG AA and names that are serious. */
const complaintsOf = (page: Page): Promise<string[]> => page.evaluate(async () => {
  const { axe } = window as unknown as { axe: { run(): Promise<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }> } };
  return (await axe.run()).violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, nodes }) => `${id}: ${nodes[0]?.html.slice(0, 200)}`);
});
const chooseFile = async (page: Page, name: string): Promise<void> => {
  await page.getByRole('dialog').getByRole('button', { name }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Choose', exact: true }).click();
};

describe.skipIf(program === undefined)('page', () => {
  const out = mkdtempSync(join(tmpdir(), 'adora-page-'));
  let browser: Browser;
  let image: Buffer;
  const complaints: string[] = [];

  beforeAll(async () => {
    const { readdirSync } = await import('node:fs');
    const name = pictures.flatMap((folder) => readdirSync(folder).filter((file) => file.endsWith('.png')).map((file) => join(folder, file)))[0];
    image = readFileSync(name ?? join(root, 'docs/before-after.png'));
    await build({ root: join(root, 'src-renderer'), configFile: join(root, 'src-renderer/vite.config.ts'), logLevel: 'error', build: { outDir: out, emptyOutDir: true } });
    browser = await chromium.launch({ executablePath: program!, args: ['--no-sandbox'] });
  });
  afterAll(async () => {
    await browser?.close();
    rmSync(out, { recursive: true, force: true });
  });

  async function open(screen: string, theme: 'dark' | 'light', count = 24): Promise<Page> {
    const page = await browser.newPage({ viewport: { width: 1360, height: 860 }, reducedMotion: 'reduce' });
    page.on('console', (message) => { if (message.type() === 'error') complaints.push(`${screen}: ${message.text()}`); });
    page.on('pageerror', (error) => complaints.push(`${screen}: ${error.message}`));
    await page.route('http://adora.test/**', async (route) => {
      const { pathname } = new URL(route.request().url());
      if (pathname.startsWith('/img/')) return route.fulfill({ body: image, contentType: 'image/png' });
      const file = join(out, pathname === '/' ? 'index.html' : pathname);
      return route.fulfill({ body: readFileSync(file), contentType: types[extname(file)] ?? 'application/octet-stream', headers: { 'content-security-policy': policy } });
    });
    await page.addInitScript(standIn, { pictures: count, theme });
    await page.addInitScript({ path: join(root, 'node_modules/axe-core/axe.min.js') });
    await page.goto(`http://adora.test/#/${screen}/p1/run1`);
    await page.locator('main h1, main [role=list]').first().waitFor();
    await page.waitForTimeout(500);
    return page;
  }

  test.each(screens.flatMap((screen) => (['dark', 'light'] as const).map((theme) => [screen, theme] as const)))('%s, %s', async (screen, theme) => {
    complaints.length = 0;
    const page = await open(screen, theme);
    if (screen === 'data') await page.locator('#picture-0').click();
    await page.waitForTimeout(200);
    const serious = await complaintsOf(page);
    await page.close();
    expect(serious).toEqual([]);
    expect(complaints).toEqual([]);
  });

  const seriousOf = (page: Page): Promise<string[]> => page.evaluate(async () => {
    const { axe } = window as unknown as { axe: { run(): Promise<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }> } };
    return (await axe.run()).violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, nodes }) => `${id}: ${nodes[0]?.html.slice(0, 200)}`);
  });

  test('every way to compare', async () => {
    complaints.length = 0;
    const page = await open('compare', 'dark');
    for (const [tab, inside] of [['Grid', 'Grid of pictures'], ['Runs', 'Settings in which they differ'], ['Overfitting', 'Changes by checkpoint'], ['Step and strength', 'Checkpoints']] as const) {
      await page.getByRole('tab', { name: tab }).click();
      await page.getByRole('region', { name: inside }).first().waitFor();
      if (process.env['ADORA_SCREENS'] !== undefined) await page.screenshot({ path: join(root, 'docs/screens', `compare-${tab.toLowerCase().replaceAll(' ', '-')}-dark.png`) });
      expect([tab, ...await seriousOf(page)]).toEqual([tab]);
    }
    // Both sliders are reached by keyboard and say where they are.
    const strength = page.getByRole('slider', { name: 'Strength' });
    await strength.press('End');
    await page.getByText('Step 100 at strength 2').waitFor();
    await page.getByRole('slider', { name: 'Checkpoint' }).press('Home');
    await page.getByRole('main').getByText('Base model', { exact: true }).last().waitFor();
    await page.close();
    expect(complaints).toEqual([]);
  });

  test('what is wrong, or does not fit, cannot be started, and the page says what to do', async () => {
    complaints.length = 0;
    const page = await open('train', 'dark');
    await page.getByRole('tab', { name: 'Set up' }).click();
    const [start, steps] = [page.getByRole('button', { name: 'Add to the queue' }), page.getByRole('textbox', { name: 'Steps', exact: true })];
    await page.getByText('Memory 1.60 GB · 12 min · 40.0 MB on disk').waitFor();
    expect(await start.isEnabled()).toBe(true);
    const type = async (value: string): Promise<void> => {
      await steps.fill(value);
      await steps.press('Tab');
    };
    await type('-3');
    await page.getByText('One setting is wrong.').waitFor();
    expect(await start.isDisabled()).toBe(true);
    expect(await seriousOf(page)).toEqual([]);
    await page.getByRole('button', { name: 'Show Steps' }).click();
    await expect.poll(() => page.evaluate(() => document.activeElement?.closest<HTMLElement>('[data-setting]')?.dataset['setting'])).toBe('train.steps');
    expect(await page.locator('[data-setting] [role=alert]').innerText()).toBe('-3 is too small: the least is 0.');
    await page.getByLabel('Find a setting').fill('');
    await type('9000');
    await page.getByText('It does not fit: see the forecast').waitFor();
    expect(await start.isDisabled()).toBe(true);
    expect(await seriousOf(page)).toEqual([]);
    await page.getByRole('button', { name: 'Use this' }).click();
    await page.getByText('Memory 1.60 GB · 12 min · 40.0 MB on disk').waitFor();
    expect([await start.isEnabled(), await steps.inputValue(), await page.getByRole('textbox', { name: 'Pictures at once' }).inputValue()]).toEqual([true, '400', '1']);
    await page.close();
    expect(complaints).toEqual([]);
  });

  test('an adapter is inspected and tried', async () => {
    complaints.length = 0;
    const page = await open('library', 'dark');
    await page.getByText('Stable Diffusion, small · F16 · predicts v · zero terminal SNR · without autoencoder').waitFor();
    await page.getByRole('tab', { name: 'Adapters' }).click();
    await page.getByRole('button', { name: 'Inspect ink' }).click();
    await page.getByRole('dialog').getByText('Shows what the file holds.').waitFor();
    expect(await seriousOf(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Try it: ink' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Paint' }).click();
    await page.getByRole('dialog').getByRole('slider', { name: /Wipe between/ }).waitFor();
    if (process.env['ADORA_SCREENS'] !== undefined) await page.screenshot({ path: join(root, 'docs/screens', 'library-try-dark.png') });
    expect(await seriousOf(page)).toEqual([]);
    await page.close();
    expect(complaints).toEqual([]);
  });

  const dialogs: Readonly<Record<string, { readonly screen: string; readonly open: (page: Page) => Promise<void> }>> = {
    'set up': { screen: 'train', open: async (page) => { await page.getByRole('tab', { name: 'Set up' }).click(); await page.getByRole('slider', { name: 'How strong' }).press('ArrowRight'); await page.getByText('changed this').waitFor(); } },
    'all settings': { screen: 'train', open: async (page) => { await page.getByRole('tab', { name: 'Set up' }).click(); await page.getByLabel('All', { exact: true }).check(); for (const why of await page.getByRole('button', { name: /^Why/ }).all()) await why.click(); } },
    'save recipe': { screen: 'train', open: async (page) => { await page.getByRole('tab', { name: 'Set up' }).click(); await page.getByRole('button', { name: 'Save settings as a recipe' }).click(); } },
    'imported settings': { screen: 'train', open: async (page) => { await page.getByRole('tab', { name: 'Set up' }).click(); await page.getByRole('button', { name: 'Open a file' }).click(); await chooseFile(page, 'job.toml'); await page.getByText('masked_training').waitFor(); } },
    'difference of samples': { screen: 'train', open: async (page) => { await page.getByRole('tab', { name: 'Difference' }).click(); await page.getByRole('button', { name: /^Proved/ }).click(); } },
    'files': { screen: 'settings', open: (page) => page.getByRole('button', { name: 'Add folder' }).click() },
    'doctor': { screen: 'settings', open: async (page) => { await page.getByRole('button', { name: 'Examine' }).click(); await page.getByText('COMPUTES WRONG').first().waitFor(); for (const summary of await page.locator('summary').all()) await summary.click(); } },
    'new project': { screen: 'home', open: (page) => page.getByRole('button', { name: 'New project' }).click() },
    'captions': { screen: 'data', open: (page) => page.getByRole('button', { name: 'Edit captions' }).click() },
    'find and replace': { screen: 'data', open: async (page) => { await page.getByRole('button', { name: 'Edit captions' }).click(); await page.getByRole('tab', { name: 'Find and replace' }).click(); } },
    'auto-caption': { screen: 'data', open: async (page) => { await page.getByRole('button', { name: 'Edit captions' }).click(); await page.getByRole('tab', { name: 'Auto-caption' }).click(); } },
    'palette': { screen: 'home', open: (page) => page.keyboard.press('Control+k') },
    'shortcuts': { screen: 'home', open: (page) => page.keyboard.press('?') },
  };
  test.each(Object.keys(dialogs).flatMap((name) => (['dark', 'light'] as const).map((theme) => [name, theme] as const)))('%s, %s', async (name, theme) => {
    complaints.length = 0;
    const { screen, open: act } = dialogs[name]!;
    const page = await open(screen, theme);
    await act(page);
    await page.waitForTimeout(200);
    const serious = await complaintsOf(page);
    await page.close();
    expect(serious).toEqual([]);
    expect(complaints).toEqual([]);
  });

  test('everything that can be clicked is reached by Tab, in a place that is seen', async () => {
    for (const screen of screens) {
      const page = await open(screen, 'dark');
      // A group of radio buttons or tabs is one stop; rows of the grid are reached by arrows.
      const missed = await page.evaluate(async () => {
        const all = [...document.querySelectorAll<HTMLElement>('button, a[href], input, select, textarea')].filter((element) =>
          !element.matches(':disabled, [tabindex="-1"], [type=radio]:not(:checked), .cell *') && element.checkVisibility());
        return all.filter((element) => element.tabIndex < 0 || (!element.getAttribute('aria-label') && element.textContent?.trim() === '' && (element as HTMLInputElement).labels?.length === 0)).map((element) => element.outerHTML.slice(0, 120));
      });
      expect(missed).toEqual([]);
      const seen = new Set<string>();
      for (let press = 0; press < 25; press++) {
        await page.keyboard.press('Tab');
        seen.add(await page.evaluate(() => {
          const { activeElement } = document;
          if (activeElement === null || activeElement === document.body) return 'body';
          const { outlineStyle, outlineWidth } = getComputedStyle(activeElement);
          const box = activeElement.getBoundingClientRect();
          const inner = activeElement.matches('input[type=file], .wipe input') ? getComputedStyle(activeElement.parentElement!).outlineStyle : outlineStyle;
          return inner !== 'none' && outlineWidth !== '0px' && box.width > 0 ? `seen ${activeElement.outerHTML.length} ${activeElement.textContent?.slice(0, 20)}` : `unseen ${activeElement.outerHTML.slice(0, 120)}`;
        }));
      }
      expect([...seen].filter((text) => text.startsWith('unseen'))).toEqual([]);
      expect(seen.size).toBeGreaterThan(8);
      await page.close();
    }
  });

  test('nothing moves where movement is unwanted, or while the graphics card is left to the training', async () => {
    const durations = (page: Page): Promise<number> => page.evaluate(() => Math.max(...[...document.querySelectorAll('*')].flatMap((element) => {
      const { transitionDuration, animationDuration } = getComputedStyle(element);
      return [...transitionDuration.split(','), ...animationDuration.split(',')].map((text) => parseFloat(text) * (text.endsWith('ms') ? 1 : 1000));
    })));
    const page = await open('train', 'dark');
    expect(await durations(page)).toBeLessThan(1);
    expect(await page.locator('.wipe').count()).toBe(1);
    await page.emulateMedia({ reducedMotion: 'no-preference' });
    expect(await durations(page)).toBeGreaterThan(50);
    await page.getByRole('navigation').getByText('Settings').click();
    await page.getByLabel('Leave the graphics card to the training').check();
    await page.waitForFunction('adora.settings.lowVram');
    await page.evaluate('adora.tell({ event: "settings.changed", data: { ...adora.settings } })');
    await page.getByRole('navigation').getByText('Train').click();
    await page.getByText('Large pictures come when').waitFor();
    expect(await page.locator('.wipe, canvas[width="512"]').count()).toBe(0);
    await expect.poll(() => durations(page)).toBeLessThan(1);
    await page.close();
  });

  test('of 2000 pictures only those in sight are in the document', async () => {
    const page = await open('data', 'dark', 2000);
    const count = (): Promise<number> => page.locator('main .picture').count();
    expect(await count()).toBeGreaterThan(5);
    expect(await count()).toBeLessThan(150);
    await page.locator('main [role=list]').evaluate((list) => { list.scrollTop = list.scrollHeight / 2; });
    await page.locator('[aria-label^="picture-10"]').first().waitFor();
    expect(await count()).toBeLessThan(150);
    await page.close();
  });
});

// The built page in Chromium, under the strict policy that the app serves it with, over a stand-in for the app: every screen
// without complaints of axe, thousands of pictures with few in the document. With ADORA_SCREENS the screens are written to docs/screens.
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
    const serious = await page.evaluate(async () => {
      const { axe } = window as unknown as { axe: { run(): Promise<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }> } };
      return (await axe.run()).violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, nodes }) => `${id}: ${nodes[0]?.html.slice(0, 200)}`);
    });
    if (process.env['ADORA_SCREENS'] !== undefined) await page.screenshot({ path: join(root, 'docs/screens', `${screen}-${theme}.png`) });
    await page.close();
    expect(serious).toEqual([]);
    expect(complaints).toEqual([]);
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

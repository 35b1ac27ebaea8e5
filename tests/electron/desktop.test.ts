// The desktop app itself, with Electron's program: `npm run test:electron`. Everywhere else this file is skipped.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { _electron, type ElectronApplication, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/** Path of Electron's program; set by the script. */
const program = process.env['ADORA_ELECTRON'];

describe.skipIf(program === undefined)('the desktop app', () => {
  let home: string;
  const complaints: string[] = [];
  let app: ElectronApplication;
  let page: Page;

  beforeAll(async () => {
    // Here, because the body of a skipped group runs all the same.
    home = mkdtempSync(join(tmpdir(), 'adora-desktop-'));
    // Chromium's sandbox refuses to work for root, which containers run as.
    const flags = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
    app = await _electron.launch({
      executablePath: program!, args: [...flags, `--user-data-dir=${join(home, 'chromium')}`, resolve('.')], env: { ...process.env, ADORA_HOME: home } as Record<string, string>,
    });
    page = await app.firstWindow();
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => { if (message.type() === 'error') complaints.push(message.text()); });
    await page.getByText('Try the demo').waitFor();
  });
  afterAll(async () => {
    await app?.close();
    rmSync(home, { recursive: true, force: true });
  });

  test('opens one window on its own scheme', async () => {
    expect(app.windows()).toHaveLength(1);
    expect(page.url()).toMatch(/^app:\/\/adora\/index\.html/);
    expect(await page.title()).toContain('Adora');
  });

  test('gives the page nothing of Node and nothing of Electron but its one channel', async () => {
    const found = await page.evaluate(() => ({
      node: ['require', 'process', 'module', 'Buffer', 'global'].filter((name) => name in globalThis),
      channel: Object.keys((globalThis as unknown as { adora: object }).adora).sort(),
    }));
    expect(found).toEqual({ node: [], channel: ['connect', 'onMessage', 'pathOf', 'post'] });
  });

  test('goes nowhere else', async () => {
    await page.evaluate(() => { (globalThis as unknown as { location: { href: string } }).location.href = 'https://example.com/'; });
    await page.waitForTimeout(500);
    expect(page.url()).toMatch(/^app:\/\/adora\/index\.html/);
  });

  test('trains the demo in a utility process and exports it', async () => {
    await page.getByText('Try the demo').click();
    await page.getByRole('textbox', { name: 'Steps', exact: true }).first().fill('10');
    await page.keyboard.press('Tab');
    await page.getByRole('main').getByRole('button', { name: 'Train', exact: true }).click();
    await expect.poll(() => app.evaluate(({ app: own }) => own.getAppMetrics().some(({ serviceName, name }) => `${serviceName} ${name}`.includes('Adora trainer'))), { timeout: 60_000 }).toBe(true);
    await page.getByText('has finished').first().waitFor({ timeout: 300_000 });
    await page.getByRole('navigation').getByText('Export').click();
    await page.getByRole('main').getByRole('button', { name: 'Export', exact: true }).click();
    await page.getByText('.safetensors').first().waitFor({ timeout: 120_000 });
    expect(complaints).toEqual([]);
  }, 600_000);
});

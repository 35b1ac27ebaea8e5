// Every screen and dialog of the page, with the stand-in behind it: a new one is entered here, and tests of all of them open it.
import { existsSync, readFileSync } from 'node:fs';
import { extname, join, resolve } from 'node:path';
import type { Page } from 'playwright-core';

export type Place = readonly [screen: string, act?: (page: Page) => Promise<void>];

export const tab = (page: Page, at: number): Promise<void> => page.getByRole('main').getByRole('tab').nth(at).click();
export const button = (page: Page, name: string): Promise<void> => page.getByRole('button', { name, exact: false }).first().click();

export const places: Readonly<Record<string, Place>> = {
  projects: ['home'], 'new project': ['home', (page) => button(page, 'New project')], palette: ['home', (page) => page.keyboard.press('Control+k')], shortcuts: ['home', (page) => page.keyboard.press('?')],
  pictures: ['data'], picture: ['data', (page) => page.locator('#picture-0').click()], captions: ['data', (page) => button(page, 'Edit captions')],
  'auto-captions': ['data', async (page) => { await button(page, 'Edit captions'); await page.getByRole('dialog').getByRole('tab').nth(3).click(); }],
  live: ['train', (page) => tab(page, 1)], 'set up': ['train', (page) => tab(page, 0)],
  'imported settings': ['train', async (page) => { await tab(page, 0); await button(page, 'Open a file'); await button(page, 'job.toml'); await page.getByRole('dialog').getByRole('button').last().click(); await page.getByText('masked_training').waitFor(); }],
  scrubber: ['compare'], grid: ['compare', (page) => tab(page, 1)], runs: ['compare', (page) => tab(page, 2)], canary: ['compare', (page) => tab(page, 3)],
  export: ['export'], library: ['library'], inspection: ['library', async (page) => { await tab(page, 1); await button(page, 'Inspect'); await page.getByRole('dialog').waitFor(); }],
  trial: ['library', async (page) => { await tab(page, 1); await button(page, 'Try it'); await page.getByRole('dialog').waitFor(); }], settings: ['settings'],
};

const TYPES: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

/** Answers for http://adora.test with a built page; every picture is the same one. @param built folder */
export async function serveBuilt(page: Page, built: string): Promise<void> {
  const image = readFileSync(resolve('docs/before-after.png'));
  await page.route('http://adora.test/**', async (route) => {
    const { pathname } = new URL(route.request().url());
    if (pathname.startsWith('/img/')) return route.fulfill({ body: image, contentType: 'image/png' });
    const file = join(built, pathname === '/' ? 'index.html' : pathname);
    return existsSync(file) ? route.fulfill({ body: readFileSync(file), contentType: TYPES[extname(file)] ?? 'application/octet-stream' }) : route.fulfill({ status: 404 });
  });
}

// What tests in Chromium share: a built page, a real server with a real trainer, and a browser.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { chromium, type Page } from 'playwright-core';
import { build, type Plugin } from 'vite';

import { serveStudio } from '../../src-main/app/server/serve-studio.ts';
import { forkHost } from '../../src-main/app/trainer/fork-host.ts';
import { buildTrainer, openHome, type Home } from '../app/studio-home.ts';

export const program = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => existsSync(path));
if (program === undefined) process.stderr.write('No Chromium was found: the studio is not tested in a browser.\n');

export interface OpenStudio {
  readonly home: Home;
  readonly page: Page;
  readonly url: string;
  /** Errors of the page and of the server. */
  readonly complaints: string[];
  close(): Promise<void>;
}

/** @param plugins what is changed in the page before it is built */
export async function openStudio(plugins: readonly Plugin[] = []): Promise<OpenStudio> {
  const renderer = mkdtempSync(join(tmpdir(), 'adora-page-'));
  const complaints: string[] = [];
  const [trainer] = await Promise.all([
    buildTrainer(),
    build({ root: resolve('src-renderer'), configFile: resolve('src-renderer/vite.config.ts'), logLevel: 'error', plugins: [...plugins], build: { outDir: renderer, emptyOutDir: true } }),
  ]);
  const home = openHome(forkHost(trainer.entry));
  const server = await serveStudio({ studio: home.studio, renderer, port: 0, onFault: (fault) => complaints.push(String(fault)) });
  const browser = await chromium.launch({ executablePath: program!, args: ['--no-sandbox'] });
  const page = await browser.newPage({ viewport: { width: 1360, height: 900 }, reducedMotion: 'reduce' });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => { if (message.type() === 'error') complaints.push(message.text()); });
  await page.goto(server.url);
  return {
    home, page, url: server.url, complaints,
    close: async () => {
      await browser.close();
      await server.close();
      await home.close();
      rmSync(trainer.folder, { recursive: true });
      rmSync(renderer, { recursive: true });
    },
  };
}

/** Drops files and folders of the disk onto the middle of an element, as the system does it. */
export async function dropOnto(page: Page, selector: string, paths: readonly string[]): Promise<void> {
  const box = await page.locator(selector).boundingBox();
  if (box === null) throw new Error(`${selector} is not there.`);
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files: [...paths], dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
    await session.send('Input.dispatchDragEvent', { type, x: box.x + box.width / 2, y: box.y + box.height / 2, data });
  }
  await session.detach();
}

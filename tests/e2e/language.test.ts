// The page in a made-up language: on no screen and in no dialog may a sentence of the app's or of the page's be left in English.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { chromium, type Browser, type Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { api, type Method } from '../../src-main/contract/api.ts';
import { leftovers, otherLanguage } from './other-language.ts';
import { program } from './pages.ts';
import { button, places, serveBuilt, tab, type Place } from './places.ts';
import { standIn } from './stand-in.ts';

interface Channel { onMessage(heard: (message: never) => void): void; post(message: unknown): void }

/** What the user or a file called so, dates, and names of programs, settings, keys and units. */
const NAMES = /^(?:[·/\s\d.,:×%|~+–?-]|\b[A-Z]\b|[A-Z][a-z]{2} \d+|[AP]M|Adora|Xx|English|Ink landscapes|ink|picture-\d+\.png|pictures|two hills at night|a (?:lighthouse on a cliff|boat in the fog|bridge over a river)|starter|home|models|\/home\/[\w/.-]+|My ink|For portraits\.|sd15|job\.toml|masked_training = true|OneTrainer|kohya|ComfyUI|DoRA|LoRA|dora|lora|adapter\.\w+|input|lora_unet_\w+|modelspec\.title|\w+_blocks\.\d\.\w+|mid_block\.ff|Stable Diffusion, small|[fF]16|[fF]32|safetensors|[kMG]?B|min|s|h|out)+$/;

describe('the stand-in of the app', () => {
  test('answers as the contract says', async () => {
    const answers = new Map<number, (message: { ok: boolean; output: unknown }) => void>();
    const place = globalThis as unknown as { window?: { adora: Channel } };
    Object.assign(place, { window: {} });
    try {
      standIn({ pictures: 3, theme: 'dark' });
      const { adora } = place.window!;
      adora.onMessage(((message: { id: number; ok: boolean; output: unknown }) => answers.get(message.id)?.(message)) as never);
      const wrong: string[] = [];
      for (const [id, method] of (Object.keys(api) as Method[]).entries()) {
        const input = method === 'settings.set' ? {} : { limit: 2, offset: 0, items: [{}], intensity: 0.5, draft: {} };
        const answer = await new Promise<{ ok: boolean; output: unknown }>((done) => { answers.set(id, done); adora.post({ id, method, input }); });
        if (!answer.ok) continue;
        const checked = api[method].output.safeParse(JSON.parse(JSON.stringify(answer.output)));
        if (!checked.success) wrong.push(`${method}: ${checked.error.issues.slice(0, 3).map(({ path, message }) => `${path.join('.')} ${message}`).join('; ')}`);
      }
      expect(wrong).toEqual([]);
    } finally {
      delete place.window;
    }
  });
});

describe.skipIf(program === undefined)('in another language', () => {
  const out = mkdtempSync(join(tmpdir(), 'adora-language-'));
  let browser: Browser;
  beforeAll(async () => {
    await build({ root: resolve('src-renderer'), configFile: resolve('src-renderer/vite.config.ts'), logLevel: 'error', plugins: [otherLanguage], build: { outDir: out, emptyOutDir: true } });
    browser = await chromium.launch({ executablePath: program!, args: ['--no-sandbox'] });
  });
  afterAll(async () => {
    await browser?.close();
    rmSync(out, { recursive: true, force: true });
  });

  async function open(screen: string): Promise<Page> {
    const page = await browser.newPage({ viewport: { width: 1360, height: 900 }, reducedMotion: 'reduce' });
    page.setDefaultTimeout(20_000);
    await serveBuilt(page, out);
    await page.addInitScript(standIn, { pictures: 24, theme: 'dark', locale: 'xx' } as const);
    await page.addInitScript(() => localStorage.setItem('adora.locale', 'xx'));
    await page.goto(`http://adora.test/#/${screen}/p1/run1`);
    await page.locator('main h1, main [role=list]').first().waitFor();
    await page.waitForTimeout(600);
    return page;
  }

  const all: Readonly<Record<string, Place>> = {
    ...places,
    live: ['train', async (page) => { await tab(page, 1).catch(() => {}); await button(page, 'Proved'); }],
    'set up': ['train', async (page) => { await tab(page, 0); await page.getByRole('slider').first().press('ArrowRight'); await page.waitForTimeout(500); }],
    settings: ['settings', async (page) => { await button(page, 'Examine'); await page.getByText('doctor.wrong').first().waitFor(); for (const summary of await page.locator('summary').all()) await summary.click(); }],
  };
  test.each(Object.keys(all))('%s', async (name) => {
    const [screen, act] = all[name]!;
    const page = await open(screen);
    await act?.(page);
    await page.waitForTimeout(300);
    const left = await page.evaluate(leftovers);
    const isOther = await page.evaluate(() => document.documentElement.lang);
    await page.close();
    expect(isOther).toBe('xx');
    expect(left.filter((text) => !NAMES.test(text))).toEqual([]);
  });
});

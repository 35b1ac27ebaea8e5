// As a new user would: an empty home, the demo, Train, a reload in the middle, a trainer that dies, Resume, an exported file.
// The real page, server and trainer on the starter model, in Chromium.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { chromium, type Browser, type Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { serveStudio, type RunningServer } from '../../src-main/app/server/serve-studio.ts';
import { forkHost } from '../../src-main/app/trainer/fork-host.ts';
import type { WorkerHost, WorkerProcess } from '../../src-main/app/trainer/worker-host.ts';
import { buildTrainer, openHome, type Home } from '../app/studio-home.ts';

const program = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => existsSync(path));
if (program === undefined) process.stderr.write('No Chromium was found: the studio is not tested in a browser.\n');

describe.skipIf(program === undefined)('the studio in the browser', () => {
  const renderer = mkdtempSync(join(tmpdir(), 'adora-page-'));
  const trainers: WorkerProcess[] = [];
  const complaints: string[] = [];
  let trainer: Awaited<ReturnType<typeof buildTrainer>>;
  let home: Home;
  let server: RunningServer;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    [trainer] = await Promise.all([
      buildTrainer(),
      build({ root: resolve('src-renderer'), configFile: resolve('src-renderer/vite.config.ts'), logLevel: 'error', build: { outDir: renderer, emptyOutDir: true } }),
    ]);
    const real = forkHost(trainer.entry);
    const host: WorkerHost = {
      start: (command) => {
        const worker = real.start(command);
        return {
          ...worker,
          send: (message) => {
            if (message.kind === 'start' && message.command === 'train') trainers.push(worker);
            worker.send(message);
          },
        };
      },
    };
    home = openHome(host);
    server = await serveStudio({ studio: home.studio, renderer, port: 0, onFault: (fault) => complaints.push(String(fault)) });
    browser = await chromium.launch({ executablePath: program!, args: ['--no-sandbox'] });
    page = await browser.newPage({ viewport: { width: 1360, height: 900 }, reducedMotion: 'reduce' });
    page.setDefaultTimeout(60_000);
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => { if (message.type() === 'error') complaints.push(message.text()); });
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
    await home?.close();
    if (trainer) rmSync(trainer.folder, { recursive: true });
    rmSync(renderer, { recursive: true });
  });

  test('from an empty home to an exported file', async () => {
    await page.goto(server.url);
    await page.getByText('Try the demo').click();
    await page.getByRole('button', { name: 'Train', exact: true }).last().waitFor();
    // A slider changes the settings beside it, says which and why, and is taken back.
    await page.getByRole('slider', { name: 'Freedom or fidelity' }).press('Home');
    const changes = page.getByRole('region', { name: 'What changed' });
    await changes.getByText('changed this').waitFor();
    expect(await changes.innerText()).toMatch(/Targets\s+Linear\+conv\s*→\s*Attention/);
    await changes.getByRole('button', { name: /^Undo: / }).click();
    await changes.getByText('Answers, sliders and recipes').waitFor();
    // Short: the way is tested, not the result.
    await page.getByRole('textbox', { name: 'Steps', exact: true }).first().fill('60');
    await page.keyboard.press('Tab');
    await page.getByLabel('Find a setting').fill('saveEvery');
    await page.getByRole('textbox', { name: 'Save every' }).fill('5');
    await page.keyboard.press('Tab');
    await expect.poll(async () => (await home.studio.handlers['projects.list']({})).projects.length).toBe(1);
    const [{ id: projectId } = { id: '' }] = (await home.studio.handlers['projects.list']({})).projects;
    await expect.poll(async () => (await home.studio.handlers['projects.open']({ id: projectId })).draft).toMatchObject({ train: { steps: 60, saveEvery: 5 } });
    await page.getByRole('main').getByRole('button', { name: 'Train', exact: true }).click();

    const bar = page.getByLabel('Training', { exact: true });
    await expect.poll(async () => bar.innerText(), { timeout: 120_000 }).toMatch(/step\s+([6-9]|[1-5]\d)\s*\/ 60/);
    await page.reload();
    await expect.poll(async () => bar.innerText(), { timeout: 120_000 }).toMatch(/step\s+\d+\s*\/ 60/);

    // Paused, the device is free and pictures may be left out; then it goes on.
    let isGone = false;
    trainers.at(-1)!.onExit(() => { isGone = true; });
    await bar.getByRole('button', { name: 'Pause' }).click();
    await page.getByText('The device is free').waitFor({ timeout: 120_000 });
    expect(isGone).toBe(true);
    await page.getByRole('button', { name: 'Edit pictures' }).click();
    // A cell that the list has not measured yet is hidden, and what is hidden takes no focus.
    await page.locator('#picture-2').waitFor({ state: 'visible' });
    await page.locator('#picture-2').press('x');
    await page.getByText('23 of 24 pictures are used').waitFor();
    await bar.getByRole('button', { name: 'Resume' }).click();
    await expect.poll(async () => (await home.studio.handlers['runs.queue']({})).active?.state, { timeout: 120_000 }).toBe('running');
    await page.getByRole('navigation').getByText('Train').click();

    trainers.at(-1)!.kill();
    await page.getByRole('button', { name: 'Resume' }).first().click({ timeout: 120_000 });
    await expect.poll(async () => (await home.studio.handlers['projects.open']({ id: projectId })).runs[0]!.state, { timeout: 180_000 }).toBe('finished');

    // What was left out while it was paused was trained on no more.
    const { id: runId } = (await home.studio.handlers['projects.open']({ id: projectId })).runs[0]!;
    const { events } = await home.studio.handlers['runs.snapshot']({ runId, maxSteps: 100 });
    expect(events.flatMap((event) => (event.kind === 'started' ? [event.job.images] : []))).toEqual([24, 23, 23]);

    await page.getByRole('navigation').getByText('Export').click();
    await page.getByLabel('For').selectOption('comfyui').catch(async () => page.getByRole('combobox').nth(1).selectOption('comfyui'));
    await page.getByRole('main').getByRole('button', { name: 'Export', exact: true }).click();
    const [run] = (await home.studio.handlers['projects.open']({ id: projectId })).runs;
    const exportsNow = async () => (await home.studio.handlers['export.list']({ runId: run!.id })).exports;
    await expect.poll(async () => (await exportsNow())[0]?.id, { timeout: 120_000 }).not.toBe('at-end');
    await page.getByText('.safetensors').first().waitFor();
    const exports = await exportsNow();
    expect(exports[0]).toMatchObject({ ok: true, tool: 'comfyui' });
    expect(existsSync(exports[0]!.files[0]!.path)).toBe(true);
    expect(complaints).toEqual([]);
  }, 400_000);
});

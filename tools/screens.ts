// Takes the pictures of docs/screens: the real page, server and trainer, a real short training of the starter model on the demo
// pictures, in Chromium. npm run tool screens [folder]
import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { chromium, type Page } from 'playwright-core';

import { serveStudio } from '../src-main/app/server/serve-studio.ts';
import { createStudio } from '../src-main/app/studio.ts';
import { forkHost } from '../src-main/app/trainer/fork-host.ts';

const program = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => existsSync(path));
if (program === undefined) throw new Error('Chromium is needed: install it or add its place to tools/screens.ts.');
const [out = 'docs/screens', steps = '160'] = process.argv.slice(2);
mkdirSync(out, { recursive: true });

// A place of its own, so that pictures show nobody's folders.
const place = join(tmpdir(), 'adora');
rmSync(place, { recursive: true, force: true });
for (const name of ['starter', 'demo', 'recipes']) cpSync(join('assets', name), join(place, 'program', 'assets', name), { recursive: true });
process.env['HOME'] = join(place, 'home');
const folders = { config: join(place, 'home', 'config'), data: join(place, 'home', 'Adora'), cache: join(place, 'home', 'cache') };
for (const folder of Object.values(folders)) mkdirSync(folder, { recursive: true });

const studio = createStudio({ mode: 'browser', host: forkHost(resolve('out/main/trainer.js')), assets: join(place, 'program', 'assets'), folders });
const server = await serveStudio({ studio, renderer: resolve('out/renderer'), port: 0, onFault: (fault) => process.stderr.write(`${String(fault)}\n`) });
const browser = await chromium.launch({ executablePath: program, args: ['--no-sandbox'] });
const page = await browser.newPage({ viewport: { width: 1360, height: 860 }, reducedMotion: 'reduce' });
page.on('pageerror', (error) => process.stderr.write(`${error.message}\n`));
page.setDefaultTimeout(30_000);

const { handlers } = studio;
const go = async (target: Page, name: string): Promise<void> => {
  await target.getByRole('navigation').getByText(name, { exact: true }).click();
  await target.waitForTimeout(600);
};
/** In both themes. */
async function shoot(name: string): Promise<void> {
  // Messages that come and go do not belong into a picture.
  for (const theme of ['light', 'dark'] as const) {
    await handlers['settings.set']({ theme });
    await page.locator(`html[data-theme=${theme}]`).waitFor();
    for (const dismiss of await page.getByRole('button', { name: 'Dismiss' }).all()) await dismiss.click().catch(() => {});
    await page.mouse.move(1, 1);
    await page.waitForTimeout(350);
    await page.screenshot({ path: join(out, `${name}-${theme}.png`) });
  }
}
async function until(fits: () => Promise<boolean>): Promise<void> {
  while (!await fits()) await page.waitForTimeout(300);
}

try {
  await page.goto(server.url);
  await page.getByText('Try the demo').click();
  await page.getByRole('slider', { name: 'How strong' }).waitFor();
  const [{ id: projectId } = { id: '' }] = (await handlers['projects.list']({})).projects;
  const { draft } = await handlers['projects.open']({ id: projectId });
  const every = Math.round(Number(steps) / 5);
  const own = (key: string): object => draft[key] as object;
  await handlers['projects.update']({ id: projectId, draft: {
    ...draft, train: { ...own('train'), steps: Number(steps), saveEvery: every, keep: 20, probeEvery: every },
    preview: { ...own('preview'), every, prompts: ['a fox in a forest at night', 'a teapot on a table'] },
  } });
  await page.reload();
  await page.getByRole('slider', { name: 'How strong' }).waitFor();
  await page.getByText(/looks at each/).waitFor();
  // Something to see beside the sliders: an answer, then back to the demo's own settings for the training.
  await page.getByRole('slider', { name: 'Freedom or fidelity' }).focus();
  for (let press = 0; press < 6; press++) await page.keyboard.press('ArrowRight');
  await page.getByText(/changed this/).waitFor();
  await page.waitForTimeout(1500);
  await page.getByText('Working out memory, time and disk').first().waitFor({ state: 'hidden' });
  await shoot('setup');
  await page.getByRole('button', { name: /^Undo: / }).click();
  await page.waitForTimeout(900);

  await go(page, 'Pictures');
  await page.locator('#picture-0 img').waitFor();
  await page.waitForTimeout(3000);
  await page.locator('#picture-3').click();
  await shoot('data');
  await go(page, 'Train');
  await page.getByRole('main').getByRole('button', { name: 'Train', exact: true }).click();
  const now = async (): Promise<{ state: string; step: number }> => (await handlers['runs.queue']({})).active ?? { state: 'none', step: 0 };
  await until(async () => (await now()).step >= Number(steps) * 0.7);
  await handlers['runs.pause']({ runId: (await handlers['runs.queue']({})).active?.id ?? '' });
  const paused = async () => (await handlers['runs.queue']({})).paused;
  await until(async () => (await paused()).length > 0);
  await page.waitForTimeout(2500);
  await shoot('paused');
  await handlers['runs.resume']({ runId: (await paused())[0]?.id ?? '' });
  await until(async () => (await now()).step >= Number(steps) * 0.75 || (await now()).state === 'none');
  await page.getByRole('tab', { name: 'Wipe' }).waitFor();
  await shoot('train');
  await until(async () => (await now()).state === 'none');
  await page.getByText('What each layer learns').waitFor();
  await page.getByText('What each layer learns').scrollIntoViewIfNeeded();
  await page.waitForTimeout(4000);
  await page.locator('main').evaluate((main) => { main.scrollTop = main.scrollHeight; });
  await shoot('layers');
  await page.locator('.charts').evaluate((charts) => { charts.scrollIntoView({ block: 'start' }); });
  await shoot('charts');

  await go(page, 'Compare');
  // A strength is chosen and painted, beside what the base model paints.
  await page.getByLabel('Wipe against the base model').check();
  await page.getByRole('slider', { name: 'Checkpoint' }).press('ArrowLeft');
  await page.waitForTimeout(3000);
  await until(async () => (await handlers['tasks.list']({})).tasks.every(({ state }) => state !== 'running'));
  await page.waitForTimeout(1500);
  await shoot('compare');
  await go(page, 'Export');
  await page.getByRole('main').getByRole('button', { name: 'Export', exact: true }).click();
  await page.waitForTimeout(1500);
  await until(async () => (await handlers['tasks.list']({})).tasks.every(({ state }) => state !== 'running'));
  await page.waitForTimeout(1500);
  await shoot('export');
  await go(page, 'Library');
  await page.waitForTimeout(2500);
  await shoot('library');
  await go(page, 'Settings');
  await until(async () => (await handlers['tasks.list']({})).tasks.every(({ state }) => state !== 'running'));
  await page.waitForTimeout(1000);
  await shoot('settings');
  await go(page, 'Projects');
  await page.waitForTimeout(1000);
  await shoot('home');
} catch (error) {
  await page.screenshot({ path: join(tmpdir(), 'adora-screens-failed.png') });
  throw error;
} finally {
  await browser.close();
  await studio.dispose();
  await server.close();
  rmSync(place, { recursive: true, force: true });
}

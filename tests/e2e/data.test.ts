// Pictures in the window: dropped files and folders, a tagger, and two thousand of them, on the real page, server and trainer.
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { pickingTagger, tagList } from '../train/tiny-tagger.ts';
import { dropOnto, openStudio, program, type OpenStudio } from './pages.ts';

const MANY = 2000;
let opened: OpenStudio;
let page: Page;
let folder: string;
const at = (...parts: string[]): string => join(folder, ...parts);

/** A plain picture of its own colour. */
const draw = async (path: string, index: number, side = 48): Promise<void> => {
  const background = { r: (index * 37) % 256, g: (index * 91) % 256, b: (index * 151) % 256 };
  await sharp({ create: { width: side, height: side, channels: 3, background } }).png({ compressionLevel: 1 }).toFile(path);
};

async function newProject(name: string): Promise<string> {
  await page.getByRole('navigation').getByText('Projects').click();
  await page.getByRole('button', { name: 'New project' }).click();
  await page.getByLabel('Name').fill(name);
  await page.getByRole('button', { name: 'Create' }).click();
  await page.getByText('Drop your pictures here').waitFor();
  return (await opened.home.studio.handlers['projects.list']({})).projects[0]!.id;
}

describe.skipIf(program === undefined)('pictures in the window', () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'adora-pictures-'));
    opened = await openStudio();
    page = opened.page;
  });
  afterAll(async () => {
    await opened?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('dropped files and folders arrive with their captions, and none replaces another', async () => {
    mkdirSync(at('set', 'inner'), { recursive: true });
    await Promise.all([draw(at('one.png'), 1), draw(at('set', 'same.png'), 2), draw(at('set', 'inner', 'same.png'), 3)]);
    writeFileSync(at('set', 'same.txt'), 'outer, two');
    writeFileSync(at('set', 'inner', 'same.txt'), 'inner, three');
    writeFileSync(at('set', 'notes.pdf'), 'not for training');
    const projectId = await newProject('Dropped');
    await dropOnto(page, '.data', [at('one.png'), at('set')]);
    await expect.poll(async () => page.locator('main .picture').count(), { timeout: 20_000 }).toBe(3);
    await expect.poll(async () => page.locator('[role=status]', { hasText: '3 shown' }).count()).toBe(1);
    const { items } = await opened.home.studio.handlers['data.items']({ projectId, offset: 0, limit: 10, filter: {}, sort: 'name', descending: false });
    expect(items.map(({ name, caption }) => [name, caption]).sort()).toEqual([['one.png', ''], ['same-2.png', 'outer, two'], ['same.png', 'inner, three']].sort());
    // What each caption says belongs to the picture that lay beside it.
    const bytes = (name: string): Buffer => readFileSync(join(opened.home.studio.context.ids.path(items[0]!.folderId), name));
    const outer = items.find(({ caption }) => caption === 'outer, two')!;
    expect(bytes(outer.name).equals(readFileSync(at('set', 'same.png')))).toBe(true);
    expect(readdirSync(at('set')).sort()).toEqual(['inner', 'notes.pdf', 'same.png', 'same.txt']);
    await dropOnto(page, '.data', [at('set', 'notes.pdf')]);
    await page.getByText('There is no picture among the dropped files').waitFor();
  });

  test('the focus stays with its picture, the panel with its caption', async () => {
    mkdirSync(at('focus'));
    for (let index = 0; index < 20; index++) await draw(at('focus', `f${String(index).padStart(2, '0')}.png`), index);
    const { context, handlers } = opened.home.studio;
    const projectId = await newProject('Focused');
    await handlers['projects.update']({ id: projectId, addFolders: [context.ids.of(at('focus'))] });
    await page.reload();
    await page.locator('#picture-19 img').waitFor();
    const active = (): Promise<string> => page.evaluate(() => document.activeElement?.getAttribute('aria-label')?.split(',')[0] ?? '');
    const panel = (name: string) => page.getByRole('complementary', { name: `Picture ${name}` });
    // The panel takes width: the grid has fewer columns, and other pictures stand where this one stood.
    const columns = (): Promise<number> => page.locator('.line').first().locator('.cell').count();
    const before = await columns();
    for (const index of [9, 17]) {
      const name = `f${String(index).padStart(2, '0')}.png`;
      await page.locator(`#picture-${index}`).click();
      await panel(name).waitFor();
      await expect.poll(columns).toBeLessThan(before);
      await expect.poll(active).toBe(name);
      await panel(name).getByRole('button', { name: 'Close' }).click();
      await expect.poll(columns).toBe(before);
      await expect.poll(active).toBe(name);
    }
    await page.keyboard.press('x');
    await page.getByText('19 of 20 pictures are used').waitFor();
    const items = async () => (await handlers['data.items']({ projectId, offset: 0, limit: 20, filter: {}, sort: 'name', descending: false })).items;
    expect((await items()).filter(({ included }) => !included).map(({ name }) => name)).toEqual(['f17.png']);

    // Caption after caption by keyboard, under a filter that each one leaves.
    await page.getByRole('button', { name: 'No caption', exact: true }).click();
    await page.getByText('20 shown').waitFor();
    await page.locator('#picture-0').click();
    await panel('f00.png').getByLabel('Caption').fill('first');
    await page.keyboard.press('PageDown');
    await panel('f01.png').waitFor();
    await page.keyboard.type('second');
    await page.keyboard.press('Tab');
    await page.getByText('18 shown').waitFor();
    await panel('f01.png').locator('.chip', { hasText: 'second' }).waitFor();
    expect((await items()).slice(0, 3).map(({ caption }) => caption)).toEqual(['first', 'second', '']);
    await page.getByRole('button', { name: 'Undo: Change caption' }).click();
    await page.getByText('19 shown').waitFor();
    expect(readdirSync(at('focus')).filter((name) => name.endsWith('.txt'))).toEqual(['f00.txt']);

    // A burst of keys moves the centre by all of them, and is one change.
    await page.getByRole('button', { name: 'All', exact: true }).click();
    await page.locator('#picture-3').click();
    await panel('f03.png').locator('.crop').focus();
    for (let press = 0; press < 5; press++) await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowUp');
    const centre = async () => (await items()).find(({ name }) => name === 'f03.png')!.focus;
    await expect.poll(async () => Object.values(await centre()).map((share) => Math.round(share * 100))).toEqual([60, 48]);
    // The next picture keeps its own, though it comes before the pause is over.
    await page.keyboard.press('ArrowRight');
    await panel('f03.png').getByRole('button', { name: 'Next picture' }).click();
    await panel('f04.png').waitFor();
    await expect.poll(async () => Math.round((await centre()).x * 100)).toBe(62);
    expect((await items()).filter(({ focus }) => focus.x !== 0.5).map(({ name }) => name)).toEqual(['f03.png']);
    for (const x of [0.6, 0.5]) {
      await page.getByRole('button', { name: 'Undo: Move focus' }).click();
      await expect.poll(async () => (await centre()).x).toBeCloseTo(x);
    }
    await page.locator('#picture-4').focus();
    await page.keyboard.press('Escape');
    await expect.poll(async () => page.getByRole('complementary', { name: /^Picture / }).count()).toBe(0);
    expect(opened.complaints).toEqual([]);
  });

  test('a tagger writes captions that can be edited and taken back; a wrong file says why', async () => {
    writeFileSync(at('model.onnx'), pickingTagger([[0, 0, 2], [0, 0, 0]]));
    writeFileSync(at('selected_tags.csv'), tagList([['warm_light', 0], ['blue_light', 0]]));
    writeFileSync(at('wrong.csv'), 'id,label\n1,x\n');
    const { context, handlers } = opened.home.studio;
    const projectId = await newProject('Tagged');
    mkdirSync(at('tag'));
    await sharp({ create: { width: 32, height: 32, channels: 3, background: '#ff0000' } }).png().toFile(at('tag', 'red.png'));
    await sharp({ create: { width: 32, height: 32, channels: 3, background: '#0000ff' } }).png().toFile(at('tag', 'blue.png'));
    writeFileSync(at('tag', 'blue.txt'), 'mine');
    await dropOnto(page, '.data', [at('tag')]);
    await expect.poll(async () => page.locator('main .picture').count(), { timeout: 20_000 }).toBe(2);
    await handlers['settings.set']({ addFolders: [context.ids.of(folder)] });

    const choose = async (button: string, name: string): Promise<void> => {
      await page.getByRole('button', { name: button }).click();
      await page.getByLabel('Places').selectOption({ label: folder });
      await page.getByRole('button', { name }).click();
      await page.getByRole('button', { name: 'Choose', exact: true }).click();
    };
    await page.getByRole('button', { name: 'Edit captions' }).click();
    await page.getByRole('tab', { name: 'Auto-caption' }).click();
    await choose('Choose tagger', 'model.onnx');
    await choose('Choose tags', 'wrong.csv');
    await page.getByRole('button', { name: 'Write captions' }).click();
    await page.getByRole('dialog').getByText('is no list of tags').waitFor({ timeout: 30_000 });
    await choose('Choose tags', 'selected_tags.csv');
    await page.getByRole('dialog').getByRole('combobox').selectOption('append');
    await page.getByRole('button', { name: 'Write captions' }).click();
    await page.getByText('Captions are written').waitFor({ timeout: 30_000 });
    const captions = async (): Promise<string[]> => (await handlers['data.items']({ projectId, offset: 0, limit: 10, filter: {}, sort: 'name', descending: false })).items.map(({ caption }) => caption);
    expect(await captions()).toEqual(['mine, blue light', 'warm light']);
    await page.getByRole('button', { name: 'Undo: Write captions' }).last().click();
    await expect.poll(captions).toEqual(['mine', '']);
    await page.keyboard.press('Escape');
  });

  test(`${MANY} pictures: few in the document, and each action touches only what it changes`, { timeout: 300_000 }, async () => {
    mkdirSync(at('many'));
    for (let start = 0; start < MANY; start += 50) {
      await Promise.all(Array.from({ length: 50 }, (_, offset) => draw(at('many', `p${String(start + offset).padStart(4, '0')}.png`), start + offset, 24)));
    }
    for (let index = 0; index < MANY; index += 2) writeFileSync(at('many', `p${String(index).padStart(4, '0')}.txt`), `ink, subject ${index % 40}`);
    const { context, handlers } = opened.home.studio;
    const projectId = await newProject('Many');
    await handlers['projects.update']({ id: projectId, addFolders: [context.ids.of(at('many'))] });
    await page.getByText(`${MANY} shown`).waitFor({ timeout: 60_000 });
    await handlers['data.scan']({ projectId });
    await expect.poll(async () => (await handlers['tasks.list']({})).tasks.every(({ state }) => state !== 'running'), { timeout: 200_000, interval: 500 }).toBe(true);
    await page.waitForTimeout(1000);
    const grid = page.locator('.grid [role=list]');
    const count = (): Promise<number> => page.locator('main .picture').count();
    expect(await count()).toBeGreaterThan(10);

    await page.evaluate(watchWork);
    const work = async (name: string, act: () => Promise<void>): Promise<Work> => {
      await page.evaluate('work.begin()');
      await act();
      await page.waitForTimeout(700);
      const done = await page.evaluate('work.end()') as Work;
      process.stdout.write(`  ${name}: ${done.cells} cells and ${done.rows} rows touched, slowest interaction ${done.interaction} ms, longest task ${done.longest} ms\n`);
      expect(await count()).toBeLessThan(150);
      return done;
    };
    // The panel of a picture takes width, so the grid has other rows: all in sight, and no more.
    const panel = await work('open the panel of a picture', () => page.locator('#picture-3').click());
    expect(panel.cells).toBeLessThan(150);
    const open = await work('go to another picture', () => page.locator('#picture-4').click());
    const select = await work('select a picture', () => page.getByLabel('Select p0002.png').click());
    const tag = await work('add a tag', async () => { await page.getByLabel('Add a tag').fill('night'); await page.keyboard.press('Enter'); await page.locator('.chip', { hasText: 'night' }).waitFor(); });
    const leave = await work('leave a picture out', async () => { await page.locator('#picture-5').focus(); await page.keyboard.press('x'); await page.locator('.cell.out').waitFor(); });
    const scroll = await work('scroll by a row', () => grid.evaluate((list) => { list.scrollTop += 196; }));
    const arrow = await work('go down by a key', async () => { await page.locator('#picture-12').focus(); await page.keyboard.press('ArrowDown'); });
    // An action on one picture touches that one, and the one that was chosen before.
    for (const { cells, rows } of [open, select, tag, leave]) { expect(cells).toBeLessThanOrEqual(2); expect(rows).toBe(0); }
    for (const { rows } of [scroll, arrow]) expect(rows).toBeLessThanOrEqual(6);

    await grid.evaluate((list) => { list.scrollTop = list.scrollHeight / 2; });
    await page.locator('[aria-label^="p10"]').first().waitFor();
    expect(await count()).toBeLessThan(150);
    await work('search', async () => { await page.getByLabel('Find in names and captions').fill('subject 12'); await page.getByText('50 shown').waitFor(); });
    const session = await page.context().newCDPSession(page);
    await session.send('Performance.enable');
    const { metrics } = await session.send('Performance.getMetrics');
    expect(metrics.find(({ name }) => name === 'Nodes')!.value).toBeLessThan(25_000);
    expect(opened.complaints).toEqual([]);
  });
});

interface Work { readonly cells: number; readonly rows: number; readonly interaction: number; readonly longest: number }

/** Runs in the page: counts the cells whose content changes, rows that come, and how long interactions and tasks take. */
function watchWork(): void {
  let cells = new Set<Element>();
  let [rows, interaction, longest] = [0, 0, 0];
  const grid = document.querySelector('.grid')!;
  const note = (records: readonly MutationRecord[]): void => {
    for (const { target, addedNodes } of records) {
      const element = target instanceof Element ? target : target.parentElement;
      const cell = element?.closest('.cell');
      if (cell) cells.add(cell);
      for (const node of addedNodes) if (node instanceof Element && (node.matches('.line') || node.querySelector('.line') !== null)) rows += 1;
    }
  };
  const mutations = new MutationObserver(note);
  mutations.observe(grid, { subtree: true, childList: true, attributes: true, characterData: true });
  new PerformanceObserver((list) => { for (const entry of list.getEntries()) interaction = Math.max(interaction, entry.duration); }).observe({ type: 'event', durationThreshold: 16 } as PerformanceObserverInit);
  new PerformanceObserver((list) => { for (const entry of list.getEntries()) longest = Math.max(longest, entry.duration); }).observe({ type: 'longtask' });
  Object.assign(window, { work: {
    begin(): void { mutations.takeRecords(); cells = new Set(); [rows, interaction, longest] = [0, 0, 0]; },
    end(): Work { note(mutations.takeRecords()); return { cells: cells.size, rows, interaction: Math.round(interaction), longest: Math.round(longest) }; },
  } });
}

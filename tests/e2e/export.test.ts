// What the Export screen writes of a real run, of each kind: files that are there, verdicts and pictures that are seen.
import { existsSync, statSync } from 'node:fs';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { openStudio, program, type OpenStudio } from './pages.ts';

const small = {
  train: { steps: 4, batch: 1, saveEvery: 0, probeEvery: 0, checkpointing: false, seed: 3 }, preview: { every: 0, prompts: ['a (red) fox'], steps: 3 },
  adapter: { kind: 'dora', targets: 'attention', rank: 2, alpha: 2 }, optimizer: { kind: 'adamw', learningRate: 5e-3 }, schedule: { kind: 'constant' }, output: { for: 'comfyui', dtype: 'f16' },
};

describe.skipIf(program === undefined)('exporting', () => {
  let studio: OpenStudio;
  beforeAll(async () => { studio = await openStudio(); });
  afterAll(async () => studio?.close());

  test('an adapter, a plain LoRA of a chosen rank, the merged model and whole differences', async () => {
    const { page, home: { studio: { handlers, context } }, complaints } = studio;
    page.setDefaultTimeout(60_000);
    const main = page.getByRole('main');
    await page.getByText('Try the demo').click();
    await main.getByRole('button', { name: 'Train', exact: true }).waitFor();
    const [{ id: projectId } = { id: '' }] = (await handlers['projects.list']({})).projects;
    const { draft } = await handlers['projects.open']({ id: projectId });
    const { id: runId } = await handlers['runs.start']({ projectId, draft: { ...draft, ...small, train: { ...draft['train'] as object, ...small.train }, preview: { ...draft['preview'] as object, ...small.preview } }, name: 'ink' });
    await expect.poll(async () => (await handlers['projects.open']({ id: projectId })).runs.find(({ id }) => id === runId)?.state, { timeout: 90_000 }).toBe('finished');
    await page.reload();
    await page.getByRole('navigation').getByText('Export', { exact: true }).click();

    const kinds = main.getByRole('group', { name: 'What to write' });
    const shot = async (name: string): Promise<void> => { if (process.env['ADORA_SHOTS']) await page.screenshot({ path: `${process.env['ADORA_SHOTS']}/${name}.png`, fullPage: true }); };
    const write = async (kind: RegExp, more: () => Promise<void> = async () => {}) => {
      const before = (await handlers['export.list']({ runId })).exports.length;
      await kinds.getByRole('radio', { name: kind }).check();
      await more();
      await shot(`chosen ${kind.source}`);
      await main.getByRole('button', { name: 'Export', exact: true }).click();
      await expect.poll(async () => (await handlers['export.list']({ runId })).exports.length, { timeout: 90_000 }).toBeGreaterThan(before);
      const [entry] = (await handlers['export.list']({ runId })).exports;
      const panel = main.getByRole('region', { name: 'Export of step 4' }).first();
      await panel.getByRole('button', { name: `Show in folder: ${entry!.files[0]!.name}` }).waitFor();
      expect(await panel.getByRole('cell', { name: 'holds', exact: true }).count()).toBe(2);
      expect(await panel.getByRole('cell', { name: 'fails', exact: true }).count()).toBe(0);
      // Both pictures are there and are pictures.
      for (const url of [entry!.pictures!.trained, entry!.pictures!.exported]) {
        expect(existsSync(context.ids.imagePath(url.split('/').pop()!)!)).toBe(true);
        expect(await page.evaluate(async (source) => { const image = new Image(); image.src = source; await image.decode(); return image.naturalWidth; }, url)).toBeGreaterThan(0);
      }
      await panel.getByRole('button', { name: 'Workflow for ComfyUI' }).waitFor();
      await shot(`done ${kind.source}`);
      return { entry: entry!, path: entry!.files[0]!.path };
    };

    // The one that training ended with has the same name, so that one is listed of the two.
    const rank = main.getByLabel('Rank', { exact: true });
    const plain = await write(/plain LoRA/, async () => {
      expect(await rank.inputValue()).toBe('8');
      await rank.fill('3');
    });
    expect(plain.entry.warnings.map(({ text }) => text).join()).toMatch(/rank 3.*leaves out/);
    const file = openSafetensors(plain.path);
    expect(Math.max(...[...file.tensors].filter(([name]) => name.endsWith('lora_down.weight')).map(([, { shape }]) => shape[0]!))).toBe(3);

    const merged = await write(/merged/);
    expect([merged.entry.kind, statSync(merged.path).isDirectory()]).toEqual(['merged', true]);
    expect(merged.entry.pictures!.worstDifference).toBeLessThan(0.02);

    const whole = await write(/differences/, async () => { expect(await main.locator('label', { hasText: /^For/ }).locator('option').allInnerTexts()).not.toContain('diffusers'); });
    expect([...openSafetensors(whole.path).tensors.keys()].every((name) => name.endsWith('.diff'))).toBe(true);
    expect(whole.entry.pictures!.worstDifference).toBeLessThan(0.05);

    await kinds.getByRole('radio', { name: /An adapter file/ }).check();
    await main.locator('label', { hasText: /^For/ }).locator('select').selectOption('diffusers');
    await main.getByText('Not exact.').waitFor();
    expect(await main.getByRole('button', { name: 'Export', exact: true }).isDisabled()).toBe(true);
    await shot('not exact');
    expect(complaints).toEqual([]);
  }, 300_000);
});

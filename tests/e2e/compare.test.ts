// Two short runs of the starter model, looked at and taken away: update norms while it trains, pictures that wait for the device,
// runs side by side, a grid, the chosen checkpoint, its export, and that file tried in the library. All real, in Chromium.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Run } from '../../src-main/contract/api.ts';
import { openStudio, program, type OpenStudio } from './pages.ts';

const small = {
  train: { steps: 10, batch: 1, saveEvery: 5, probeEvery: 0, checkpointing: false, seed: 3 },
  preview: { every: 0, prompts: ['a fox in a forest at night'], steps: 3 },
};
/** Strong enough that ten steps are seen. */
const adapter = (kind: string): object => ({ kind, targets: 'attention', rank: 2, alpha: 2 });

describe.skipIf(program === undefined)('comparing', () => {
  let studio: OpenStudio;
  beforeAll(async () => { studio = await openStudio(); });
  afterAll(async () => studio?.close());

  test('two runs, from the chart of their updates to a tried export', async () => {
    const { page, home: { studio: { handlers, context } }, complaints } = studio;
    page.setDefaultTimeout(30_000);
    const go = (name: string): Promise<void> => page.getByRole('navigation').getByText(name, { exact: true }).click();
    const main = page.getByRole('main');
    const choice = (label: string) => main.locator('label', { hasText: label }).locator('select').first();
    await page.getByText('Try the demo').click();
    await main.getByRole('button', { name: 'Train', exact: true }).waitFor();
    const [{ id: projectId } = { id: '' }] = (await handlers['projects.list']({})).projects;
    const { draft } = await handlers['projects.open']({ id: projectId });
    const own = (key: string): object => draft[key] as object;
    const settings = { ...draft, train: { ...own('train'), ...small.train }, preview: { ...own('preview'), ...small.preview }, optimizer: { kind: 'adamw', learningRate: 5e-3 }, schedule: { kind: 'constant' } };
    const runNow = async (id: string): Promise<Run> => (await handlers['projects.open']({ id: projectId })).runs.find((run) => run.id === id)!;
    const finished = (id: string): Promise<void> => expect.poll(async () => (await runNow(id)).state, { timeout: 60_000 }).toBe('finished');

    const plain = await handlers['runs.start']({ projectId, draft: { ...settings, adapter: adapter('lora') }, name: 'plain' });
    await finished(plain.id);
    // The second one by the button, so that the page shows what it tells.
    await handlers['projects.update']({ id: projectId, draft: { ...settings, adapter: adapter('dora') } });
    await page.reload();
    await page.getByRole('tab', { name: 'Set up' }).click();
    await main.getByRole('button', { name: 'Train', exact: true }).click();
    await expect.poll(async () => (await handlers['runs.queue']({})).active?.id ?? plain.id).not.toBe(plain.id);
    const { id: decomposed, name } = (await handlers['runs.queue']({})).active!;

    // While it trains, pictures of the other run wait and say so.
    await go('Compare');
    await choice('Run').selectOption({ label: 'plain' });
    await page.getByText('A training has the device').waitFor();
    await page.getByRole('progressbar', { name: 'Waits until the training pauses or ends' }).first().waitFor();
    const painted = (alt: string | RegExp) => main.getByRole('img', { name: alt }).and(page.locator('img'));
    expect(await painted('Step 10 at strength 1').count()).toBe(0);
    await finished(decomposed);
    await page.getByText('A training has the device').waitFor({ state: 'hidden' });
    await painted('Step 10 at strength 1').waitFor();

    // Updates are measured at every fifth step and the last.
    await choice('Run').selectOption({ label: name });
    await go('Train');
    const norms = main.getByRole('table', { name: 'Norms' });
    const cells = (await norms.locator('tr').allInnerTexts()).map((row) => row.split('\t'));
    const at = cells[0]!.findIndex((text) => /update/i.test(text));
    expect(cells.slice(1).filter((row) => Number(row[at]) > 0).map(([step]) => step)).toEqual(['5', '10']);

    const bytesOf = async (alt: string): Promise<string> => readFileSync(context.ids.imagePath((await painted(alt).getAttribute('src'))!.split('/').pop()!)!).toString('base64');
    await go('Compare');
    await page.getByRole('tab', { name: 'Runs' }).click();
    await main.getByRole('button', { name: 'Paint them' }).click();
    await Promise.all(['plain', name].map((run) => painted(`${run}, Step 10`).waitFor()));
    expect(await bytesOf('plain, Step 10')).not.toBe(await bytesOf(`${name}, Step 10`));
    expect(await page.getByRole('region', { name: 'Settings in which they differ' }).first().innerText()).toMatch(/dora\s+lora|lora\s+dora/);

    await page.getByRole('tab', { name: 'Grid' }).click();
    await page.getByLabel('Values: Checkpoint').fill('5, 10');
    await page.getByLabel('Values: Strength').fill('0.5, 1');
    await main.getByRole('button', { name: 'Paint 4 pictures' }).click();
    const grid = ['Step 5', 'Step 10'].flatMap((step) => [0.5, 1].map((strength) => `${step}, Strength ${strength}`));
    for (const alt of grid) await painted(alt).waitFor();
    expect(new Set(await Promise.all(grid.map(bytesOf))).size).toBe(4);

    await page.getByRole('tab', { name: 'Step and strength' }).click();
    await main.getByRole('button', { name: 'Use for export: step 5' }).click();
    await main.getByRole('button', { name: 'Chosen: step 5' }).waitFor();
    await go('Export');
    await expect.poll(() => choice('Step').inputValue()).toBe('5');
    await main.getByRole('button', { name: 'Export', exact: true }).click();
    await main.getByRole('region', { name: 'Export of step 5' }).getByRole('button', { name: 'Workflow for ComfyUI' }).waitFor();
    // The one that was asked for comes before the one that the training ended with.
    const { exports: [file, atEnd] } = await handlers['export.list']({ runId: decomposed });
    expect(file).toMatchObject({ ok: true, step: 5, kind: 'dora', hasWorkflow: true });
    expect(atEnd).toMatchObject({ ok: true, step: 10, kind: 'dora' });

    await go('Library');
    await page.getByRole('tab', { name: 'Adapters' }).click();
    await page.getByRole('button', { name: `Try it: ${basename(file!.files[0]!.name, '.safetensors')}`, exact: true }).click();
    const trial = page.getByRole('dialog');
    await trial.getByLabel('Steps of the sampler').fill('3');
    await trial.getByRole('button', { name: 'Paint' }).click();
    await trial.getByRole('slider', { name: /Wipe between/ }).waitFor();
    const sides = await trial.locator('.wipe img').evaluateAll((images) => images.map((image) => (image as HTMLImageElement).src.split('/').pop()!));
    const [without, withIt] = [...new Set(sides)].map((id) => readFileSync(context.ids.imagePath(id)!));
    expect(withIt!.equals(without!)).toBe(false);
    expect(complaints).toEqual([]);
  });
});

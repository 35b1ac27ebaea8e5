// Recipes, settings of other trainers, and the answers to the three questions: each becomes a draft that is a valid job.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { noTrainer, openHome, type Home } from './studio-home.ts';

let home: Home;
let folder: string;
let projectId: string;

beforeEach(async () => {
  home = openHome(noTrainer);
  folder = mkdtempSync(join(tmpdir(), 'adora-files-'));
  const { handlers, context } = home.studio;
  ({ id: projectId } = await handlers['projects.create']({ name: 'Tiny', demo: false }));
  const { id: modelId } = await handlers['models.add']({ fileId: context.ids.of(resolve('assets/starter')) });
  await handlers['projects.update']({ id: projectId, modelId, addFolders: [context.ids.of(resolve('assets/demo/neon'))] });
});
afterEach(async () => {
  await home.close();
  rmSync(folder, { recursive: true, force: true });
});

const put = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return home.studio.context.ids.of(join(folder, name));
};
const issues = async (draft: Record<string, unknown>) => (await home.studio.handlers['job.validate']({ projectId, draft })).issues;

describe('recipes', () => {
  test('those that come with Adora open as drafts without places and are valid on this project', async () => {
    const { recipes } = await home.studio.handlers['recipes.list']({});
    expect(recipes.map(({ name }) => name)).toEqual(expect.arrayContaining(['demo', 'sd15', 'pony']));
    for (const { id, isOwn } of recipes) {
      const { draft } = await home.studio.handlers['recipes.open']({ id });
      expect(isOwn).toBe(false);
      expect(JSON.stringify(draft)).not.toMatch(/safetensors|\.\.\//);
      expect(await issues(draft)).toEqual([]);
    }
  });

  test('the present settings are saved, listed with their words, opened, and removed; a taken name gets a number', async () => {
    const { handlers } = home.studio;
    const draft = { adapter: { kind: 'dora', rank: 12 }, base: { model: '/secret.safetensors' }, data: { folders: [{ path: '/secret' }], caption: { dropout: 0.2 } } };
    const first = await handlers['recipes.save']({ projectId, name: 'My ink', text: 'Soft lines\nfor portraits', draft });
    const second = await handlers['recipes.save']({ projectId, name: 'My ink', text: '', draft: {} });
    expect([first.name, second.name]).toEqual(['My-ink', 'My-ink-2']);
    const own = (await handlers['recipes.list']({})).recipes.filter(({ isOwn }) => isOwn);
    expect(own.map(({ name, text }) => [name, text])).toEqual([['My-ink-2', ''], ['My-ink', 'Soft lines for portraits']]);
    expect((await handlers['recipes.open']({ id: first.id })).draft).toEqual({ adapter: { kind: 'dora', rank: 12 }, base: {}, data: { caption: { dropout: 0.2 } } });
    await handlers['recipes.remove']({ id: second.id });
    expect((await handlers['recipes.list']({})).recipes.filter(({ isOwn }) => isOwn)).toHaveLength(1);
    const [shipped] = (await handlers['recipes.list']({})).recipes;
    await expect(handlers['recipes.remove']({ id: shipped!.id })).rejects.toMatchObject({ code: 'recipe.not-own' });
  });
});

describe('files', () => {
  test('a job opens as it is', async () => {
    const fileId = put('job.toml', 'version = 1\nname = "x"\n[base]\nmodel = "a.safetensors"\n[data]\nfolders = [{ path = "p" }]\n[train]\nsteps = 77\n');
    expect(await home.studio.handlers['recipes.openFile']({ fileId })).toEqual({ draft: { version: 1, base: {}, data: {}, train: { steps: 77 } }, notes: [], from: null, left: [] });
  });

  test('settings of kohya and OneTrainer are translated, and what has no counterpart is listed', async () => {
    const { handlers } = home.studio;
    const kohya = await handlers['recipes.openFile']({ fileId: put('k.toml', 'pretrained_model_name_or_path = "a.safetensors"\ntrain_data_dir = "p"\nnetwork_module = "networks.lora"\nnetwork_dim = 24\nnetwork_alpha = 12\nlearning_rate = 0.0003\nmax_train_steps = 900\nfrobnicate = 3\n') });
    expect(kohya.from).toMatch(/kohya/);
    expect(kohya.draft).toMatchObject({ adapter: { kind: 'lora', rank: 24, alpha: 12 }, train: { steps: 900 } });
    expect(kohya.left.join()).toContain('frobnicate');
    expect(await issues(kohya.draft)).toEqual([]);
    const one = await handlers['recipes.openFile']({ fileId: put('o.json', JSON.stringify({ base_model_name: 'a', training_method: 'LORA', peft_type: 'LORA', lora_rank: 8, lora_alpha: 4, lora_decompose: true, learning_rate: 1e-4, strange_thing: 3 })) });
    expect(one).toMatchObject({ from: 'OneTrainer', draft: { adapter: { kind: 'dora', rank: 8 } } });
    expect(one.left.join()).toContain('strange_thing');
    expect(one.notes.join()).not.toMatch(/base\.model|data\.folders/);
  });

  test('YAML of ai-toolkit opens too', async () => {
    const text = 'job: extension\nconfig:\n  name: x\n  process:\n    - type: sd_trainer\n      network: { type: lora, linear: 16, linear_alpha: 16 }\n      train: { steps: 700, lr: 1e-4, batch_size: 1 }\n      model: { name_or_path: a }\n      datasets: [{ folder_path: p }]\n';
    expect(await home.studio.handlers['recipes.openFile']({ fileId: put('a.yaml', text) })).toMatchObject({ from: 'ai-toolkit', draft: { adapter: { rank: 16 }, train: { steps: 700 } } });
  });

  test('the recipe of a run opens as its settings', async () => {
    const job = { version: 1, name: 'x', base: { model: '/gone.safetensors' }, data: { folders: [{ path: '/gone' }] }, train: { steps: 321 } };
    const fileId = put('x.recipe.json', JSON.stringify({ recipe: 1, versions: {}, job, base: null, data: null, results: null }));
    const { draft, from } = await home.studio.handlers['recipes.openFile']({ fileId });
    expect(from).toBe(null);
    expect(draft).toMatchObject({ train: { steps: 321 } });
    expect(JSON.stringify(draft)).not.toContain('gone');
  });

  test('a file that is none of them says so', async () => {
    const { handlers } = home.studio;
    await expect(handlers['recipes.openFile']({ fileId: put('a.json', '{"colour": "blue"}') })).rejects.toMatchObject({ code: 'recipe.unknown' });
    await expect(handlers['recipes.openFile']({ fileId: put('b.toml', 'no toml at all') })).rejects.toMatchObject({ code: 'recipe.unreadable' });
  });
});

describe('three questions and three sliders', () => {
  const ask = (more: object = {}) => home.studio.handlers['recipes.recommend']({ projectId, draft: {}, consumer: 'comfyui', goal: 'style', intensity: 0.5, ...more });
  const value = async (path: string, more: object): Promise<unknown> => (await ask(more)).reasons.find((reason) => reason.path === path)?.value;

  test('every answer is a valid job, with a reason for each setting', async () => {
    for (const goal of ['style', 'fidelity', 'speed']) for (const intensity of [0, 0.5, 1]) for (const fidelity of [0, 0.5, 1]) for (const economy of [0, 0.5, 1]) {
      const { draft, reasons } = await ask({ goal, intensity, fidelity, economy });
      expect(await issues(draft)).toEqual([]);
      expect(reasons.every(({ text }) => text !== '')).toBe(true);
      expect(new Set(reasons.map(({ path }) => path)).size).toBe(reasons.length);
    }
  });

  test('each slider moves the settings that it is for', async () => {
    for (const path of ['adapter.rank', 'adapter.alpha', 'optimizer.learningRate', 'train.steps']) {
      expect(await value(path, { intensity: 1 })).toBeGreaterThan(await value(path, { intensity: 0 }) as number);
    }
    expect(await Promise.all([0, 0.5, 1].map((fidelity) => value('adapter.targets', { fidelity })))).toEqual(['attention', 'linear', 'linear+conv']);
    expect(await Promise.all([0, 1].map((fidelity) => value('objective.weighting', { fidelity })))).toEqual(['min-snr', 'none']);
    expect(await value('data.caption.dropout', { fidelity: 1 })).toBeGreaterThan(await value('data.caption.dropout', { fidelity: 0 }) as number);
    expect(await Promise.all([0, 1].map((economy) => value('train.checkpointing', { economy })))).toEqual([false, true]);
    expect(await value('train.batch', { economy: 0 })).toBeGreaterThan(await value('train.batch', { economy: 1 }) as number);
  });

  test('what nobody asked about stays, and the draft that was given is the one that changes', async () => {
    const { draft } = await ask({ draft: { train: { seed: 9, steps: 3 }, preview: { prompts: ['a fox'] } } });
    expect(draft).toMatchObject({ train: { seed: 9 }, preview: { prompts: ['a fox'] } });
    expect((draft['train'] as { steps: number }).steps).toBeGreaterThan(3);
  });

  test('a slider changes what it is for and nothing that was set by hand', async () => {
    const draft = { train: { steps: 3333, batch: 7 }, optimizer: { learningRate: 0.5 }, adapter: { targets: 'attention', rank: 3 } };
    expect((await ask({ draft, only: 'fidelity', fidelity: 1 })).draft).toMatchObject({ train: { steps: 3333, batch: 7 }, optimizer: { learningRate: 0.5 }, adapter: { targets: 'linear+conv', rank: 3 } });
    expect((await ask({ draft, only: 'economy', economy: 1 })).draft).toMatchObject({ train: { steps: 3333, batch: 1, checkpointing: true }, adapter: { targets: 'attention' } });
    expect((await ask({ draft, only: 'consumer', consumer: 'diffusers' })).reasons.map(({ path }) => path)).toEqual(['adapter.axis', 'output.for']);
    expect((await ask({ draft, only: 'intensity' })).draft).toMatchObject({ train: { batch: 7 }, adapter: { targets: 'attention', rank: 16 } });
  });

  test('positions follow the goal until they are moved', async () => {
    expect((await ask({ goal: 'speed' })).fidelity).toBeLessThan((await ask({ goal: 'fidelity' })).fidelity);
    expect((await ask({ goal: 'speed', fidelity: 0.7 })).fidelity).toBe(0.7);
  });
});

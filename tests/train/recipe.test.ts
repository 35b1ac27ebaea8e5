// A run as a recipe: opens as the same job wherever base and pictures lie, makes the same adapter, and tells what differs.
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { readRecipeFile, selectionOfRecipe } from '../../src-main/app/recipe-file.ts';
import { catalogFields } from '../../src-main/catalog/index.ts';
import { parseRecipe, type Recipe } from '../../src-main/contract/recipe.ts';
import { selectionText } from '../../src-main/dataset/selection.ts';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { checkRecipe } from '../../src-main/train/recipe-check.ts';
import { recipeCommand } from '../../src-main/train/recipe-command.ts';
import { writeText } from '../dataset/pictures.ts';
import { filesOf, jobAt, train, usePlace, writePictures, type Ran } from './run.ts';

const place = usePlace();
const fields = catalogFields();
const readRecipe = (file: string): Recipe => {
  const found = parseRecipe(JSON.parse(readFileSync(file, 'utf8')));
  if (!found.ok) throw new Error(found.issue);
  return found.recipe;
};
const open = async (file: string, places: Parameters<typeof readRecipeFile>[2] = {}) => (await readRecipeFile(file, fields, places))!;

let ran: Ran;
let file: string;
/** Model and pictures of another computer, with the recipe in another folder. */
let away: string;

beforeAll(async () => {
  const selection = join(place.folder, 'choices.json');
  writeFileSync(selection, selectionText(new Map([[join(place.pictures, '5.png'), { included: false }], [join(place.pictures, '0.png'), { repeats: 2 }]])));
  const job = jobAt(place, { name: 'my style', data: { folders: [{ path: place.pictures }], selection, holdout: 0.2, caption: { prefix: 'in stripes' } } });
  ran = await train(place, job);
  await recipeCommand({ source: ran.folder });
  file = join(ran.folder, 'exports', 'my-style.recipe.json');
  away = join(place.folder, 'away');
  cpSync(place.model, join(away, 'models', 'model'), { recursive: true });
  cpSync(place.pictures, join(away, 'mine'), { recursive: true });
  mkdirSync(join(away, 'recipes'));
});

describe('a recipe', () => {
  test('holds the whole job and hashes, and no folder of its author', () => {
    const recipe = readRecipe(file);
    expect(recipe.job).toMatchObject({ version: 1, name: 'my style', train: { steps: 6, seed: 3 }, base: { model: '../../model' }, data: { folders: [{ path: '../../pictures' }] } });
    expect(recipe.versions).toMatchObject({ adora: expect.any(String), onnxruntime: expect.any(String), job: '1' });
    expect(Object.keys(recipe.base!.parts)).toEqual(expect.arrayContaining(['unet', 'vae', 'text_encoder', 'settings']));
    expect(recipe.data!.folders.map(({ name, pictures }) => [name, pictures.map((each) => each.file)])).toEqual([['pictures', ['0.png', '1.png', '2.png', '3.png', '4.png']]]);
    expect(recipe.data!.choices).toHaveLength(2);
    expect(recipe.results).toMatchObject({ steps: 6, device: 'cpu', files: [{ file: 'my-style-kohya.safetensors', sha256: filesOf(ran.folder, ['exports'])['exports/my-style-kohya.safetensors'] }] });
    expect(recipe.results!.verdicts.some(({ name, ok }) => name === 'export' && ok)).toBe(true);
    expect(readFileSync(file, 'utf8')).not.toContain(place.folder);
  });

  test('trains to the same bytes, with base and pictures elsewhere', async () => {
    const moved = join(away, 'recipes', 'x.recipe.json');
    cpSync(file, moved);
    const { recipe, job } = await open(moved, { base: join(away, 'models', 'model'), data: [join(away, 'mine')] });
    const selection = join(away, 'selection.json');
    writeFileSync(selection, (await selectionOfRecipe(recipe, job))!);
    const whole = { ...job, data: { ...job.data, selection } };
    expect(await checkRecipe(recipe, whole)).toEqual([]);
    const again = await train(place, whole);
    expect(filesOf(again.folder, ['exports'])['exports/my-style-kohya.safetensors']).toBe(filesOf(ran.folder, ['exports'])['exports/my-style-kohya.safetensors']);
    // Not because nothing was learnt: another seed gives another file.
    const other = await train(place, { ...whole, train: { ...whole.train, seed: 9 } });
    expect(filesOf(other.folder, ['exports'])['exports/my-style-kohya.safetensors']).not.toBe(filesOf(ran.folder, ['exports'])['exports/my-style-kohya.safetensors']);
  });

  test('opens where the run lies, and beside its base', async () => {
    expect((await open(file)).job.base.model).toBe(place.model);
    const beside = join(place.folder, 'beside');
    mkdirSync(beside);
    cpSync(file, join(beside, 'x.recipe.json'));
    cpSync(place.model, join(beside, 'model'), { recursive: true });
    cpSync(place.pictures, join(beside, 'pictures'), { recursive: true });
    const { job } = await open(join(beside, 'x.recipe.json'));
    expect([job.base.model, job.data.folders[0]!.path]).toEqual([join(beside, 'model'), join(beside, 'pictures')]);
  });

  test('says what it misses', async () => {
    const alone = join(place.folder, 'alone', 'deep', 'er', 'x.recipe.json');
    mkdirSync(join(alone, '..'), { recursive: true });
    cpSync(file, alone);
    await expect(open(alone)).rejects.toThrow(/"model", a model of the kind .*--base/);
    await expect(open(alone, { base: place.model })).rejects.toThrow(/folder "pictures" of 5 pictures.*--data/);
    await expect(open(alone, { base: place.model, data: ['a', 'b'] })).rejects.toThrow(/1 data folders, and 2 are given/);
    writeFileSync(alone, JSON.stringify({ ...readRecipe(file), recipe: 99 }));
    await expect(open(alone)).rejects.toThrow(/newer Adora/);
    writeFileSync(alone, JSON.stringify({ ...readRecipe(file), data: { folders: 3 } }));
    await expect(open(alone)).rejects.toThrow(/data\./);
    writeFileSync(alone, '{"version": 1}');
    expect(await readRecipeFile(alone, fields)).toBeNull();
  });
});

describe('other pictures', () => {
  test('are listed: missing, new, replaced, renamed, other captions', async () => {
    const plain = await train(place, jobAt(place));
    const { data } = await recipeCommand({ source: plain.folder, out: join(place.folder, 'plain.recipe.json') });
    const recipe = readRecipe((data as { out: string }).out);
    const { job } = await open((data as { out: string }).out);
    expect(await checkRecipe(recipe, job)).toEqual([]);
    const folder = join(place.folder, 'changed');
    cpSync(place.pictures, folder, { recursive: true });
    rmSync(join(folder, '0.png'));
    writeText(join(folder, '1.txt'), 'other words');
    renameSync(join(folder, '2.png'), join(folder, 'two.png'));
    renameSync(join(folder, '2.txt'), join(folder, 'two.txt'));
    const other = await writePictures(join(place.folder, 'spare'), 2, 77);
    cpSync(join(other, '0.png'), join(folder, '3.png'));
    cpSync(join(other, '1.png'), join(folder, 'new.png'));
    const [warning, ...rest] = await checkRecipe(recipe, { ...job, data: { ...job.data, folders: [{ ...job.data.folders[0]!, path: folder }] } });
    expect(rest).toEqual([]);
    expect(warning!.code).toBe('recipe.other-data');
    expect(warning!.data!['differences']).toEqual([
      '1 picture missing (0.png) in "changed"', '1 picture with other content (3.png) in "changed"', '1 picture not in the recipe (new.png) in "changed"',
      '1 picture with another caption (1.png) in "changed"', '1 picture under another name (two.png) in "changed"',
    ]);
  });

  test('another base is told part by part, other versions too', async () => {
    const recipe = readRecipe(file);
    const { job } = await open(file);
    const changed = { ...recipe, versions: { ...recipe.versions, onnxruntime: '0.1' }, base: { ...recipe.base!, kind: 'Other', parts: { ...recipe.base!.parts, unet: 'x' } } };
    const warnings = await checkRecipe(changed, { ...job, data: { ...job.data, selection: join(place.folder, 'choices.json') } });
    expect(warnings.map(({ code }) => code)).toEqual(['recipe.other-base', 'recipe.other-versions']);
    expect(warnings[0]!.text).toMatch(/\(other: unet\).*made for Other/);
    expect(warnings[1]!.text).toMatch(/onnxruntime 0\.1 \(here/);
  });
});

describe('an adapter file', () => {
  test('carries the recipe without names, and gives it out', async () => {
    const adapter = join(ran.folder, 'exports', 'my-style-kohya.safetensors');
    const { data } = await recipeCommand({ source: adapter, out: join(place.folder, 'from-file.recipe.json') });
    const out = readRecipe((data as { out: string }).out);
    const whole = readRecipe(file);
    expect(out.data).toEqual({ ...whole.data, folders: [{ name: 'folder-1', pictures: whole.data!.folders[0]!.pictures.map(({ sha256, caption, repeats }) => ({ sha256, caption, repeats })).sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1)) }] });
    expect(out.base!.parts).toEqual(whole.base!.parts);
    const { job } = await open((data as { out: string }).out, { base: place.model, data: [place.pictures] });
    expect(await checkRecipe(out, { ...job, data: { ...job.data, selection: join(place.folder, 'choices.json') } })).toEqual([]);
    // Metadata name neither folders nor files of the author.
    for (const [key, value] of openSafetensors(adapter).metadata) expect(value, key).not.toContain(place.folder);
    for (const text of ['choices.json', '0.png']) expect(openSafetensors(adapter).metadata.get('adora.job')! + openSafetensors(adapter).metadata.get('adora.recipe')!).not.toContain(text);
  });

  test('stands in for pictures that are gone or others', async () => {
    const copy = join(place.folder, 'gone-pictures');
    cpSync(place.pictures, copy, { recursive: true });
    const { folder } = await train(place, jobAt(place, { data: { folders: [{ path: copy }] } }));
    const whole = readRecipe(((await recipeCommand({ source: folder })).data as { out: string }).out);
    writeText(join(copy, '0.txt'), 'changed since');
    const { text, data } = await recipeCommand({ source: folder });
    expect(text).toMatch(/not those that the run was trained on any more: their hashes are those that the exported adapter noted/);
    expect(readRecipe((data as { out: string }).out).data!.fingerprint).toBe(whole.data!.fingerprint);
    rmSync(copy, { recursive: true });
    expect((await recipeCommand({ source: folder })).text).toMatch(/cannot be read any more: their hashes/);
  });

  test('of another trainer has none', async () => {
    await expect(recipeCommand({ source: join(place.model, 'unet', 'diffusion_pytorch_model.safetensors') })).rejects.toThrow(/holds no recipe/);
  });
});

// Pictures of a project: what is found, what can be changed, and that nothing on disk is lost.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import sharp from 'sharp';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { editTags } from '../../src-main/app/data/edit-tags.ts';
import { prepareDataset } from '../../src-main/dataset/index.ts';
import { findDuplicates } from '../../src-main/dataset/duplicates.ts';
import { readSelection, selectionText, type Choice } from '../../src-main/dataset/selection.ts';
import type { Input } from '../../src-main/contract/api.ts';
import { dataSettings } from '../../src-main/app/projects/draft-job.ts';
import { noise, openData, raw, writePictures, type DataHome } from './data-home.ts';
import { noTrainer, openHome, type Home } from './studio-home.ts';

let data: DataHome;
let home: Home;
let pictures: string;
let projectId: string;
const list: DataHome['list'] = (more) => data.list(more);
const named: DataHome['named'] = (name) => data.named(name);
const ids: DataHome['ids'] = (...names) => data.ids(...names);

beforeAll(async () => { pictures = await writePictures(); });
afterAll(() => rmSync(pictures, { recursive: true }));
beforeEach(async () => {
  await home?.close();
  data = await openData(pictures);
  ({ home, projectId } = data);
});
afterAll(async () => home.close());

describe('a scan', () => {
  test('finds pictures and says what is wrong with them', async () => {
    const { items, total, scanned } = await list();
    expect([total, scanned]).toEqual([13, true]);
    const flags = Object.fromEntries(items.map((item) => [item.name, item.flags.filter((flag) => flag !== 'no-caption')]));
    expect(flags['000000.png']).toContain('duplicate-exact');
    expect(flags['copy.png']).toContain('duplicate-exact');
    expect(flags['blob.png']).toContain('duplicate-near');
    expect(flags['blob-small.png']).toContain('duplicate-near');
    expect(flags['000001.png']).toEqual([]);
    expect(flags['blurred.png']).toContain('blurred');
    expect(flags['small.png']).toContain('too-small');
    expect(flags['white.png']).toContain('over-exposed');
    expect(flags['bars.png']).toContain('border');
    expect(flags['alpha.png']).toContain('alpha');
    expect(flags['broken.png']).toEqual(['unreadable']);
    const groups = new Map(items.map((item) => [item.name, item.group]));
    expect(groups.get('copy.png')).toBe(groups.get('000000.png'));
    expect(groups.get('blob.png')).not.toBe(groups.get('copy.png'));
  });

  test('makes thumbnails that are kept', async () => {
    const { thumbUrl } = await named('wide.png');
    const path = home.studio.context.ids.imagePath(thumbUrl!.slice('/img/'.length))!;
    const { width, height } = await sharp(path).metadata();
    expect([width, height]).toEqual([320, 80]);
    const { taskId } = await home.studio.handlers['data.scan']({ projectId });
    // Only the broken one is known to be broken; nothing is measured again.
    expect((await home.finished(taskId)).total).toBe(0);
  });

  test('can be stopped', async () => {
    rmSync(join(home.folder, 'cache'), { recursive: true });
    const { taskId } = await home.studio.handlers['data.scan']({ projectId });
    home.studio.handlers['tasks.cancel']({ taskId });
    expect((await home.finished(taskId)).state).toBe('cancelled');
  });

  test('shows the crop that training makes, moved by the focus', async () => {
    const name = 'wide.png';
    const settings = dataSettings({});
    const data = { ...settings, folders: [{ path: pictures, regularization: false }], selection: join(home.folder, 'selection.json') };
    const cropInTraining = async () => {
      const rejected = new Map([[join(pictures, 'broken.png'), { included: false }]]);
      const chosen = new Map((await list()).items.flatMap(({ name: file, focus }) => (focus.x === 0.5 ? [] : [[join(pictures, file), { focus }] as const])));
      writeFileSync(data.selection, selectionText(new Map<string, Choice>([...rejected, ...chosen])));
      const { items } = await prepareDataset(data, { modelSize: { width: 64, height: 64 }, pixelStep: 16, seed: 0 });
      const [variant] = items.find(({ path }) => path === join(pictures, name))!.variants;
      return { x: (variant!.left * 400) / variant!.resized.width, target: variant!.target };
    };
    const middle = await named(name);
    expect((await cropInTraining()).x).toBeCloseTo(middle.crop!.x);
    expect((await cropInTraining()).target).toEqual(middle.bucket);
    await home.studio.handlers['data.setFocus']({ projectId, target: await ids(name), focus: { x: 0.05, y: 0.5 } });
    const left = await named(name);
    expect(left.crop!.x).toBe(0);
    expect(middle.crop!.x).toBeGreaterThan(0);
    expect((await cropInTraining()).x).toBe(0);
  });
});

describe('edits', () => {
  test('of captions are files beside the pictures, and undo gives back what was there', async () => {
    const { handlers } = home.studio;
    const file = join(pictures, '000001.txt');
    const before = readFileSync(file, 'utf8');
    const fresh = join(pictures, 'small.txt');
    const target = await ids('000001.png', 'small.png');
    expect(await handlers['data.setCaption']({ projectId, target, caption: 'one,\n two' })).toMatchObject({ changed: 2, undo: { code: 'edit.caption' } });
    expect([readFileSync(file, 'utf8'), readFileSync(fresh, 'utf8')]).toEqual(['one, two\n', 'one, two\n']);
    expect((await named('small.png')).tags).toEqual(['one', 'two']);
    expect(await handlers['data.undo']({ projectId })).toMatchObject({ changed: 2, undo: { code: 'edit.add-folders' }, redo: { code: 'edit.caption' } });
    expect(readFileSync(file, 'utf8').trim()).toBe(before.trim());
    expect(existsSync(fresh)).toBe(false);
    await handlers['data.redo']({ projectId });
    expect(readFileSync(fresh, 'utf8')).toBe('one, two\n');
    await handlers['data.undo']({ projectId });
  });

  test('leaving out deletes nothing and outlives a restart', async () => {
    const { handlers } = home.studio;
    const files = readdirSync(pictures).sort();
    await handlers['data.include']({ projectId, target: { filter: { flags: ['duplicate-exact'] } }, included: false });
    await handlers['data.setRepeats']({ projectId, target: await ids('wide.png'), repeats: 5 });
    expect((await list({ filter: { included: false } })).items.map(({ name }) => name)).toEqual(['000000.png', 'broken.png', 'copy.png']);
    expect(readdirSync(pictures).sort()).toEqual(files);
    const again = openHome(noTrainer, home.folder);
    const items = await again.studio.handlers['data.items']({ projectId, offset: 0, limit: 500, filter: {}, sort: 'name', descending: false });
    expect(items.items.filter(({ included }) => !included).map(({ name }) => name)).toEqual(['000000.png', 'broken.png', 'copy.png']);
    expect(items.items.find(({ name }) => name === 'wide.png')!.repeats).toBe(5);
    await again.studio.dispose();
  });

  test('of duplicates the best is kept, of exact ones one', async () => {
    const { handlers } = home.studio;
    const out = async (): Promise<string[]> => (await list({ filter: { included: false } })).items.map(({ name }) => name).filter((name) => name !== 'broken.png');
    expect(await handlers['data.keepBest']({ projectId, target: { filter: { flags: ['duplicate-near'] } } })).toMatchObject({ changed: 1, undo: { code: 'edit.keep-best' } });
    expect(await out()).toEqual(['blob-small.png']);
    expect((await handlers['data.keepBest']({ projectId, target: { filter: {} } })).changed).toBe(1);
    expect((await out()).filter((name) => ['000000.png', 'copy.png'].includes(name))).toHaveLength(1);
    // What is left has no double that is used, so nothing more is to be done.
    expect((await handlers['data.keepBest']({ projectId, target: { filter: {} } })).changed).toBe(0);
    for (let i = 0; i < 2; i++) await handlers['data.undo']({ projectId });
    expect(await out()).toEqual([]);
  });

  test('filters, sorting and pages', async () => {
    expect((await list({ filter: { text: 'BLOB' } })).items.map(({ name }) => name)).toEqual(['blob-small.png', 'blob.png']);
    const page = await list({ offset: 2, limit: 3 });
    expect([page.items.length, page.total]).toEqual([3, 13]);
    const { items } = await list({ sort: 'size', descending: true });
    expect(items[0]!.width * items[0]!.height).toBe(300 * 300);
  });

  test('readiness names what to look at, and a set without pictures is not ready', async () => {
    const { handlers } = home.studio;
    const ready = await handlers['data.readiness']({ projectId });
    expect(ready.ready).toBe(true);
    expect(ready.verdicts.map(({ code }) => code)).toEqual(expect.arrayContaining(['unreadable', 'duplicate-exact', 'too-small', 'border', 'no-caption'].map((flag) => `readiness.${flag}`)));
    expect(ready.buckets.reduce((sum, { pictures: count }) => sum + count, 0)).toBe(12);
    await handlers['data.include']({ projectId, target: { filter: {} }, included: false });
    expect((await handlers['data.readiness']({ projectId })).ready).toBe(false);
    await expect(handlers['runs.start']({ projectId, draft: {} })).rejects.toMatchObject({ code: 'data.nothing' });
  });
});

const edit = (caption: string, change: Input<'data.editTags'>['edit']): string => editTags(caption, { at: 'end', matchCase: false, wholeTag: false, ...change } as never, ',');

test.each([
  ['a, b', { kind: 'add', tags: ['c', 'A'] }, 'a, b, c'],
  ['a, b', { kind: 'add', tags: ['c'], at: 'start' }, 'c, a, b'],
  ['', { kind: 'add', tags: ['x'] }, 'x'],
  ['a, b,c', { kind: 'remove', tags: ['B'] }, 'a, c'],
  ['a, b', { kind: 'remove', tags: ['z'] }, 'a, b'],
  ['a red car, red', { kind: 'replace', find: 'red', replace: '$& blue' }, 'a $& blue car, $& blue'],
  ['red, dark red', { kind: 'replace', find: 'red', replace: 'blue', wholeTag: true }, 'blue, dark red'],
  ['Red (x)', { kind: 'replace', find: 'red (X)', replace: 'y' }, 'y'],
  ['Red', { kind: 'replace', find: 'red', replace: 'y', matchCase: true }, 'Red'],
  ['a cat', { kind: 'prefix', text: 'neon style,' }, 'neon style, a cat'],
  ['neon style, a cat', { kind: 'prefix', text: 'neon style,' }, 'neon style, a cat'],
] as const)('tags of %j: %j', (caption, change, expected) => {
  expect(edit(caption, change as never)).toBe(expected);
});

test('duplicates: groups are joined over a chain, plain pictures stay alone', () => {
  const hash = (content: string, bits: bigint) => ({ contentHash: content, differenceHash: bits.toString(16).padStart(16, '0') });
  const base = 0xf0f0f0f0f0f0f0f0n;
  const { groups, exact } = findDuplicates([hash('a', base), hash('b', base ^ 0b11111n), hash('c', base ^ 0b1111111111n), hash('d', ~base & 0xffffffffffffffffn), hash('e', 0n), hash('f', 0n), null]);
  expect(groups).toEqual([1, 1, 1, null, null, null, null]);
  expect(exact.some(Boolean)).toBe(false);
});

test('a selection file that was tampered with is refused', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'adora-selection-'));
  const file = join(folder, 's.json');
  for (const text of ['{', '{"version":2,"pictures":{}}', '{"version":1,"pictures":{"a":{"repeats":-1}}}', '{"version":1,"pictures":{"a":{"focus":{"x":2,"y":0}}}}']) {
    writeFileSync(file, text);
    await expect(readSelection(file)).rejects.toMatchObject({ code: 'dataset.selection' });
  }
  mkdirSync(join(folder, 'x'));
  rmSync(folder, { recursive: true });
});

test('two thousand pictures are listed, filtered and edited as pages', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'adora-many-'));
  const bytes = await raw(noise(1, 16, 16), 16, 16).png().toBuffer();
  for (let i = 0; i < 2000; i++) writeFileSync(join(folder, `${String(i).padStart(4, '0')}.png`), bytes);
  const { handlers, context } = home.studio;
  const { id } = await handlers['projects.create']({ name: 'Many', demo: false });
  await handlers['projects.update']({ id, addFolders: [context.ids.of(folder)] });
  const page = await handlers['data.items']({ projectId: id, offset: 1990, limit: 200, filter: {}, sort: 'name', descending: false });
  expect([page.total, page.items.length, page.scanned]).toEqual([2000, 10, false]);
  expect(await handlers['data.include']({ projectId: id, target: { filter: { text: '19' } }, included: false })).toMatchObject({ changed: (await handlers['data.items']({ projectId: id, offset: 0, limit: 1, filter: { included: false }, sort: 'name', descending: false })).total });
  rmSync(folder, { recursive: true });
});

// Pictures of a project: what is found, what can be changed, and that nothing on disk is lost.
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import sharp from 'sharp';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { editTags } from '../../src-main/app/data/edit-tags.ts';
import { say } from '../../src-main/contract/text.ts';
import { prepareDataset } from '../../src-main/dataset/index.ts';
import { findDuplicates } from '../../src-main/dataset/duplicates.ts';
import { readSelection, selectionText, type Choice } from '../../src-main/dataset/selection.ts';
import type { Given, Input } from '../../src-main/contract/api.ts';
import { dataSettings } from '../../src-main/app/projects/draft-job.ts';
import { temporaryFolder } from '../files/temporary.ts';
import { noTrainer, openHome, standInHost, type Home } from './studio-home.ts';

/** Answers what a model is, as the starter model would. */
const modelHost = standInHost(({ command }) => (command === 'model'
  ? [{ kind: 'done', result: { family: 'x', label: 'x', nativeSide: 64, pixelStep: 16, bytes: 1, targets: [] } }]
  : [{ kind: 'failed', problem: { code: 'test.none', message: 'none' } }]));

let home: Home;
let pictures: string;
let projectId: string;

const noise = (seed: number, width: number, height: number): Buffer => {
  let state = seed * 2654435761 + 1;
  return Buffer.from(Uint8Array.from({ length: width * height * 3 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  }));
};
const raw = (data: Buffer, width: number, height: number) => sharp(data, { raw: { width, height, channels: 3 } });
/** Soft blobs: their difference hash survives scaling. */
const blobs = async (seed: number, side: number): Promise<Buffer> => raw(noise(seed, 8, 8), 8, 8).resize(side, side, { kernel: 'cubic' }).png().toBuffer();

beforeAll(async () => {
  pictures = mkdtempSync(join(tmpdir(), 'adora-pictures-'));
  for (const name of ['000000', '000001', '000002']) {
    copyFileSync(`assets/demo/neon/${name}.png`, join(pictures, `${name}.png`));
    copyFileSync(`assets/demo/neon/${name}.txt`, join(pictures, `${name}.txt`));
  }
  copyFileSync('assets/demo/neon/000000.png', join(pictures, 'copy.png'));
  writeFileSync(join(pictures, 'blob.png'), await blobs(5, 200));
  writeFileSync(join(pictures, 'blob-small.png'), await sharp(await blobs(5, 200)).resize(150, 150).jpeg({ quality: 85 }).toBuffer());
  writeFileSync(join(pictures, 'blurred.png'), await raw(noise(9, 4, 4), 4, 4).resize(300, 300, { kernel: 'cubic' }).blur(20).png().toBuffer());
  writeFileSync(join(pictures, 'small.png'), await raw(noise(3, 40, 40), 40, 40).png().toBuffer());
  writeFileSync(join(pictures, 'wide.png'), await raw(noise(4, 400, 100), 400, 100).png().toBuffer());
  writeFileSync(join(pictures, 'white.png'), await sharp(noise(6, 100, 100), { raw: { width: 100, height: 100, channels: 3 } }).extend({ right: 200, background: '#fff' }).png().toBuffer());
  writeFileSync(join(pictures, 'bars.png'), await sharp(noise(7, 200, 150), { raw: { width: 200, height: 150, channels: 3 } }).extend({ top: 25, bottom: 25, background: '#000' }).png().toBuffer());
  writeFileSync(join(pictures, 'alpha.png'), await sharp({ create: { width: 100, height: 100, channels: 4, background: { r: 1, g: 200, b: 3, alpha: 0.5 } } }).png().toBuffer());
  writeFileSync(join(pictures, 'broken.png'), readFileSync('assets/demo/neon/000003.png').subarray(0, 3000));
});
afterAll(() => rmSync(pictures, { recursive: true }));

beforeEach(async () => {
  await home?.close();
  home = openHome(modelHost);
  const { handlers, context } = home.studio;
  projectId = (await handlers['projects.create']({ name: 'Set', demo: true })).id;
  const before = await handlers['projects.open']({ id: projectId });
  await handlers['projects.update']({ id: projectId, addFolders: [context.ids.of(pictures)], removeFolders: before.dataFolders.map(({ id }) => id) });
  await home.finished((await handlers['data.scan']({ projectId })).taskId);
  // Crops need the model's sizes, which the trainer is asked for when pictures are first looked at.
  const known = home.next('data.changed');
  await list();
  await known;
});
afterAll(async () => home.close());

const list = (more: Partial<Given<'data.items'>> = {}) =>
  home.studio.handlers['data.items']({ projectId, offset: 0, limit: 500, filter: {}, sort: 'name', descending: false, ...more });
const idOf = async (name: string): Promise<string> => (await list()).items.find((item) => item.name === name)!.id;
const named = async (name: string) => (await list()).items.find((item) => item.name === name)!;
const ids = async (...names: string[]): Promise<{ ids: string[] }> => ({ ids: await Promise.all(names.map(idOf)) });

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
    expect(await handlers['data.setCaption']({ projectId, target, caption: 'one,\n two' })).toMatchObject({ changed: 2, undo: say('edit.caption', 'Change caption') });
    expect([readFileSync(file, 'utf8'), readFileSync(fresh, 'utf8')]).toEqual(['one, two\n', 'one, two\n']);
    expect((await named('small.png')).tags).toEqual(['one', 'two']);
    expect(await handlers['data.undo']({ projectId })).toMatchObject({ changed: 2, undo: null, redo: 'Change caption' });
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

describe('at the same time', () => {
  /** A second folder with pictures that differ from all others. */
  const another = async (count: number, side = 60): Promise<string> => {
    const folder = temporaryFolder();
    const bytes = await raw(noise(100, side, side), side, side).png({ compressionLevel: 1 }).toBuffer();
    // What follows the end of a picture is not looked at, so each file is another for little work.
    for (let i = 0; i < count; i++) writeFileSync(join(folder, `more-${i}.png`), Buffer.concat([bytes, Buffer.from(String(i))]));
    return folder;
  };

  test('edits while the folders are listed are what is shown and what is on the disk', async () => {
    const { handlers } = home.studio;
    const target = await ids('000002.png');
    const file = join(pictures, '000002.txt');
    const before = readFileSync(file);
    const [wide] = (await ids('wide.png')).ids;
    // The listing begins before, is under way during, and ends after the edits were asked for.
    const { taskId } = await handlers['data.scan']({ projectId });
    await Promise.all([
      handlers['data.setCaption']({ projectId, target, caption: 'written meanwhile' }),
      handlers['data.include']({ projectId, target: { ids: [wide!] }, included: false }),
      handlers['data.setFocus']({ projectId, target: { ids: [wide!] }, focus: { x: 0.1, y: 0.5 } }),
      handlers['data.setRepeats']({ projectId, target, repeats: 7 }),
      handlers['projects.update']({ id: projectId, folders: [{ id: home.studio.context.ids.of(pictures), repeats: 2 }] }),
    ]);
    await home.finished(taskId);
    expect(await named('000002.png')).toMatchObject({ caption: 'written meanwhile', repeats: 7 });
    expect(await named('wide.png')).toMatchObject({ included: false, focus: { x: 0.1, y: 0.5 }, repeats: 2 });
    expect(readFileSync(file, 'utf8')).toBe('written meanwhile\n');
    for (let i = 0; i < 4; i++) await handlers['data.undo']({ projectId });
    expect(readFileSync(file).equals(before)).toBe(true);
    expect(await named('wide.png')).toMatchObject({ included: true, focus: { x: 0.5, y: 0.5 } });
  });

  test('a folder that is added during a scan is measured by it', async () => {
    const { handlers, context } = home.studio;
    const folder = await another(12);
    await handlers['projects.update']({ id: projectId, addFolders: [context.ids.of(await another(30, 600))] });
    const { taskId } = await handlers['data.scan']({ projectId });
    await home.next('task.progress', ({ id, total }) => id === taskId && total > 0);
    await handlers['projects.update']({ id: projectId, addFolders: [context.ids.of(folder)] });
    expect((await handlers['data.scan']({ projectId })).taskId).toBe(taskId);
    const end = await home.finished(taskId);
    expect([end.state, end.done]).toEqual(['done', end.total]);
    const { items, scanned } = await list();
    expect([items.length, scanned]).toEqual([55, true]);
    expect(items.filter(({ name, thumbUrl }) => name !== 'broken.png' && thumbUrl === null)).toEqual([]);
  });

  test('what lies in a folder when a scan is asked for again is found by the one under way', async () => {
    const { handlers, context } = home.studio;
    const folder = await another(30, 600);
    await handlers['projects.update']({ id: projectId, addFolders: [context.ids.of(folder)] });
    const { taskId } = await handlers['data.scan']({ projectId });
    await home.next('task.progress', ({ id, total }) => id === taskId && total > 0);
    writeFileSync(join(folder, 'late.png'), await raw(noise(77, 60, 60), 60, 60).png().toBuffer());
    expect((await handlers['data.scan']({ projectId })).taskId).toBe(taskId);
    expect((await named('late.png')).included).toBe(true);
    await home.finished(taskId);
    expect((await named('late.png')).thumbUrl).not.toBeNull();
  });

  test('a listing that ends during a measurement loses none of it', async () => {
    const { handlers } = home.studio;
    rmSync(join(home.folder, 'cache'), { recursive: true });
    const { taskId } = await handlers['data.scan']({ projectId });
    const ended = home.finished(taskId);
    const folder = { id: home.studio.context.ids.of(pictures) };
    for (let repeats = 2; repeats < 12; repeats++) await handlers['projects.update']({ id: projectId, folders: [{ ...folder, repeats }] });
    await ended;
    const { items, scanned } = await list();
    expect(scanned).toBe(true);
    expect(items.filter(({ thumbUrl }) => thumbUrl === null).map(({ name }) => name)).toEqual(['broken.png']);
  });
});

describe('caption files', () => {
  const place = (): string => {
    const folder = temporaryFolder();
    for (const name of ['a', 'b', 'c']) copyFileSync('assets/demo/neon/000000.png', join(folder, `${name}.png`));
    return folder;
  };
  const opened = async (folder: string): Promise<string> => {
    const { handlers, context } = home.studio;
    const { id } = await handlers['projects.create']({ name: 'Captions', demo: false });
    await handlers['projects.update']({ id, addFolders: [context.ids.of(folder)] });
    return id;
  };
  const captions = async (id: string): Promise<string[]> => (await home.studio.handlers['data.items']({ projectId: id, offset: 0, limit: 9, filter: {}, sort: 'name', descending: false })).items.map(({ caption }) => caption);

  test('come back byte for byte', async () => {
    const folder = place();
    const wide = Buffer.from('\ufeffa lamp,\r\n  at night \r\n', 'utf16le');
    writeFileSync(join(folder, 'a.txt'), wide);
    writeFileSync(join(folder, 'b.caption'), '  spaced  ,  text\n\n');
    const id = await opened(folder);
    const { handlers } = home.studio;
    await handlers['data.editTags']({ projectId: id, target: { filter: {} }, edit: { kind: 'add', tags: ['neon'], at: 'start' } });
    expect(await captions(id)).toEqual(['neon, a lamp, at night', 'neon, spaced, text', 'neon']);
    await handlers['data.undo']({ projectId: id });
    expect(readFileSync(join(folder, 'a.txt')).equals(wide)).toBe(true);
    expect(readFileSync(join(folder, 'b.caption'), 'utf8')).toBe('  spaced  ,  text\n\n');
    expect(readdirSync(folder).sort()).toEqual(['a.png', 'a.txt', 'b.caption', 'b.png', 'c.png']);
    await handlers['data.redo']({ projectId: id });
    expect(await captions(id)).toEqual(['neon, a lamp, at night', 'neon, spaced, text', 'neon']);
  });

  test('that cannot be written are named; the others are, and can be taken back', async () => {
    const folder = place();
    const id = await opened(folder);
    const { handlers } = home.studio;
    // Nobody may write there: a folder stands where the file would be.
    mkdirSync(join(folder, 'b.txt'));
    await expect(handlers['data.setCaption']({ projectId: id, target: { filter: {} }, caption: 'new' })).rejects.toMatchObject({ code: 'data.captions', message: expect.stringMatching(/^1 of 3 captions could not be written\. .*b\.txt/) });
    expect(await captions(id)).toEqual(['new', '', 'new']);
    expect((await handlers['data.undo']({ projectId: id })).changed).toBe(2);
    expect([await captions(id), readdirSync(folder).sort()]).toEqual([['', '', ''], ['a.png', 'b.png', 'b.txt', 'c.png']]);
  });

  test('that another program changes are edited as they are, and taking back does not run over them', async () => {
    const folder = place();
    for (const name of ['a', 'b']) writeFileSync(join(folder, `${name}.txt`), 'old');
    const id = await opened(folder);
    const { handlers } = home.studio;
    writeFileSync(join(folder, 'a.txt'), 'from elsewhere');
    await handlers['data.editTags']({ projectId: id, target: { filter: { text: 'old' } }, edit: { kind: 'add', tags: ['ink'], at: 'end' } });
    expect(await captions(id)).toEqual(['from elsewhere, ink', 'old, ink', '']);
    writeFileSync(join(folder, 'b.txt'), 'later');
    await expect(handlers['data.undo']({ projectId: id })).rejects.toMatchObject({ code: 'data.changed-elsewhere' });
    expect([readFileSync(join(folder, 'a.txt'), 'utf8'), readFileSync(join(folder, 'b.txt'), 'utf8')]).toEqual(['from elsewhere', 'later']);
    expect(await captions(id)).toEqual(['from elsewhere', 'later', '']);
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

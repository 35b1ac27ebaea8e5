// Pictures of a project under stress: edits, listings and measurements at the same time, captions byte for byte, bad folders.
import { chmodSync, chownSync, copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { dataSettings } from '../../src-main/app/projects/draft-job.ts';
import { prepareDataset } from '../../src-main/dataset/index.ts';
import { selectionText, type Choice } from '../../src-main/dataset/selection.ts';
import { temporaryFolder } from '../files/temporary.ts';
import { noise, openData, raw, writePictures, type DataHome } from './data-home.ts';
import type { Home } from './studio-home.ts';

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
    for (let i = 0; i < 5; i++) await handlers['data.undo']({ projectId });
    expect(readFileSync(file).equals(before)).toBe(true);
    expect(await named('wide.png')).toMatchObject({ included: true, focus: { x: 0.5, y: 0.5 }, repeats: 1 });
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

describe('what is not only pictures', () => {
  test('folders, their settings and the trigger word are taken back too', async () => {
    const { handlers, context } = home.studio;
    const folderId = context.ids.of(pictures);
    const project = () => handlers['projects.open']({ id: projectId });
    const { draft } = await project();
    expect(draft['data']).not.toHaveProperty('caption.prefix', 'inkstyle,');
    await handlers['projects.update']({ id: projectId, folders: [{ id: folderId, repeats: 3, regularization: true }] });
    expect(await handlers['data.setPrefix']({ projectId, prefix: 'inkstyle,' })).toMatchObject({ undo: { text: 'Set trigger word' } });
    expect((await named('000001.png')).trainedText).toMatch(/^inkstyle, \S/);
    await handlers['projects.update']({ id: projectId, removeFolders: [folderId] });
    expect((await list()).total).toBe(0);
    await handlers['data.undo']({ projectId });
    expect([(await list()).total, (await project()).dataFolders]).toMatchObject([13, [{ id: folderId, repeats: 3, regularization: true }]]);
    await handlers['data.undo']({ projectId });
    expect((await named('000001.png')).trainedText).not.toMatch(/inkstyle/);
    await handlers['data.undo']({ projectId });
    expect((await project()).dataFolders).toMatchObject([{ id: folderId, repeats: null, regularization: false }]);
    for (let i = 0; i < 3; i++) await handlers['data.redo']({ projectId });
    expect([(await list()).total, (await project()).dataFolders.length]).toEqual([0, 0]);
  });

  test('projects lose nothing when two changes come at once', async () => {
    const { handlers, context } = home.studio;
    const { id } = await handlers['projects.create']({ name: 'Both', demo: false });
    await Promise.all([
      handlers['projects.update']({ id, draft: { train: { steps: 77 } } }), handlers['projects.update']({ id, addFolders: [context.ids.of(pictures)] }),
      home.studio.uploadFolder(id), handlers['projects.update']({ id, name: 'Renamed' }),
    ]);
    const project = await handlers['projects.open']({ id });
    expect([project.name, project.draft, project.dataFolders.length]).toEqual(['Renamed', { train: { steps: 77 } }, 2]);
  });

  test('what a folder holds besides is said; folders that are gone or empty too', async () => {
    const { handlers, context } = home.studio;
    const { id } = await handlers['projects.create']({ name: 'Odd', demo: false });
    const [folder, empty, gone, alsoGone] = [temporaryFolder(), temporaryFolder(), temporaryFolder(), temporaryFolder()];
    copyFileSync('assets/demo/neon/000000.png', join(folder, 'one.png'));
    copyFileSync('assets/demo/neon/000001.png', join(folder, 'two.png'));
    writeFileSync(join(folder, 'two.txt'), Buffer.from('Fl\xfcsse', 'latin1'));
    writeFileSync(join(folder, 'photo.heic'), 'x');
    mkdirSync(join(folder, 'inner'));
    copyFileSync('assets/demo/neon/000002.png', join(folder, 'inner', 'three.png'));
    await handlers['projects.update']({ id, addFolders: [folder, empty, gone, alsoGone].map((path) => context.ids.of(path)) });
    for (const path of [gone, alsoGone]) rmSync(path, { recursive: true });
    await home.finished((await handlers['data.scan']({ projectId: id })).taskId);
    const { verdicts } = await handlers['data.readiness']({ projectId: id });
    const codes = verdicts.map(({ code }) => code);
    expect(codes.filter((code) => code === 'data.folder-gone')).toHaveLength(2);
    expect(codes).toEqual(expect.arrayContaining(['dataset.skipped-folders', 'dataset.skipped-files', 'dataset.empty-folder', 'readiness.unreadable', 'readiness.no-sizes']));
    // One caption in another encoding costs one picture, and it says why.
    const { items } = await handlers['data.items']({ projectId: id, offset: 0, limit: 9, filter: {}, sort: 'name', descending: false });
    expect(items.map(({ name, included, problem }) => [name, included, problem && [problem.code, problem.text.includes('UTF-8')]])).toEqual([['one.png', true, null], ['two.png', false, ['dataset.caption-encoding', true]]]);
    // A training does not stumble over what is left out.
    const left = join(temporaryFolder(), 'selection.json');
    const settings = { ...dataSettings({}), folders: [{ path: folder, regularization: false }], selection: left };
    writeFileSync(left, selectionText(new Map<string, Choice>([[join(folder, 'two.png'), { included: false }]])));
    expect((await prepareDataset(settings, { modelSize: { width: 64, height: 64 }, pixelStep: 16, seed: 0 })).items.map(({ path }) => path)).toEqual([join(folder, 'one.png')]);
    await expect(prepareDataset({ ...dataSettings({}), folders: settings.folders }, { modelSize: { width: 64, height: 64 }, pixelStep: 16, seed: 0 })).rejects.toMatchObject({ code: 'dataset.bad-files' });
  });

  test('dropped on the desktop: folders join, pictures are copied with their captions, names that are taken get a number', async () => {
    const { handlers, context } = home.studio;
    const { id } = await handlers['projects.create']({ name: 'Desk', demo: false });
    const drop = async (...paths: string[]) => home.finished((await handlers['data.bring']({ projectId: id, fileIds: paths.map((path) => context.ids.of(path)) })).taskId);
    const folder = temporaryFolder();
    copyFileSync('assets/demo/neon/000000.png', join(folder, 'one.png'));
    const [png, txt] = ['png', 'txt'].map((ending) => join(pictures, `000002.${ending}`));
    const before = readdirSync(pictures).sort();
    expect((await drop(png!, txt!, folder)).state).toBe('done');
    expect((await drop(png!)).state).toBe('done');
    const { items } = await handlers['data.items']({ projectId: id, offset: 0, limit: 9, filter: {}, sort: 'name', descending: false });
    const caption = readFileSync(txt!, 'utf8').trim();
    expect(items.map(({ name, caption: text }) => [name, text])).toEqual([['000002-2.png', caption], ['000002.png', caption], ['one.png', '']]);
    expect(readdirSync(pictures).sort()).toEqual(before);
    expect((await handlers['projects.open']({ id })).dataFolders.map(({ name }) => name)).toEqual([basename(folder), 'pictures']);
    expect(() => handlers['data.bring']({ projectId: id, fileIds: [context.ids.of(txt!)] })).toThrow(expect.objectContaining({ code: 'data.bring-none' }));
  });

  test.skipIf(process.platform === 'win32')('a folder that may not be written to: one sentence, and neither captions nor choices are lost', async () => {
    const { handlers, context } = home.studio;
    const folder = temporaryFolder();
    for (const name of ['000000', '000001']) copyFileSync(`assets/demo/neon/${name}.png`, join(folder, `${name}.png`));
    writeFileSync(join(folder, '000000.txt'), 'as it was');
    const { id } = await handlers['projects.create']({ name: 'Locked', demo: false });
    await handlers['projects.update']({ id, addFolders: [context.ids.of(folder)] });
    await home.finished((await handlers['data.scan']({ projectId: id })).taskId);
    const captions = async () => (await handlers['data.items']({ projectId: id, offset: 0, limit: 9, filter: {}, sort: 'name', descending: false })).items.map(({ caption, included }) => [caption, included]);
    const all = { filter: {} } as const;
    // Done while it could be written, to be taken back when it cannot.
    await handlers['data.setCaption']({ projectId: id, target: { filter: { text: '000001' } }, caption: 'written before' });
    // Permissions do not stop root, so be somebody else for a moment, who has the home and not the pictures.
    const isRoot = process.getuid!() === 0;
    const give = (path: string): void => {
      chownSync(path, 65534, 65534);
      if (statSync(path).isDirectory()) for (const name of readdirSync(path)) give(join(path, name));
    };
    chmodSync(folder, 0o555);
    if (isRoot) {
      give(home.folder);
      chmodSync(dirname(home.folder), 0o711);
      process.seteuid!(65534);
    }
    try {
      const refused = { code: 'data.read-only', data: { folder } };
      await expect(handlers['data.setCaption']({ projectId: id, target: all, caption: 'new' })).rejects.toMatchObject({ ...refused, message: expect.stringMatching(/^2 of 2 captions cannot be written: ".*" is read-only .*copies them into the project\.$/) as string });
      await expect(handlers['data.editTags']({ projectId: id, target: all, edit: { kind: 'add', tags: ['more'], at: 'end' } })).rejects.toMatchObject(refused);
      // A file that has to go, and not only one that has to change.
      await expect(handlers['data.undo']({ projectId: id })).rejects.toMatchObject({ ...refused, message: expect.stringMatching(/^The caption cannot be written/) as string });
      await expect(handlers['data.autocaption']({ projectId: id, target: all, modelId: context.ids.of('a.onnx'), csvId: context.ids.of('a.csv'), mode: 'replace' } as never)).rejects.toMatchObject(refused);
      expect(await captions()).toEqual([['as it was', true], ['written before', true]]);
      // What is no caption is the project's own.
      expect((await handlers['data.include']({ projectId: id, target: all, included: false })).changed).toBe(2);
      await handlers['data.undo']({ projectId: id });
    } finally {
      if (isRoot) process.seteuid!(0);
      chmodSync(folder, 0o755);
    }
    expect(['000000', '000001'].map((name) => readFileSync(join(folder, `${name}.txt`), 'utf8'))).toEqual(['as it was', 'written before\n']);
    expect(readdirSync(folder).sort()).toEqual(['000000.png', '000000.txt', '000001.png', '000001.txt']);
    // The edit that could not be taken back still can be.
    await handlers['data.undo']({ projectId: id });
    expect(await captions()).toEqual([['as it was', true], ['', true]]);
  });
});

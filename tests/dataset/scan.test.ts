import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { scanFolders } from '../../src-main/dataset/scan.ts';
import { refusalOf, temporaryFolder } from '../files/temporary.ts';
import { plain, writeText } from './pictures.ts';

// Scanning looks at names and caption files only, so pictures may be empty files here.
const touch = (folder: string, ...names: string[]): void => {
  for (const name of names) writeText(join(folder, name), '');
};
const scan = (path: string, more: { repeats?: number; regularization?: boolean } = {}) =>
  scanFolders([{ path, regularization: false, ...more }]);
const codes = (warnings: readonly { code: string }[]): string[] => warnings.map(({ code }) => code);

describe('scanning a folder', () => {
  it('finds pictures of the known kinds, in code point order, without hidden files', async () => {
    const folder = temporaryFolder();
    // U+FF5E comes before U+1F600 by code point, after it by UTF-16 unit.
    touch(folder, 'b.png', 'a.JPG', 'c.jpeg', 'd.webp', 'e.avif', '.f.png', '._b.png', 'g.ts', 'Z.png', '\uff5e.png',
      '\u{1f600}.png');
    const { items } = await scan(folder);
    expect(items.map(({ path }) => basename(path))).toEqual(
      ['Z.png', 'a.JPG', 'b.png', 'c.jpeg', 'd.webp', 'e.avif', '\uff5e.png', '\u{1f600}.png']);
    expect(items.every(({ repeats, regularization }) => repeats === 1 && !regularization)).toBe(true);
  });

  it('reads side-cars: .txt first, an empty one is skipped, marks and line breaks go', async () => {
    const folder = temporaryFolder();
    touch(folder, 'a.png', 'b.png', 'c.png', 'd.png', 'e.png', 'f.png', 'x.y.png');
    writeText(join(folder, 'a.txt'), '\ufeff a cat,\r\n  on a mat \n');
    writeText(join(folder, 'a.caption'), 'not this');
    writeText(join(folder, 'b.txt'), ' \n');
    writeText(join(folder, 'b.caption'), 'a dog');
    writeText(join(folder, 'c.TXT'), 'grün 猫');
    writeText(join(folder, 'd.txt'), Buffer.from('\ufeffmöwe', 'utf16le'));
    writeText(join(folder, 'e.txt'), '');
    writeText(join(folder, 'x.y.txt'), 'two dots');
    const { items, warnings } = await scan(folder);
    expect(items.map(({ caption }) => caption)).toEqual(
      ['a cat, on a mat', 'a dog', 'grün 猫', 'möwe', null, null, 'two dots']);
    expect(codes(warnings)).toEqual(['dataset.no-caption']);
    expect(warnings[0]!.text).toContain('2 pictures');
    expect(warnings[0]!.text).toMatch(/e\.png.*f\.png/);
    expect(warnings[0]!.text).not.toContain('a.png');
  });

  it('understands kohya names of sub-folders and of the folder itself', async () => {
    const root = temporaryFolder();
    touch(root, 'loose.png', '10_ink style/b.png', '10_ink style/a.png', '3_cats/c.png', '2_/d.png',
      '2024_holiday/e.png', 'notes/readme.md', '10_ink style/deeper/f.png');
    writeText(join(root, '3_cats/c.txt'), 'a cat');
    const { items, warnings } = await scan(root);
    expect(items.map(({ path, repeats, caption }) => [basename(path), repeats, caption])).toEqual([
      ['loose.png', 1, null], ['a.png', 10, 'ink style'], ['b.png', 10, 'ink style'], ['d.png', 2, null],
      ['c.png', 3, 'a cat'],
    ]);
    expect(codes(warnings)).toEqual(['dataset.skipped-folders', 'dataset.no-caption']);
    expect(warnings[0]!.text).toContain('2024_holiday');

    const own = await scan(join(root, '10_ink style'));
    expect(own.items.map(({ repeats, caption }) => [repeats, caption])).toEqual([[10, 'ink style'], [10, 'ink style']]);
    expect(codes(own.warnings)).toEqual(['dataset.skipped-folders']);
  });

  it('lets the setting repeats win, and says so', async () => {
    const root = temporaryFolder();
    touch(root, '10_style/a.png', '4_other/b.png');
    const { items, warnings } = await scan(root, { repeats: 4, regularization: true });
    expect(items.map(({ repeats, regularization }) => [repeats, regularization])).toEqual([[4, true], [4, true]]);
    expect(codes(warnings)).toEqual(['dataset.repeats-replaced']);
    expect(warnings[0]!.text).toContain('10_style');
    expect(warnings[0]!.text).not.toContain('4_other');
  });

  it('keeps the order of the folders and names files it cannot use', async () => {
    const root = temporaryFolder();
    touch(root, 'z/a.png', 'a/b.png', 'a/scan.tiff', 'a/c.gif');
    const { items, warnings } = await scanFolders(['z', 'a'].map((name) =>
      ({ path: join(root, name), regularization: false })));
    expect(items.map(({ path }) => basename(path))).toEqual(['a.png', 'b.png']);
    expect(codes(warnings)).toEqual(['dataset.skipped-files', 'dataset.no-caption']);
    expect(warnings[0]!.text).toMatch(/2 files.*c\.gif.*scan\.tiff/);
  });

  it('follows links and passes over broken ones', async () => {
    const root = temporaryFolder();
    touch(root, 'real/a.png', 'links/b.png');
    symlinkSync(join(root, 'real/a.png'), join(root, 'links/a.png'));
    symlinkSync(join(root, 'gone.png'), join(root, 'links/c.png'));
    const { items } = await scan(join(root, 'links'));
    expect(items.map(({ path }) => basename(path))).toEqual(['a.png', 'b.png']);
  });

  it('refuses folders that are missing, files, or empty', async () => {
    const root = temporaryFolder();
    touch(root, 'a.png', 'texts/a.txt');
    mkdirSync(join(root, 'empty'));
    expect((await refusalOf('dataset.no-folder', () => scan(join(root, 'nowhere')))).message).toContain('nowhere');
    await refusalOf('dataset.not-a-folder', () => scan(join(root, 'a.png')));
    expect((await refusalOf('dataset.empty-folder', () => scan(join(root, 'empty')))).message).toContain('empty');
    await refusalOf('dataset.empty-folder', () => scan(join(root, 'texts')));
    touch(root, 'moving/a.gif');
    expect((await refusalOf('dataset.empty-folder', () => scan(join(root, 'moving')))).message).toContain('1 file of other kinds ("moving/a.gif")');
  });

  it('names all caption files that are no text', async () => {
    const folder = temporaryFolder();
    for (const name of ['a.png', 'b.png', 'c.png']) await plain(join(folder, name));
    writeText(join(folder, 'a.txt'), Buffer.from('gr\xfcn', 'latin1'));
    writeText(join(folder, 'b.txt'), 'good');
    const one = await refusalOf('dataset.bad-files', () => scan(folder));
    expect(one.message).toMatch(/a\.txt.*UTF-8/);
    writeText(join(folder, 'c.txt'), new Uint8Array([0xc3, 0x28]));
    const two = await refusalOf('dataset.bad-files', () => scan(folder));
    expect(two.message).toMatch(/^2 files.*a\.png.*c\.png/);
    // Other folders and the pictures themselves are looked at as well: one repair, not three.
    const other = temporaryFolder();
    await plain(join(other, 'd.png'));
    writeText(join(other, 'd.txt'), new Uint8Array([0xc3, 0x28]));
    writeText(join(folder, 'b.png'), readFileSync(join(folder, 'b.png')).subarray(0, 40));
    const all = await refusalOf('dataset.bad-files', () => scanFolders([folder, other].map((path) => ({ path, regularization: false }))));
    expect(all.message).toMatch(/^4 files/);
    expect(all.message).toMatch(/d\.png" \(not UTF-8 text\).*b\.png"/);
  });
});

import { spawn } from 'node:child_process';
import {
  chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  appendLine, makeFolder, readLines, removeStaleTemporaries, writeFileAtomic,
} from '../../src-main/files/atomic-write.ts';
import { readError, writeError } from '../../src-main/files/file-errors.ts';
import { UserError } from '../../src-main/base/errors.ts';
import { refusal, refusalOf, temporaryFolder } from './temporary.ts';

const systemError = (code: string): Error => Object.assign(new Error(`${code}: from the system`), { code });

describe('writeFileAtomic', () => {
  it('writes texts, bytes and through a function, and makes folders', async () => {
    const path = join(temporaryFolder(), 'a', 'b', 'file.txt');
    await writeFileAtomic(path, 'text ä');
    expect(readFileSync(path, 'utf8')).toBe('text ä');
    await writeFileAtomic(path, Uint8Array.of(1, 2, 3));
    expect([...readFileSync(path)]).toEqual([1, 2, 3]);
    await writeFileAtomic(path, async (file) => {
      await file.write('one ');
      // Until the end the old file is what others see.
      expect([...readFileSync(path)]).toEqual([1, 2, 3]);
      await file.write('two');
    });
    expect(readFileSync(path, 'utf8')).toBe('one two');
    expect(readdirSync(join(path, '..'))).toEqual(['file.txt']);
  });

  it('leaves the old file and nothing else when writing fails', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'file');
    await writeFileAtomic(path, 'old');
    for (const [fault, code] of [['ENOSPC', 'files.disk-full'], ['EDQUOT', 'files.disk-full'],
      ['EROFS', 'files.read-only'], ['EPERM', 'files.read-only'], ['EFBIG', 'files.too-large']] as const) {
      const error = await refusalOf(code, () => writeFileAtomic(path, async (file) => {
        await file.write('half of the ne');
        throw systemError(fault);
      }));
      expect(error.message).toContain(path);
      expect(readFileSync(path, 'utf8')).toBe('old');
      expect(readdirSync(folder)).toEqual(['file']);
    }
    await expect(writeFileAtomic(path, () => Promise.reject(new Error('a bug')))).rejects.toThrow(/^a bug$/);
    expect(readdirSync(folder)).toEqual(['file']);
  });

  it('writes many at once to one path; one of them wins whole', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'file');
    const contents = Array.from({ length: 20 }, (_, index) => String(index).repeat(5000));
    await Promise.all(contents.map((content) => writeFileAtomic(path, content)));
    expect(contents).toContain(readFileSync(path, 'utf8'));
    expect(readdirSync(folder)).toEqual(['file']);
  });

  it.skipIf(process.platform === 'win32')('keeps permissions and symbolic links', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'real');
    writeFileSync(path, 'old');
    chmodSync(path, 0o600);
    symlinkSync('real', join(folder, 'link'));
    await writeFileAtomic(join(folder, 'link'), 'new');
    expect(lstatSync(join(folder, 'link')).isSymbolicLink()).toBe(true);
    expect(readFileSync(path, 'utf8')).toBe('new');
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('refuses a path through a file, and a folder in the place of the file', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'file'), '');
    await refusalOf('files.not-a-folder', () => writeFileAtomic(join(folder, 'file', 'x', 'below'), ''));
    mkdirSync(join(folder, 'there', 'full'), { recursive: true });
    await refusalOf('files.is-a-folder', () => writeFileAtomic(join(folder, 'there'), ''));
    expect(readdirSync(folder).sort()).toEqual(['file', 'there']);
    await refusalOf('files.not-a-folder', () => makeFolder(join(folder, 'file')));
    await refusalOf('files.name-too-long', () => writeFileAtomic(join(folder, 'n'.repeat(300)), ''));
  });

  it.skipIf(!existsSync('/dev/full'))('says that a really full disk is full', () => {
    refusal('files.disk-full', () => appendLine('/dev/full', 'line'));
  });

  it.skipIf(process.platform === 'win32')('says that a folder is read-only', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'file'), 'old');
    chmodSync(folder, 0o555);
    // Permissions do not stop root, so be somebody else for a moment.
    const isRoot = process.getuid!() === 0;
    if (isRoot) process.seteuid!(65534);
    try {
      await refusalOf('files.read-only', () => writeFileAtomic(join(folder, 'file'), 'new'));
      await refusalOf('files.read-only', () => writeFileAtomic(join(folder, 'a', 'file'), 'new'));
      refusal('files.read-only', () => appendLine(join(folder, 'log'), 'line'));
    } finally {
      if (isRoot) process.seteuid!(0);
      chmodSync(folder, 0o755);
    }
    expect(readFileSync(join(folder, 'file'), 'utf8')).toBe('old');
    expect(readdirSync(folder)).toEqual(['file']);
  });
});

it('errors of the system become sentences, others pass through', () => {
  const bug = new Error('bug');
  expect(writeError(bug, 'p')).toBe(bug);
  expect(readError(bug, 'p')).toBe(bug);
  const known = new UserError('a.b', 'Known.');
  expect(writeError(known, 'p')).toBe(known);
  for (const [code, expected] of [['ENOENT', 'files.not-found'], ['EACCES', 'files.no-access'],
    ['EISDIR', 'files.is-a-folder'], ['EIO', 'files.damaged-disk']] as const) {
    const error = refusal(expected, () => { throw readError(systemError(code), '/x/y.z', 'the job'); });
    expect(error.message).toContain('"/x/y.z"');
    expect(error.message).toContain('the job');
  }
});

describe('removeStaleTemporaries', () => {
  it('removes what dead processes left and nothing else', async () => {
    const folder = temporaryFolder();
    const child = spawn(process.execPath, ['-e', '']);
    const dead = child.pid!;
    await new Promise((resolve) => child.on('exit', resolve));
    const keep = [`.model.${process.pid}-3.tmp`, 'model.safetensors', `model.${dead}-1.tmp`, '.hidden.tmp'];
    const remove = [`.model.safetensors.${dead}-0.tmp`, `.x.${dead}-12.tmp`];
    for (const name of [...keep, ...remove]) writeFileSync(join(folder, name), '');
    expect((await removeStaleTemporaries(folder)).sort()).toEqual(remove.sort());
    expect(readdirSync(folder).sort()).toEqual(keep.sort());
    expect(await removeStaleTemporaries(join(folder, 'none'))).toEqual([]);
  });
});

describe('line logs', () => {
  it('append and read', () => {
    const path = join(temporaryFolder(), 'events.jsonl');
    expect(readLines(path)).toEqual([]);
    appendLine(path, '{"a":1}');
    appendLine(path, 'ä €', { flush: true });
    expect(readLines(path)).toEqual(['{"a":1}', 'ä €']);
    expect(readFileSync(path, 'utf8')).toBe('{"a":1}\nä €\n');
    expect(() => appendLine(path, 'a\nb')).toThrow(/line break/);
  });

  it('survive a cut at any byte', () => {
    const path = join(temporaryFolder(), 'events.jsonl');
    const lines = ['first', 'zweite ä', `long ${'x'.repeat(9000)}`];
    const whole = Buffer.from(lines.map((line) => `${line}\n`).join(''));
    for (const cut of [0, 1, 5, 6, 7, 13, 14, 15, 16, 17, 4000, 4096, 9000, whole.length - 1, whole.length]) {
      writeFileSync(path, whole.subarray(0, cut));
      const kept = lines.filter((_, index) =>
        Buffer.byteLength(lines.slice(0, index + 1).map((line) => `${line}\n`).join('')) <= cut);
      expect(readLines(path)).toEqual(kept);
      appendLine(path, 'after');
      expect(readLines(path)).toEqual([...kept, 'after']);
      expect(readFileSync(path, 'utf8')).toBe([...kept, 'after'].map((line) => `${line}\n`).join(''));
    }
  });

  it('refuse to read what cannot be read', () => {
    refusal('files.is-a-folder', () => readLines(temporaryFolder()));
  });
});

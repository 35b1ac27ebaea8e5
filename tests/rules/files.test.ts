// Names, sizes and forbidden words of the source files.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { matches, root, sourceFiles, withoutComments } from './source-files.ts';

const product = sourceFiles(['src-main', 'src-renderer']);
const all = sourceFiles(['src-main', 'src-renderer', 'tests', 'tools', 'scripts', 'packaging']);

test('the rules see the source', () => {
  expect(product.length).toBeGreaterThan(50);
  expect(withoutComments("a('// no'); // yes\n/* yes */ b")).toBe("a('// no');       \n          b");
});

describe('names', () => {
  test('modules are in kebab-case, components in PascalCase', () => {
    const wrong = all.map((file) => file.path).filter((path) => {
      const name = path.split('/').at(-1) ?? '';
      return !/^[a-z0-9]+(-[a-z0-9]+)*(\.(test|config|svelte|d))?\.(ts|mts|mjs)$/.test(name)
        && !/^([A-Z][a-z0-9]*)+\.svelte$/.test(name);
    });
    expect(wrong).toEqual([]);
  });
});

describe('size', () => {
  test('no file has more than 400 lines', () => {
    const long = all.filter(({ text }) => text.trimEnd().split('\n').length > 400).map((file) => file.path);
    expect(long).toEqual([]);
  });

  test('a process entry has fewer than 100 lines', () => {
    const entries = product.filter(({ path }) => /^src-main\/[^/]+\.ts$/.test(path));
    expect(entries.length).toBeGreaterThan(0);
    expect(entries.filter(({ text }) => text.trimEnd().split('\n').length >= 100).map((file) => file.path)).toEqual([]);
  });
});

describe('words', () => {
  test('chance comes from base/rng.ts only', () => {
    // Secrets and names that nobody may guess are no chance that a result depends on.
    const computing = product.filter(({ path }) => !path.startsWith('src-main/app/'));
    expect(matches(computing, /\bMath\.random\b|\brandomUUID\b|\brandomBytes\b/)).toEqual([]);
  });

  test('nothing that is computed depends on the clock', () => {
    const pure = product.filter(({ path }) => /^src-main\/(contract|base|graph|nn|catalog|dataset|analysis)\//.test(path));
    expect(matches(pure, /\bDate\.now\b|\bnew Date\b|\bperformance\.now\b/)).toEqual([]);
  });

  test('no work is left for later in a comment', () => {
    const marks = /\b(TOD[O]|FIXM[E]|XX[X])\b/;
    expect(all.filter(({ text }) => marks.test(text)).map((file) => file.path)).toEqual([]);
  });

  test('the lock file names no host, and a hash of every package', () => {
    const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { resolved?: string; integrity?: string; inBundle?: boolean }>;
    };
    const packages = Object.entries(lock.packages).filter(([path]) => path !== '');
    expect(packages.length).toBeGreaterThan(20);
    expect(packages.filter(([, entry]) => entry.resolved !== undefined).map(([path]) => path)).toEqual([]);
    expect(packages.filter(([, entry]) => entry.integrity === undefined && entry.inBundle !== true).map(([path]) => path))
      .toEqual([]);
  });

  test('versions are exact', () => {
    const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as
      Record<string, Record<string, string>>;
    const versions = Object.values({ ...dependencies, ...devDependencies });
    expect(versions.filter((version) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
  });
});

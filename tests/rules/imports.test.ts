// The import rules: the tree keeps them, and each of them can be broken.

import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { cruise, type ICruiseResult } from 'dependency-cruiser';
import { describe, expect, test } from 'vitest';

import { cruiseOptions, importRules } from './import-rules.ts';

async function violations(baseDir: string, folders: string[]): Promise<{ rule: string; from: string; to: string }[]> {
  const ruleSet = { forbidden: [...importRules] };
  const result = await cruise(folders, { ...cruiseOptions, baseDir, validate: true, ruleSet });
  const { summary } = result.output as ICruiseResult;
  return summary.violations.map(({ rule, from, to }) => ({ rule: rule.name, from, to }));
}

test('the source tree keeps every rule', async () => {
  expect(await violations(join(import.meta.dirname, '../..'), ['src-main', 'tools'])).toEqual([]);
});

type Files = Readonly<Record<string, string>>;

/** A file that imports another one, and that other one. */
const pair = (from: string, specifier: string, to: string): Files =>
  ({ [`src-main/${from}`]: `import { x } from '${specifier}';\nexport const y = x;`, [`src-main/${to}`]: 'export const x = 1;' });

const packageUse = (from: string, name: string, development = false): Files => ({
  [`src-main/${from}`]: `import * as x from '${name}';\nexport const y = x;`,
  [`node_modules/${name}/package.json`]: JSON.stringify({ name, version: '1.0.0', main: 'index.js' }),
  [`node_modules/${name}/index.js`]: 'exports.x = 1;',
  'package.json': JSON.stringify({ [development ? 'devDependencies' : 'dependencies']: { [name]: '1.0.0' } }),
});

const broken: Readonly<Record<string, Files>> = {
  'direction-contract': pair('contract/a.ts', '../base/b.ts', 'base/b.ts'),
  'direction-base': pair('base/a.ts', '../graph/b.ts', 'graph/b.ts'),
  'direction-graph': pair('graph/a.ts', '../nn/b.ts', 'nn/b.ts'),
  'direction-nn': pair('nn/a.ts', '../catalog/index.ts', 'catalog/index.ts'),
  'direction-catalog': pair('catalog/families/a.ts', '../../files/b.ts', 'files/b.ts'),
  'direction-runtime': pair('runtime/onnx/a.ts', '../../nn/b.ts', 'nn/b.ts'),
  'direction-files': pair('files/a.ts', '../graph/b.ts', 'graph/b.ts'),
  'direction-dataset': pair('dataset/a.ts', '../runtime/b.ts', 'runtime/b.ts'),
  'direction-analysis': pair('analysis/a.ts', '../train/b.ts', 'train/b.ts'),
  'direction-train': pair('train/a.ts', '../app/b.ts', 'app/b.ts'),
  'direction-app': pair('app/a.ts', '../runtime/b.ts', 'runtime/b.ts'),
  'package-onnxruntime-node-common-': packageUse('train/a.ts', 'onnxruntime-node'),
  'package--bufbuild-protobuf': packageUse('train/a.ts', '@bufbuild/protobuf'),
  'package--huggingface-tokenizers': packageUse('nn/a.ts', '@huggingface/tokenizers'),
  'package-sharp': packageUse('train/a.ts', 'sharp'),
  'package-zod': packageUse('train/a.ts', 'zod'),
  'package-smol-toml': packageUse('train/a.ts', 'smol-toml'),
  'package-yaml': packageUse('train/a.ts', 'yaml'),
  'package-commander': packageUse('train/a.ts', 'commander'),
  'package-ws': packageUse('train/a.ts', 'ws'),
  'pure-folders': { 'src-main/graph/a.ts': "import { x } from 'node:fs';\nexport const y = x;" },
  'one-op-one-file': pair('graph/ops/a.ts', './b.ts', 'graph/ops/b.ts'),
  'one-choice-one-file': pair('catalog/adapters/a.ts', './b.ts', 'catalog/adapters/b.ts'),
  'catalog-kinds-meet-in-index': pair('catalog/adapters/a.ts', '../families/b.ts', 'catalog/families/b.ts'),
  'define-is-types': pair('catalog/define/a.ts', '../families/b.ts', 'catalog/families/b.ts'),
  'entries-are-not-imported': pair('train/a.ts', '../cli/b.ts', 'cli/b.ts'),
  'electron-only-in-app': packageUse('train/a.ts', 'electron'),
  'app-without-engine': {
    'src-main/app/a.ts': "import { y } from '../catalog/b.ts';\nexport const z = y;",
    'src-main/catalog/b.ts': "import { x } from '../runtime/c.ts';\nexport const y = x;",
    'src-main/runtime/c.ts': 'export const x = 1;',
  },
  'command-line-without-electron': {
    ...packageUse('app/b.ts', 'electron'), 'src-main/cli.ts': "import { y } from './app/b.ts';\nexport const z = y;",
  },
  'no-cycles': {
    'src-main/base/a.ts': "import { b } from './b.ts';\nexport const a = () => b;",
    'src-main/base/b.ts': "import { a } from './a.ts';\nexport const b = () => a;",
  },
  'src-stands-alone': {
    'src-main/base/a.ts': "import { x } from '../../tools/b.ts';\nexport const y = x;", 'tools/b.ts': 'export const x = 1;',
  },
  'no-development-packages': packageUse('train/a.ts', 'some-tool', true),
  'no-unresolved': { 'src-main/base/a.ts': "import { x } from './none.ts';\nexport const y = x;" },
};

describe('each rule is reported when it is broken', () => {
  test('and none is without an example', () => {
    expect(Object.keys(broken).sort()).toEqual(importRules.map((rule) => rule.name).sort());
  });

  test.each(Object.entries(broken))('%s', async (rule, files) => {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), 'adora-rules-')));
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    const found = await violations(folder, ['src-main']);
    rmSync(folder, { recursive: true });
    expect(found.map((violation) => violation.rule)).toContain(rule);
  });
});

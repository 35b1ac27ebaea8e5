// One choice is one file: lists agree with folders, and nothing else knows a choice by its name.

import { describe, expect, test } from 'vitest';

import { matches, sourceFiles, withoutComments } from './source-files.ts';

const product = sourceFiles(['src-main']);
const files = new Map(product.map(({ path, text }) => [path, text]));

function modulesIn(folder: string): string[] {
  return product.map((file) => file.path)
    .filter((path) => path.startsWith(`${folder}/`) && !path.slice(folder.length + 1).includes('/'))
    .map((path) => path.slice(folder.length + 1))
    .filter((name) => name !== 'index.ts');
}

/** Names of the files in `./<below>` that an index imports. */
function importsOf(index: string, below: string): string[] {
  const text = withoutComments(files.get(index) ?? '');
  const pattern = new RegExp(`from '\\./${below}([^/']+\\.ts)'`, 'g');
  return [...text.matchAll(pattern)].map((match) => match[1] ?? '').sort();
}

const kinds = [...new Set(product.flatMap(({ path }) => /^src-main\/catalog\/([^/]+)\//.exec(path)?.[1] ?? []))]
  .filter((kind) => kind !== 'define');

describe('lists', () => {
  test('graph/ops/index.ts lists the folder', () => {
    expect(importsOf('src-main/graph/ops/index.ts', '')).toEqual(modulesIn('src-main/graph/ops'));
  });

  test('there is a catalog', () => {
    expect(kinds).toEqual(expect.arrayContaining(['adapters', 'families', 'objectives', 'optimizers', 'samplers', 'schedules']));
  });

  test.each(kinds)('catalog/%s/index.ts lists the folder', (kind) => {
    expect(importsOf(`src-main/catalog/${kind}/index.ts`, '')).toEqual(modulesIn(`src-main/catalog/${kind}`));
  });
});

const importedNames = ['dora', 'lora', 'adamw', 'lion', 'prodigy', 'adafactor', 'rex', 'cosine-restarts', 'min-snr', 'debiased'];

/** Ids that are also plain words of the program, and where a job's defaults name a choice. */
const mayName: Readonly<Record<string, readonly string[]>> = {
  // Programs that jobs can name, before the catalog is there.
  'src-main/contract/job.ts': ['adamw', 'constant', 'ddim', 'dora', 'comfyui', 'a1111', 'forge', 'invokeai'],
  // Words of the command line for what a file holds.
  'src-main/contract/export-kinds.ts': ['dora', 'lora'],
  // A family says which tokenizer its text encoders were trained with.
  'src-main/catalog/families/stable-diffusion.ts': ['clip-bpe'],
  // Importers translate the names of other programs into ours.
  'src-main/catalog/define/imported-settings.ts': importedNames,
  'src-main/catalog/importers/ai-toolkit.ts': importedNames,
  'src-main/catalog/importers/kohya-settings.ts': importedNames,
  'src-main/catalog/importers/one-trainer.ts': importedNames,
};
const plainWords = new Set(['constant', 'cosine', 'epsilon', 'full', 'linear', 'v', 'v-prediction', 'diffusers', 'none']);

describe('names', () => {
  const ids = kinds.flatMap((kind) => modulesIn(`src-main/catalog/${kind}`)
    .map((name) => ({ id: name.replace(/\.ts$/, ''), own: `src-main/catalog/${kind}/${name}` })));

  test.each(ids.filter(({ id }) => !plainWords.has(id)))('only its own file knows $id', ({ id, own }) => {
    const others = product.filter(({ path }) => path !== own && !/^src-main\/catalog\/([^/]+\/)?index\.ts$/.test(path)
      && !(mayName[path] ?? []).includes(id));
    expect(matches(others, new RegExp(`['"\`]${id}['"\`]`))).toEqual([]);
  });

  test('what magnitudes are called in files stands in one place', () => {
    const others = product.filter(({ path }) => path !== 'src-main/nn/low-rank.ts' && path !== 'src-main/catalog/define/format.ts');
    expect(matches(others, /['"`.](?:lora_magnitude_vector|dora_scale)['"`]/)).toEqual([]);
  });

  test('nobody asks which family a model is', () => {
    const others = product.filter(({ path }) => !path.startsWith('src-main/catalog/families/'));
    expect(matches(others, /\bfamil(y|yId|yName)(\.(id|name|label))?\s*[!=]==?|switch\s*\([^)]*\bfamily/i)).toEqual([]);
  });
});

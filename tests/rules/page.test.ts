// What the page may import: itself, the types of contract/, and of it the plain functions that stand without schemas, so
// that one rule (what of an event log counts, what a canary says) is written once and the page stays small.
import { dirname, join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { sourceFiles, type SourceFile } from './source-files.ts';

/** Modules of contract/ with plain functions and constants. */
const PLAIN = ['src-main/contract/canary.ts', 'src-main/contract/export-kinds.ts', 'src-main/contract/run-course.ts', 'src-main/contract/said-codes.ts'];

const IMPORT = /(?:^|\n)\s*(?:import|export)\s+(type\s)?([^'"`;]*?)from\s+'([^']+)'|(?:^|\n)\s*import\s+'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/g;

/** Faults of one file of the page, or of one that it takes functions from. */
function faultsOf({ path, text }: SourceFile): string[] {
  // Scripts of components begin right after their tag.
  const source = text.replaceAll(/<script[^>]*>/g, '\n');
  return [...source.matchAll(IMPORT)].flatMap(([, type, names = '', from, bare, lazy]) => {
    const specifier = from ?? bare ?? lazy ?? '';
    const isType = type !== undefined || (names.includes('{') && names.replaceAll(/[{}\s]/g, '').split(',').filter(Boolean).length > 0
      && /^\s*\{(\s*type\s+\w+(\s+as\s+\w+)?\s*,?)+\s*\}\s*$/.test(names));
    const target = specifier.startsWith('.') ? join(dirname(path), specifier.replace(/\?raw$/, '')) : specifier;
    const say = (why: string): string[] => [`${path}: ${specifier}: ${why}`];
    if (path.startsWith('src-main/')) return isType ? [] : say('plain functions import types only');
    if (specifier.startsWith('node:') && path !== 'src-renderer/vite.config.ts') return say('the page runs in a browser');
    if (!specifier.startsWith('.') || target.startsWith('src-renderer/') || /^shaders\/[\w-]+\.wgsl$/.test(target)) return [];
    if (!target.startsWith('src-main/contract/')) return say('the page knows the program by its contract');
    return isType || PLAIN.includes(target) ? [] : say('the page takes types of the contract, and plain functions');
  });
}

test('the page and what it takes keep the rule', () => {
  const page = sourceFiles(['src-renderer']);
  expect(page.filter(({ path }) => path.endsWith('.svelte')).length).toBeGreaterThan(20);
  const plain = sourceFiles(['src-main']).filter(({ path }) => PLAIN.includes(path));
  expect(plain).toHaveLength(PLAIN.length);
  expect([...page, ...plain].flatMap(faultsOf)).toEqual([]);
});

describe('it is reported when it is broken', () => {
  const component = (line: string): SourceFile => ({ path: 'src-renderer/views/A.svelte', text: `<script lang="ts">${line}\n</script>\n<p></p>` });
  test.each([
    ["import { x } from '../../src-main/base/errors.ts';", 1], ["import type { X } from '../../src-main/train/plan.ts';", 1], ["import '../../src-main/contract/job.ts';", 1],
    ["const x = import('../../src-main/nn/unet.ts');", 1], ["import { join } from 'node:path';", 1],
    ["import { devices } from '../../src-main/contract/devices.ts';", 1], ["import { type Device, devices } from '../../src-main/contract/devices.ts';", 1],
    ["import { x } from '../../tests/x.ts';", 1],
    ["import type { Job } from '../../src-main/contract/job.ts';", 0], ["import { type Job, type Consumer } from '../../src-main/contract/job.ts';", 0],
    ["import { courseOf } from '../../src-main/contract/run-course.ts';", 0], ["import shader from '../../shaders/viewer.wgsl?raw';", 0],
    ["import { x } from '../state/x.ts';\n  import type { Y } from '../../src-main/contract/api.ts';", 0],
  ])('%s', (line, faults) => {
    expect(faultsOf(component(line))).toHaveLength(faults);
  });

  test('a plain function that brings schemas along', () => {
    expect(faultsOf({ path: 'src-main/contract/canary.ts', text: "import { z } from 'zod';\nexport const x = z;" })).toHaveLength(1);
    expect(faultsOf({ path: 'src-main/contract/canary.ts', text: "import type { X } from './events.ts';" })).toEqual([]);
  });
});

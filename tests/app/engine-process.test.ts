// The memory settings of a command reach its process from the window, from the command line and from tools alike.
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { engineArguments, engineEnvironment } from '../../src-main/app/trainer/engine-process.ts';

const HUGE = { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' };

test('a command has its own settings in place of those around it, and a person’s own before both', () => {
  const training = engineEnvironment('train', { PATH: '/bin' });
  expect(training).toMatchObject({ PATH: '/bin', ...HUGE });
  const inside = engineEnvironment('export', training);
  expect(inside).not.toHaveProperty('GLIBC_TUNABLES');
  expect(Number(inside['MALLOC_TRIM_THRESHOLD_'])).toBeLessThan(Number(training['MALLOC_TRIM_THRESHOLD_']));
  expect(engineEnvironment('export', { PATH: '/bin' })).toEqual(inside);
  expect(engineEnvironment('export', { MALLOC_TRIM_THRESHOLD_: '7' })['MALLOC_TRIM_THRESHOLD_']).toBe('7');
  expect(engineEnvironment('train', { MALLOC_TRIM_THRESHOLD_: '7' })['MALLOC_TRIM_THRESHOLD_']).toBe('7');
});

test('Node takes the arguments', () => {
  expect(spawnSync(process.execPath, [...engineArguments, '-p', '6 * 7'], { encoding: 'utf8' }).stdout.trim()).toBe('42');
});

// What a trainer process is started with: asked of a real one.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { forkHost } from '../../src-main/app/trainer/fork-host.ts';
import type { CommandName } from '../../src-main/contract/trainer.ts';
import { folderOfFile } from '../files/temporary.ts';

const entry = join(folderOfFile(), 'tells.mjs');
writeFileSync(entry, `process.send({ kind: 'progress', label: { code: 'x', data: {}, text: JSON.stringify([process.execArgv, process.env]) }, done: 0, total: 0 });`);

/** How a trainer of that command is started from an app with this environment. */
function started(command: CommandName, around: NodeJS.ProcessEnv): Promise<[string[], NodeJS.ProcessEnv]> {
  return new Promise((resolve) => {
    forkHost(entry, around).start(command).onMessage((message) => {
      if (message.kind === 'progress') resolve(JSON.parse(message.label.text) as [string[], NodeJS.ProcessEnv]);
    });
  });
}

test('training keeps freed memory, an export does not, whatever the app itself was started with', async () => {
  const [args, training] = await started('train', { PATH: 'here' });
  expect(args).toContain('--single-threaded-gc');
  expect(training['MALLOC_TRIM_THRESHOLD_']).toBe('8589934592');

  const [, exporting] = await started('export', { ...training, GLIBC_TUNABLES: 'the.users=own' });
  expect(Object.keys(exporting).filter((name) => name.startsWith('MALLOC'))).toEqual([]);
  expect([exporting['PATH'], exporting['GLIBC_TUNABLES']]).toEqual(['here', 'the.users=own']);
});

import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { refuseSources } from '../../src-main/files/keep-sources.ts';
import { temporaryFolder } from './temporary.ts';

test('what is read is never written over, by whichever name', () => {
  const folder = temporaryFolder();
  const [file, link] = [join(folder, 'a.safetensors'), join(folder, 'b.safetensors')];
  writeFileSync(file, '');
  symlinkSync(file, link);
  for (const out of [file, link, join(folder, 'x', '..', 'a.safetensors')]) expect(() => refuseSources(out, [join(folder, 'c'), file]), out).toThrow(/would be lost/);
  refuseSources(join(folder, 'new.safetensors'), [file, link]);
});

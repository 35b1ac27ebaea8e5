import { test } from 'vitest';
import { readdirSync } from 'node:fs';
import { jobAt, train, usePlace } from './run.ts';
const place = usePlace();
test('x', async () => {
  for (const folder of ['/tmp/small/run', '/proc/run', '/sys/run']) {
    try { await train(place, jobAt(place, { train: { saveEvery: 1, keep: 50, steps: 50 } }), { runFolder: folder }); console.log('finished'); }
    catch (e) { console.log(String((e as Error).message), (e as { code: string }).code); }
  }
  console.log(readdirSync('/tmp/small/run'), readdirSync('/tmp/small/run/checkpoints'));
});

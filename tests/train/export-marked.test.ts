// Which checkpoint an export takes.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exportCommand, type ExportRequest } from '../../src-main/train/export-command.ts';
import { temporaryFolder } from '../files/temporary.ts';
import { jobAt, train, usePlace } from './run.ts';

const place = usePlace();

test('an export takes the checkpoint that was chosen as the best, and says so; a step that is named comes first', async () => {
  const { folder } = await train(place, jobAt(place, { name: 'marked', adapter: { kind: 'lora', targets: 'attention', rank: 2 }, train: { steps: 3, saveEvery: 1, keep: 3 } }));
  const exported = async (more: Partial<ExportRequest> = {}): Promise<{ step: unknown; told: string[] }> => {
    const told: string[] = [];
    const { data } = await exportCommand({ run: folder, sample: false, out: temporaryFolder(), for: 'comfyui', ...more }, { onEvent: (event) => void (event.kind === 'warning' && told.push(event.code)) });
    return { step: (data as { step?: number }).step, told };
  };
  expect((await exported()).step).toBe(3);
  writeFileSync(join(folder, 'chosen.json'), JSON.stringify({ version: 1, step: 2 }));
  expect(await exported()).toEqual({ step: 2, told: ['export.marked'] });
  expect(await exported({ step: 1 })).toEqual({ step: 1, told: [] });
  // Deleted since, or damaged: as if nothing had been chosen.
  writeFileSync(join(folder, 'chosen.json'), JSON.stringify({ version: 1, step: 9 }));
  expect((await exported()).step).toBe(3);
  writeFileSync(join(folder, 'chosen.json'), '{');
  expect((await exported()).step).toBe(3);
});

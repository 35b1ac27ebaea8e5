// The demo's files for other programs: the adapter in every layout, and the base model with the adapter merged in.
import { cpSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../files/atomic-write.ts';
import type { HostTensor } from '../runtime/runtime.ts';
import type { ChosenRuntime } from './choose-runtime.ts';
import { mergedWeights } from './merged-weights.ts';
import { chooseCheckpoint, openRun, openSavedValues } from './open-run.ts';
import { saveModel } from './save-model.ts';

export interface DemoExport {
  /** Folder of the merged model. */
  readonly merged: string;
  readonly files: readonly string[];
}

/** Takes the adapter files that the run has written, and writes the merged model. */
export async function exportDemo(runFolder: string, folder: string, chosen: ChosenRuntime): Promise<DemoExport> {
  const run = openRun(runFolder, chosen);
  const values = openSavedValues(chooseCheckpoint(run).path);
  const weights = new Map<string, HostTensor>();
  for await (const { path, shape, merge } of mergedWeights(run)) weights.set(path, { dtype: 'f32', shape, data: await merge(values) });
  const merged = join(folder, 'merged');
  await saveModel(weights, { base: run.job.base.model, target: merged, dtype: run.job.output.dtype });
  const adapter = join(folder, 'adapter');
  await makeFolder(adapter);
  if (existsSync(run.folder.exports)) cpSync(run.folder.exports, adapter, { recursive: true });
  return { merged, files: [...readdirSync(adapter).map((name) => join(adapter, name)), merged] };
}

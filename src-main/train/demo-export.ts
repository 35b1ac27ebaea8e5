// The demo's files for other programs: the adapter in every layout, and the base model with the adapter merged in.
import { cpSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { scoped } from '../base/dispose.ts';
import { exactIn, layoutsFor } from '../catalog/programs.ts';
import { EXPORT, RANKS_OF_DORA } from '../contract/export-kinds.ts';
import { makeFolder } from '../files/atomic-write.ts';
import type { ChosenRuntime } from './choose-runtime.ts';
import { approximate } from './export-lora.ts';
import { exportAdapter } from './export-run.ts';
import { axisOfRun, sourceOfRun } from './export-source.ts';
import { saveMerged, weightsOfAdapter, weightsOfRun } from './merge.ts';
import { proofText } from './merge-proof.ts';
import { chooseCheckpoint, openRun, openSavedValues } from './open-run.ts';
import { pictureOfRun } from './preview.ts';
import type { OpenRun } from './run-job.ts';
import type { TrainedValues } from './trained.ts';

export interface DemoExport {
  /** Folder of the merged model. */
  readonly merged: string;
  /** What reading the merged model again has shown. */
  readonly mergedProof: string;
  readonly files: readonly string[];
  /** Which vectors of a weight have magnitudes of their own; null for adapters without. */
  readonly axis: string | null;
  /** Of the plain LoRA for programs that do not apply these magnitudes: the share of the change that it leaves out; null without one. */
  readonly approximationError: number | null;
}

/** Takes the adapter files that the run has written, and writes the merged model, weight by weight. */
export async function exportDemo(runFolder: string, folder: string, chosen: ChosenRuntime): Promise<DemoExport> {
  const run = openRun(runFolder, chosen);
  const { step, path } = chooseCheckpoint(run);
  const values = openSavedValues(path);
  const settings = { target: join(folder, 'merged'), dtype: run.job.output.dtype, title: `${run.job.name}, step ${step}` };
  const { path: merged, changed, proof } = await scoped(async (keep) => {
    const weights = run.plan.adapter === null ? weightsOfRun(run, values) : keep(weightsOfAdapter(run, values)).weights;
    return saveMerged(run, weights, settings);
  });
  const adapter = join(folder, 'adapter');
  await makeFolder(adapter);
  if (existsSync(run.folder.exports)) cpSync(run.folder.exports, adapter, { recursive: true });
  const approximationError = await exportPlain(run, new Map(run.plan.tensors.map(({ name }) => [name, values(name)])), adapter);
  return { merged, mergedProof: `The merged model was read again: ${proofText(changed, proof)}`, files: [...readdirSync(adapter).map((name) => join(adapter, name)), merged], axis: axisOfRun(run), approximationError };
}

/** Programs that do not apply these magnitudes get a plain LoRA; its file says how much it leaves out, which is returned. */
async function exportPlain(run: OpenRun, values: TrainedValues, folder: string): Promise<number | null> {
  const axis = axisOfRun(run);
  const left = layoutsFor('all').filter(({ programs }) => !programs.some((program) => exactIn(program, axis)));
  if (axis === null || left.length === 0) return null;
  const source = sourceOfRun(run, values, run.job.train.steps);
  const { source: plain, errors, overall } = await approximate(source, { rank: RANKS_OF_DORA * Math.max(...source.layers.map(({ rank }) => rank)) });
  const held = { source: plain, errors, write: { approximation: { error: overall, of: `DoRA with magnitudes per ${axis}` } } };
  for (const { programs } of left) {
    await exportAdapter(source, { for: programs[0]!, kind: EXPORT.plain, dtype: run.job.output.dtype, folder, picture: pictureOfRun(run), painting: null, held }, () => {});
  }
  return overall;
}

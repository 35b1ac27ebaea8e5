// `adora export RUN`: files of a run's checkpoint for other programs.
import { join, resolve } from 'node:path';
import { UserError } from '../base/errors.ts';
import type { TrainEventBody } from '../contract/events.ts';
import type { Consumer } from '../contract/job.ts';
import { makeFolder } from '../files/atomic-write.ts';
import { chooseRuntime } from './choose-runtime.ts';
import { checkExact, exportAdapter } from './export-run.ts';
import type { FileDType } from './export-values.ts';
import { saveMerged } from './merge.ts';
import { chooseCheckpoint, openRun, openSavedValues } from './open-run.ts';
import { fileStem } from './write-adapter.ts';

export interface ExportRequest {
  readonly run: string;
  readonly step?: number;
  readonly for?: Consumer;
  /** The base model with everything merged in, instead of adapter files. */
  readonly merge: boolean;
  readonly dtype?: FileDType;
  /** Folder of the files; `exports` of the run if left out. */
  readonly out?: string;
}

export interface ExportResult {
  readonly text: string;
  readonly data: unknown;
  readonly ok: boolean;
}

/** Errors: `run.*`, `export.*`, `files.*`. */
export async function exportCommand(request: ExportRequest, { onEvent }: { readonly onEvent: (event: TrainEventBody) => void }): Promise<ExportResult> {
  const chosen = await chooseRuntime({ train: { device: 'cpu', dtype: 'f32' } });
  const run = openRun(request.run, chosen);
  const { step, path } = chooseCheckpoint(run, request.step);
  const valueOf = openSavedValues(path);
  const folder = request.out ? resolve(request.out) : run.folder.exports;
  const dtype = request.dtype ?? run.job.output.dtype;
  await makeFolder(folder);
  if (request.merge || run.plan.layers.length === 0) {
    if (request.for && !request.merge) {
      throw new UserError('export.no-adapter', `The run "${request.run}" trained the weights themselves, so there is no adapter for ${request.for}: leave --for out to export the model.`, { run: request.run });
    }
    const merged = await saveMerged(run, valueOf, { target: join(folder, `${fileStem(run.job)}-merged`), dtype: request.dtype ?? 'stored', step });
    const lost = merged.worstRounding > 0 ? `, of which rounding takes up to ${(100 * merged.worstRounding).toPrecision(2)} % in a weight` : '';
    return { text: `Step ${step}: the merged model is in ${merged.path}\n${merged.changed} weights are changed${lost}.`, data: { step, files: [merged.path], ...merged }, ok: true };
  }
  if (request.for && request.for !== 'all') checkExact(run, request.for);
  const values = new Map(run.plan.tensors.map(({ name }) => [name, valueOf(name)]));
  const lines: string[] = [];
  let ok = true;
  const emit = (event: TrainEventBody): void => {
    if (event.kind === 'verdict') {
      ok &&= event.ok;
      lines.push(event.text);
    }
    onEvent(event);
  };
  const files = await exportAdapter(run, values, { for: request.for ?? run.job.output.for, dtype, folder, step }, emit);
  if (files.length === 0) throw new UserError('export.nothing', 'No layout that this program reads can carry the adapter: export with --merge.', { run: request.run });
  return { text: [`Step ${step}:`, ...files, ...lines].join('\n'), data: { step, files }, ok };
}

// The part of the API about what runs learnt: analysis and exports; comparing stands beside it.

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, extname, join } from 'node:path';

import { serialQueue } from '../../base/async.ts';
import { UserError } from '../../base/errors.ts';
import { catalogFields } from '../../catalog/index.ts';
import { axisOfJob, verdictsOnRun } from '../../catalog/programs.ts';
import type { compareApi } from '../../contract/api-compare.ts';
import type { Analysis, ExportEntry } from '../../contract/api.ts';
import { consumers as consumerNames, type Consumer, type Job } from '../../contract/job.ts';
import { parseJob } from '../../contract/parse-job.ts';
import { say } from '../../contract/text.ts';
import { writeFileAtomic } from '../../files/atomic-write.ts';
import type { Handlers } from '../rpc.ts';
import { readObject } from '../settings.ts';
import type { StudioContext } from '../studio-context.ts';
import { callTrainer, finished } from '../trainer/call.ts';
import { chosenStep } from './chosen.ts';
import { createCompare } from './compare-handlers.ts';
import { WAITS } from './paintings.ts';
import { checkpointsOf, readRun } from './run-record.ts';

type ResultMethods = 'runs.magnitude' | keyof typeof compareApi | Extract<keyof Handlers, `export.${string}`>;

/** An export as it is kept in the run's folder. */
interface StoredExport extends Omit<ExportEntry, 'files' | 'pictures'> {
  readonly files: readonly string[];
  readonly pictures: { readonly trained: string; readonly exported: string; readonly worstDifference: number } | null;
}

export function createResults(studio: StudioContext, folderOf: (runId: string) => string): Pick<Handlers, ResultMethods> {
  const { ids, tasks, host, now, settings, turns } = studio;
  /** Each adds to a list in a file. */
  const oneAtATime = serialQueue();
  const exportsFile = (folder: string): string => join(folder, 'exports', 'exports.json');
  const storedExports = (folder: string): StoredExport[] => {
    const list = readObject(exportsFile(folder))['exports'];
    return Array.isArray(list) ? list as StoredExport[] : [];
  };
  const entryOf = (entry: StoredExport): ExportEntry => ({
    ...entry,
    files: entry.files.filter((file) => existsSync(file)).map((file) => ({ ...ids.ref(file), bytes: bytesAt(file) })),
    pictures: entry.pictures && existsSync(entry.pictures.trained) && existsSync(entry.pictures.exported)
      ? { trained: ids.image(entry.pictures.trained), exported: ids.image(entry.pictures.exported), worstDifference: entry.pictures.worstDifference } : null,
  });
  const jobOf = (folder: string): Job => {
    const record = readRun(folder);
    const result = record && parseJob(record.job, catalogFields());
    if (!result?.ok) throw new UserError('run.bad-job', 'The job of this run cannot be read.', {});
    return result.job;
  };

  return {
    ...createCompare(studio, { folderOf, jobOf }),
    'runs.magnitude': ({ runId }) => {
      const folder = folderOf(runId);
      const steps = checkpointsOf(folder).map(({ step }) => step);
      const raw = readObject(join(folder, 'analysis.json'));
      const analysis = Array.isArray(raw['points']) ? analysisOf(raw as unknown as StoredAnalysis) : null;
      if (steps.length === 0 || (analysis && steps.join() === analysis.steps.join())) return { analysis, taskId: null };
      const taskId = tasks.start({ kind: 'magnitude', subject: runId, label: 'Measure layers', unit: 'layers', key: `magnitude ${folder}` }, async ({ signal, progress }) => {
        await callTrainer(host, 'analyze', { run: folder }, { signal, onProgress: (_, done, total) => progress(done, total) }).result;
      });
      return { analysis, taskId };
    },
    'export.options': ({ runId }) => {
      const folder = folderOf(runId);
      const job = jobOf(folder);
      const isAdapter = isAdapterJob(job);
      const steps = checkpointsOf(folder).map(({ step }) => step);
      return {
        steps, defaultStep: chosenStep(folder) ?? steps.at(-1) ?? null,
        tools: isAdapter ? verdictsOnRun(axisOfJob(job)).map(({ alternatives, ...verdict }) => ({ ...verdict, alternatives: [...alternatives] })) : [],
        merged: { possible: true, bytes: bytesAt(job.base.model), ...say('export.merged', 'The base model with everything merged in: exact in every program, and as large as the model.') },
        dtypes: ['f16', 'bf16', 'f32'], defaultDtype: job.output.dtype, defaultTool: job.output.for, isAdapter,
      };
    },
    'export.start': ({ runId, step: wanted, tool, merged, dtype, folderId, picture: wantsPicture }) => {
      const folder = folderOf(runId);
      const picture = wantsPicture && !merged && isAdapterJob(jobOf(folder));
      const step = wanted ?? chosenStep(folder) ?? undefined;
      const target = consumerNames.find((name) => name === tool);
      if (!merged && target === undefined) throw new UserError('export.unknown-tool', `There is no program "${tool}" to export for.`, { tool });
      const out = folderId === undefined ? undefined : ids.path(folderId);
      const taskId = tasks.start({ kind: 'export', subject: runId, label: picture && turns.isTaken() ? WAITS.training : 'Export', unit: 'steps' }, async ({ signal, progress }) => {
        const write = (stop: AbortSignal, device: string | null, warnings: readonly string[] = []): Promise<void> => oneAtATime(async () => {
          stop.throwIfAborted();
          const outcome = await finished(callTrainer(host, 'export', {
            run: folder, merge: merged, ...(device === null ? {} : { picture: device }), ...(step === undefined ? {} : { step }), ...(dtype === undefined ? {} : { dtype }), ...(out === undefined ? {} : { out }),
            ...(merged || target === undefined ? {} : { for: target satisfies Consumer }),
          }, { signal: stop, onProgress: (label, done, total) => progress(done, total, say('task.step', label, { label })) }));
          const entry: StoredExport = {
            id: createHash('sha256').update(`${folder} ${now()}`).digest('base64url').slice(0, 16), step: outcome.step, tool, merged, dtype: dtype ?? jobOf(folder).output.dtype, time: now(),
            files: outcome.files, ok: outcome.ok, proof: [...outcome.proof], warnings: [...outcome.warnings, ...warnings], pictures: outcome.pictures,
          };
          await writeFileAtomic(exportsFile(folder), `${JSON.stringify({ version: 1, exports: [entry, ...storedExports(folder)] }, null, 1)}\n`);
        });
        if (!picture) return write(signal, null);
        const isDone = await turns.between(signal, (stop) => write(stop, settings.get().device), { again: false, onWait: (by) => progress(0, 0, WAITS[by]) });
        // Who exports wants the file more than the picture, and a training may take all night.
        if (!isDone) await write(signal, null, ['No picture was painted, because a training began meanwhile.']);
      });
      return { taskId };
    },
    'export.list': ({ runId }) => ({ exports: storedExports(folderOf(runId)).map(entryOf) }),
    'export.workflow': ({ runId, exportId }) => {
      const entry = storedExports(folderOf(runId)).find(({ id }) => id === exportId);
      const file = entry?.files.map(workflowBeside).find((path) => path !== null);
      if (!file) throw new UserError('export.no-workflow', 'This export has no workflow: export an adapter for ComfyUI with a picture.', { exportId });
      return { name: basename(file), json: readFileSync(file, 'utf8') };
    },
  };
}

/** Whether it trains an adapter, and not the weights themselves. */
const isAdapterJob = ({ task, adapter }: Job): boolean => task === 'adapter' && (adapter as Record<string, unknown>)['rank'] !== undefined;

/** Of a file, or of all files in a folder; 0 when it is gone. */
function bytesAt(path: string): number {
  const facts = statSync(path, { throwIfNoEntry: false });
  if (!facts?.isDirectory()) return facts?.size ?? 0;
  return readdirSync(path).reduce((sum, name) => sum + bytesAt(join(path, name)), 0);
}

/** Workflows are written beside the adapter under its name. */
function workflowBeside(file: string): string | null {
  const stem = file.slice(0, file.length - extname(file).length);
  return existsSync(`${stem}.workflow.json`) ? `${stem}.workflow.json` : null;
}

interface StoredSummary {
  readonly points: number;
  readonly correlation: number | null;
  readonly relativeCorrelation: number | null;
  readonly line: { readonly slope: number } | null;
  readonly relativeLine: { readonly slope: number } | null;
}

interface StoredAnalysis {
  readonly adapter: string;
  readonly steps: readonly number[];
  readonly summary: StoredSummary;
  readonly kinds: Readonly<Record<string, StoredSummary>>;
  readonly points: readonly Analysis['points'][number][];
}

function analysisOf({ adapter, steps, summary, kinds, points }: StoredAnalysis): Analysis {
  const short = (one: StoredSummary): Analysis['summary'] => ({
    points: one.points, correlation: one.correlation, relativeCorrelation: one.relativeCorrelation, slope: one.line?.slope ?? null, relativeSlope: one.relativeLine?.slope ?? null,
  });
  return {
    adapter, steps: [...steps], summary: short(summary), kinds: Object.fromEntries(Object.entries(kinds).map(([kind, one]) => [kind, short(one)])),
    points: points.map(({ layer, step, direction, magnitude, relativeMagnitude }) => ({ layer, step, direction, magnitude, relativeMagnitude })),
  };
}

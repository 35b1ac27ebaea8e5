// The part of the API about what runs learnt: analysis and exports; comparing stands beside it.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

import { serialQueue } from '../../base/async.ts';
import { UserError } from '../../base/errors.ts';
import { catalogFields } from '../../catalog/index.ts';
import { consumers } from '../../catalog/consumers/index.ts';
import { axisOfJob, verdictsOnRun } from '../../catalog/programs.ts';
import type { compareApi } from '../../contract/api-compare.ts';
import type { Analysis } from '../../contract/api.ts';
import { EXPORT, RANKS_OF_DORA } from '../../contract/export-kinds.ts';
import { consumers as consumerNames, type Consumer, type Job } from '../../contract/job.ts';
import { parseJob } from '../../contract/parse-job.ts';
import { say, type Text } from '../../contract/text.ts';
import type { Handlers } from '../rpc.ts';
import { readObject } from '../settings.ts';
import type { StudioContext } from '../studio-context.ts';
import { callTrainer, finished } from '../trainer/call.ts';
import { chosenStep } from './chosen.ts';
import { createCompare } from './compare-handlers.ts';
import { WAITS } from './device-turns.ts';
import { addExport, bytesAt, exportEntry, exportsOf, isAdapterJob, workflowOf, type StoredExport } from './run-exports.ts';
import { checkpointsOf, readRun } from './run-record.ts';

type ResultMethods = 'runs.magnitude' | keyof typeof compareApi | Extract<keyof Handlers, `export.${string}`>;

export function createResults(studio: StudioContext, folderOf: (runId: string) => string): Pick<Handlers, ResultMethods> {
  const { ids, tasks, host, now, settings, turns } = studio;
  /** Each adds to a list in a file. */
  const oneAtATime = serialQueue();
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
      const axis = isAdapter ? axisOfJob(job) : null;
      const steps = checkpointsOf(folder).map(({ step }) => step);
      return {
        steps, defaultStep: chosenStep(folder) ?? steps.at(-1) ?? null,
        tools: verdictsOnRun(axis).map(({ alternatives, ...verdict }) => ({ ...verdict, alternatives: [...alternatives], readsDifferences: consumers[verdict.id].readsDifference !== undefined })),
        kinds: [
          ...(isAdapter ? [{ kind: EXPORT.asItIs, ...say('export.adapter', 'What was trained, in the layout of the program.') }] : []),
          ...(axis === null ? [] : [{ kind: EXPORT.plain, ...say('export.approximate', 'The nearest LoRA without magnitudes: every program reads it, and it leaves out a part of the change, which is measured and told. More ranks leave out less and make the file larger.') }]),
          { kind: EXPORT.merged, ...say('export.merged', 'The base model with everything merged in: exact in every program, and as large as the model.') },
          ...(job.task === 'adapter' && job.init === 'file' ? [{ kind: EXPORT.differences, ...say('export.differences', 'Whole differences of the weights that were trained: exact, loaded like a LoRA, and as large as those weights.') }] : []),
        ],
        bytes: bytesAt(job.base.model), defaultRank: RANKS_OF_DORA * Number((job.adapter as Readonly<Record<string, unknown>>)['rank'] ?? 1),
        dtypes: ['f16', 'bf16', 'f32'], defaultDtype: job.output.dtype, defaultTool: job.output.for,
      };
    },
    'export.start': ({ runId, step: wanted, tool, kind: wantedKind, rank, dtype, folderId, picture }) => {
      const folder = folderOf(runId);
      // Whoever trained the weights themselves has nothing but a model to write.
      const kind = isAdapterJob(jobOf(folder)) || wantedKind === EXPORT.differences ? wantedKind : EXPORT.merged;
      const step = wanted ?? chosenStep(folder) ?? undefined;
      const target = consumerNames.find((name) => name === tool);
      if (target === undefined) throw new UserError('export.unknown-tool', `There is no program "${tool}" to export for.`, { tool });
      const out = folderId === undefined ? undefined : ids.path(folderId);
      const taskId = tasks.start({ kind: 'export', subject: runId, label: picture && turns.isTaken() ? WAITS.training : 'Export', unit: '' }, async ({ signal, progress }) => {
        const write = (stop: AbortSignal, device: string | null, warnings: readonly Text[] = []): Promise<void> => oneAtATime(async () => {
          stop.throwIfAborted();
          const outcome = await finished(callTrainer(host, 'export', {
            run: folder, for: target satisfies Consumer, ...(kind === EXPORT.asItIs ? {} : { as: kind }), ...(kind === EXPORT.plain && rank !== undefined ? { rank } : {}), ...(device === null ? {} : { picture: device }), ...(step === undefined ? {} : { step }), ...(dtype === undefined ? {} : { dtype }), ...(out === undefined ? {} : { out }),
          }, { signal: stop, onProgress: (label, done, total) => progress(done, total, label) }));
          const entry: StoredExport = {
            id: createHash('sha256').update(`${folder} ${now()}`).digest('base64url').slice(0, 16), step: outcome.step, tool, kind, dtype: dtype ?? (kind === EXPORT.merged ? '' : jobOf(folder).output.dtype), time: now(),
            files: outcome.files, ok: outcome.ok, proof: [...outcome.proof], warnings: [...outcome.warnings, ...warnings], pictures: outcome.pictures,
          };
          await addExport(folder, entry);
        });
        if (!picture) return write(signal, null);
        const isDone = await turns.between(signal, (stop) => write(stop, settings.get().device), { as: 'export', again: false, onWait: (by) => progress(0, 0, WAITS[by]) });
        // Who exports wants the file more than the picture, and a training may take all night.
        if (!isDone) await write(signal, null, [say('export.no-picture', 'No picture was painted, because a training began meanwhile.')]);
      });
      return { taskId };
    },
    'export.list': ({ runId }) => {
      const folder = folderOf(runId);
      return { exports: exportsOf(folder, jobOf(folder)).map((entry) => exportEntry(entry, ids)) };
    },
    'export.workflow': ({ runId, exportId }) => {
      const folder = folderOf(runId);
      const entry = exportsOf(folder, jobOf(folder)).find(({ id }) => id === exportId);
      const file = entry ? workflowOf(entry) : null;
      if (file === null) throw new UserError('export.no-workflow', 'This export has no workflow: export for ComfyUI or for all programs.', { exportId });
      return { name: basename(file), json: readFileSync(file, 'utf8') };
    },
  };
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

// The part of the API about what runs learnt: analysis, pictures for comparing, exports.

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, extname, join } from 'node:path';

import { serialQueue } from '../../base/async.ts';
import { UserError } from '../../base/errors.ts';
import { catalogFields } from '../../catalog/index.ts';
import { consumers } from '../../catalog/consumers/index.ts';
import { formats } from '../../catalog/formats/index.ts';
import type { Analysis, ExportEntry, Output } from '../../contract/api.ts';
import { consumers as consumerNames, defaultSampler, type Consumer, type Job } from '../../contract/job.ts';
import { parseJob } from '../../contract/parse-job.ts';
import type { PaintRequest } from '../../contract/trainer.ts';
import { writeFileAtomic } from '../../files/atomic-write.ts';
import type { Handlers } from '../rpc.ts';
import { readObject } from '../settings.ts';
import type { StudioContext } from '../studio-context.ts';
import { callTrainer } from '../trainer/call.ts';
import { checkpointsOf, readRun } from './run-record.ts';

type ResultMethods = 'runs.magnitude' | 'runs.compareRender' | Extract<keyof Handlers, `export.${string}`>;
type Tool = Output<'export.options'>['tools'][number];

/** An export as it is kept in the run's folder. */
interface StoredExport extends Omit<ExportEntry, 'files' | 'pictures'> {
  readonly files: readonly string[];
  readonly pictures: { readonly trained: string; readonly exported: string; readonly worstDifference: number } | null;
}

export function createResults(studio: StudioContext, folderOf: (runId: string) => string): Pick<Handlers, ResultMethods> {
  const { ids, tasks, host, folders, settings, now } = studio;
  /** Paintings and exports wait for each other: two at once would fill the device. */
  const one = serialQueue();

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
    'runs.compareRender': ({ items }) => {
      const wanted = items.map((item): PaintRequest => {
        const folder = folderOf(item.runId);
        const saved = checkpointsOf(folder).find(({ step }) => step === item.step);
        if (!saved && item.step !== 0) throw new UserError('run.no-step', `Step ${item.step} was not saved: choose one of ${checkpointsOf(folder).map(({ step }) => step).join(', ') || 'none'}.`, { step: item.step });
        const { prompt, negative, seed, guidance, steps, strength } = item;
        const sampler = item.sampler ?? jobOf(folder).preview.sampler ?? defaultSampler;
        const stamp = saved ? statSync(saved.path).mtimeMs : 0;
        const key = createHash('sha256').update(JSON.stringify([folder, item.step, stamp, strength, prompt, negative, seed, guidance, steps, sampler])).digest('hex').slice(0, 40);
        return { run: folder, step: item.step, strength, prompt, negative, seed, guidance, steps, sampler, out: join(folders.cache, 'renders', `${key}.png`) };
      });
      const images = wanted.map(({ out }) => (existsSync(out) ? ids.image(out) : null));
      const missing = [...new Map(wanted.filter((_, at) => images[at] === null).map((picture) => [picture.out, picture])).values()];
      if (missing.length === 0) return { images, taskId: null };
      const key = `render ${missing.map(({ out }) => basename(out)).join(' ')}`;
      const taskId = tasks.start({ kind: 'render', subject: items[0]!.runId, label: 'Paint', unit: 'pictures', key }, async ({ signal, progress }) => one(async () => {
        signal.throwIfAborted();
        const left = missing.filter(({ out }) => !existsSync(out));
        if (left.length === 0) return;
        const call = callTrainer(host, 'paint', { pictures: left, device: settings.get().device }, { signal, onProgress: (label, done, total) => progress(done, total, label) });
        await call.result;
        await call.gone;
      }));
      return { images, taskId };
    },
    'export.options': ({ runId }) => {
      const folder = folderOf(runId);
      const job = jobOf(folder);
      const isAdapter = job.task === 'adapter' && (job.adapter as Record<string, unknown>)['rank'] !== undefined;
      const axis = isAdapter ? axisOf(job) : null;
      return {
        steps: checkpointsOf(folder).map(({ step }) => step),
        tools: isAdapter ? Object.entries(consumers).map(([id, program]) => toolOf(id, program, axis)) : [],
        merged: { possible: true, bytes: bytesAt(job.base.model), text: 'The base model with everything merged in: exact in every program, and as large as the model.' },
        dtypes: ['f16', 'bf16', 'f32'], defaultDtype: job.output.dtype, defaultTool: job.output.for, isAdapter,
      };
    },
    'export.start': ({ runId, step, tool, merged, dtype, folderId, picture }) => {
      const folder = folderOf(runId);
      const target = consumerNames.find((name) => name === tool);
      if (!merged && target === undefined) throw new UserError('export.unknown-tool', `There is no program "${tool}" to export for.`, { tool });
      const out = folderId === undefined ? undefined : ids.path(folderId);
      const taskId = tasks.start({ kind: 'export', subject: runId, label: 'Export', unit: 'steps' }, async ({ signal, progress }) => one(async () => {
        signal.throwIfAborted();
        const call = callTrainer(host, 'export', {
          run: folder, merge: merged, picture, ...(step === undefined ? {} : { step }), ...(dtype === undefined ? {} : { dtype }), ...(out === undefined ? {} : { out }),
          ...(merged || target === undefined ? {} : { for: target satisfies Consumer }),
        }, { signal, onProgress: (label, done, total) => progress(done, total, label) });
        const outcome = await call.result;
        await call.gone;
        const entry: StoredExport = {
          id: createHash('sha256').update(`${folder} ${now()}`).digest('base64url').slice(0, 16), step: outcome.step, tool, merged, dtype: dtype ?? jobOf(folder).output.dtype, time: now(),
          files: outcome.files, ok: outcome.ok, proof: [...outcome.proof], warnings: [...outcome.warnings], pictures: outcome.pictures,
        };
        await writeFileAtomic(exportsFile(folder), `${JSON.stringify({ version: 1, exports: [entry, ...storedExports(folder)] }, null, 1)}\n`);
      }));
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

/** What a job says about the axis of magnitudes; null for an adapter without. */
function axisOf(job: Job): string | null {
  const { axis } = job.adapter as Readonly<Record<string, unknown>>;
  if (typeof axis !== 'string') return null;
  return axis === 'auto' ? String(catalogFields().adapterFor?.[job.output.for]?.['axis'] ?? '') : axis;
}

function toolOf(id: string, { label, axis, naming }: (typeof consumers)[keyof typeof consumers], trained: string | null): Tool {
  const exact = trained === null || trained === axis;
  const layout = Object.entries(formats).find(([, format]) => format.naming === naming);
  const text = exact ? 'Shows exactly what was trained.' : `Applies magnitudes per ${axis}, and this run has them per ${trained}: a file would show something else, so none is written.`;
  return {
    id, label, layout: layout?.[1].label ?? '', exact, text,
    alternatives: exact ? [] : [
      { kind: 'merged', text: 'Export the merged model: exact everywhere.' },
      { kind: 'other-tool', text: `Export for ${Object.values(consumers).filter((one) => one.axis === trained).map((one) => one.label).join(', ')}: exact there.` },
      { kind: 'train-again', text: `Train again for ${label}; the axis follows from output.for.` },
    ],
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

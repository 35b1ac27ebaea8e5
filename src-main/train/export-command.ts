// `adora export RUN|FILE`: what a run or an adapter file holds, for other programs.
import { existsSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { UserError } from '../base/errors.ts';
import type { DoraAxis } from '../catalog/define/format.ts';
import { programsFor } from '../catalog/programs.ts';
import type { TrainEvent, TrainEventBody } from '../contract/events.ts';
import { EXPORT, RANKS_OF_DORA, type ExportKind } from '../contract/export-kinds.ts';
import { defaultSampler, type Consumer } from '../contract/job.ts';
import { makeFolder } from '../files/atomic-write.ts';
import { markedStep } from '../files/run-files.ts';
import { listCheckpoints } from './checkpoint.ts';
import { chooseRuntime, type ChosenRuntime } from './choose-runtime.ts';
import type { PictureElsewhere } from './export-beside.ts';
import { checkAxis, checkNames } from './export-choice.ts';
import { differencesOf } from './export-diff.ts';
import { exportDifferences, layoutOfDifferences, type DifferencesToWrite } from './export-differences.ts';
import { approximate, type Approximation } from './export-lora.ts';
import type { ProgramProof } from './export-proof.ts';
import { exportMerged } from './export-merged.ts';
import { canPaint, isSmall, type Painting } from './export-picture.ts';
import { exportAdapter, type AdapterExport, type ExportOutcome } from './export-run.ts';
import { runStem, sourceOfFile, sourceOfRun, type ExportSource } from './export-source.ts';
import type { FileDType } from './export-values.ts';
import { runDifferences } from './export-weights.ts';
import { weightsOfAdapter, weightsOfRun, weightsOfSource, type MergeWeight } from './merge.ts';
import { chooseCheckpoint, openRun, openSavedValues } from './open-run.ts';
import { noiseOf } from './noise-of.ts';
import { pictureOfRun } from './preview.ts';
import { EventLog, readEvents } from './run-folder.ts';
import type { OpenRun } from './run-job.ts';
import { asJob, type BaseOfJob, type ToldBase } from './told-base.ts';

export interface ExportRequest extends ToldBase {
  /** Folder of a run, or an adapter file. */
  readonly run: string;
  /** What the magnitudes of an adapter file belong to, where it leaves that open. */
  readonly axis?: DoraAxis;
  readonly step?: number;
  readonly for?: Consumer;
  readonly as?: ExportKind;
  /** The same as asking for the merged model. */
  readonly merge?: boolean;
  /** Of a plain LoRA: its rank, or the share of the change that it must hold; both: what is reached first. */
  readonly rank?: number;
  readonly energy?: number;
  readonly dtype?: FileDType;
  /** Folder of the files; `exports` of the run (or the file's folder) if left out. */
  readonly out?: string;
  /** Paint a picture with the trained values and with each file; small models if left out. */
  readonly sample?: boolean;
  /** Where that picture is painted; the processor if left out. */
  readonly device?: string;
}

export interface ExportResult {
  readonly text: string;
  readonly data: unknown;
  readonly ok: boolean;
}

/** What a command gets besides its request. */
export interface CommandContext {
  readonly onEvent: (event: TrainEventBody) => void;
  readonly shouldStop: () => boolean;
}

interface Task {
  readonly request: ExportRequest;
  readonly kind: ExportKind | undefined;
  readonly target: Consumer;
  readonly folder: string;
  readonly dtype: FileDType;
  readonly chosen: ChosenRuntime;
  readonly emit: (event: TrainEventBody) => void;
  readonly pause: () => Promise<void>;
  readonly shouldStop: () => boolean;
  /** For messages: `Step 20` or the file. */
  readonly what: string;
  /** What other programs are told to paint; null for a base that lacks what that takes. */
  readonly picture: PictureElsewhere | null;
  /** Where it is painted here as well; null paints nothing. */
  readonly painting: Painting | null;
}

/** Errors: `run.*`, `export.*`, `adapter.*`, `files.*`. */
export async function exportCommand(request: ExportRequest, { onEvent, shouldStop = () => false }: Pick<CommandContext, 'onEvent'> & Partial<CommandContext>): Promise<ExportResult> {
  const kind = request.merge ? EXPORT.merged : request.as;
  checkRequest(request, kind);
  // Merging works in pieces that one thread keeps in its cache, while others read, hash and write.
  const chosen = await chooseRuntime({ train: { device: 'cpu', dtype: 'f32' } }, kind === EXPORT.merged ? threadsOfMerge() : 0);
  const shared = { request, kind, chosen, emit: onEvent, pause: pauseOf(shouldStop), shouldStop };
  if (existsSync(request.run) && statSync(request.run).isFile()) return exportFile(shared);
  const run = openRun(request.run, chosen);
  const { step, path } = checkpointOf(run, request, onEvent);
  const { job } = run;
  const emit = loggedIn(run.folder.path, onEvent);
  const folder = request.out ? resolve(request.out) : run.folder.exports;
  await makeFolder(folder);
  const task: Task = {
    ...shared, emit, folder, target: request.for ?? job.output.for, dtype: request.dtype ?? job.output.dtype, what: `Step ${step}`,
    picture: pictureOfRun(run), painting: await paintingOf(shared, run),
  };
  const saved = openSavedValues(path);
  if (run.plan.layers.length === 0) return exportWeights(run, saved, step, task);
  if (kind === EXPORT.merged && run.plan.adapter) return exportMergedRun(run, saved, step, task);
  const values = new Map(run.plan.tensors.map(({ name }) => [name, saved(name)]));
  return exportSource(sourceOfRun(run, values, step), step, task);
}

async function paintingOf({ request: { sample, device = 'cpu' }, shouldStop }: Pick<Task, 'request' | 'shouldStop'>, { baseModel, model }: Pick<OpenRun, 'baseModel' | 'model'>): Promise<Painting | null> {
  if (!(sample ?? (isSmall(baseModel, model.denoiserComponent) && canPaint(baseModel)))) return null;
  return { ...await chooseRuntime({ train: { device: device as 'cpu', dtype: 'auto' } }), shouldStop };
}

/** The step that was asked for, else the one that was marked as the best, which is told, else the last. Error: `run.no-checkpoint`. */
function checkpointOf(run: OpenRun, { step }: ExportRequest, emit: (event: TrainEventBody) => void): { step: number; path: string } {
  const marked = step === undefined ? markedStep(run.folder.path) : null;
  const found = marked === null ? undefined : listCheckpoints(run.folder.checkpoints).find((each) => each.step === marked);
  if (!found) return chooseCheckpoint(run, step);
  emit({ kind: 'warning', code: 'export.marked', text: `Step ${found.step} is exported, because it was chosen as the best; --step takes another.`, data: { step: found.step } });
  return found;
}

/** Events that end the work of a process on a run. */
const ENDS: readonly TrainEvent['kind'][] = ['finished', 'interrupted', 'failed', 'paused'];

/** Verdicts on files belong to the run's own log; one that is being written by a trainer is left alone. */
function loggedIn(run: string, onEvent: (event: TrainEventBody) => void): (event: TrainEventBody) => void {
  const last = readEvents(run).findLast(({ kind }) => kind !== 'verdict' && kind !== 'warning');
  if (!last || !ENDS.includes(last.kind)) return onEvent;
  const log = new EventLog(run, () => {});
  return (event) => {
    if (event.kind === 'verdict') log.emit(event);
    onEvent(event);
  };
}

/** Options that say what an adapter file is for. */
const OF_FILES = { base: '--base', axis: '--axis', vae: '--vae', textEncoder: '--text-encoder', prediction: '--prediction', zeroTerminalSnr: '--zero-terminal-snr', clipSkip: '--clip-skip' } as const satisfies Partial<Record<keyof ExportRequest, string>>;

const isTold = (value: unknown): boolean => value !== undefined && value !== 'auto' && value !== false && !(Array.isArray(value) && value.length === 0);

function checkRequest(request: ExportRequest, kind: ExportKind | undefined): void {
  const { rank, energy, base, run } = request;
  if ((rank !== undefined || energy !== undefined) && kind !== EXPORT.plain) {
    throw new UserError('export.rank', '--rank and --energy belong to --as lora: add it, or leave them out.', { rank, energy });
  }
  if (energy !== undefined && !(energy > 0 && energy <= 1)) throw new UserError('export.rank', `--energy is a share between 0 and 1, such as 0.99, not ${energy}.`, { energy });
  if (!existsSync(run) && run.endsWith('.safetensors')) throw new UserError('export.missing', `There is no file "${run}": name an adapter file, or the folder of a run.`, { file: run });
  const isFile = existsSync(run) && statSync(run).isFile();
  const [own] = Object.entries(OF_FILES).flatMap(([name, option]) => (isTold(request[name as keyof typeof OF_FILES]) ? [option] : []));
  if (!isFile && own !== undefined && existsSync(run)) throw new UserError('export.own-base', `${own} belongs to an adapter file, and "${run}" is a run, whose job says it: leave it out.`, { option: own, run });
  if (isFile && base === undefined) throw new UserError('export.base', `"${run}" is an adapter file: name the base model that it was trained on with --base.`, { file: run });
}

/** Reading, writing and hashing take two cores; more than four threads have too little to do in weights of one layer. */
const threadsOfMerge = (): number => Math.min(4, Math.max(1, availableParallelism() - 2));

const YIELD_MILLISECONDS = 30;

/** Lets events and signals through, and ends the work when that is asked for. */
function pauseOf(shouldStop: () => boolean): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last >= YIELD_MILLISECONDS) {
      await new Promise((done) => setImmediate(done));
      last = performance.now();
    }
    if (shouldStop()) throw new UserError('export.stopped', 'The export was stopped; nothing unfinished is left.');
  };
}

async function exportFile(shared: Omit<Task, 'target' | 'folder' | 'dtype' | 'what' | 'picture' | 'painting'>): Promise<ExportResult> {
  const { request } = shared;
  const job = asJob(request);
  const source = sourceOfFile(request.run, job, request.axis);
  const folder = request.out ? resolve(request.out) : join(resolve(request.run), '..', `${source.stem}-exports`);
  await makeFolder(folder);
  return exportSource(source, null, {
    ...shared, folder, target: request.for ?? 'all', dtype: request.dtype ?? 'f16', what: basename(request.run),
    picture: request.sample || canPaint(source.baseModel) ? pictureOfFile(source, job) : null, painting: await paintingOf(shared, source),
  });
}

/** Errors: `model.missing-part`. */
function pictureOfFile({ model, trigger }: ReturnType<typeof sourceOfFile>, job: BaseOfJob): PictureElsewhere {
  const side = model.nativeSide;
  const settings = { prompt: trigger, negative: '', seed: 0, sampler: defaultSampler, steps: 20, guidance: 7, width: side, height: side };
  return { settings, noise: noiseOf(job, model), clipSkip: job.base.clipSkip ?? null, base: job.base };
}

function exportSource(source: ExportSource, step: number | null, task: Task): Promise<ExportResult> {
  switch (task.kind) {
    case EXPORT.merged: return exportMergedSource(source, step, task);
    case EXPORT.differences: return exportDifferencesOf(source, task);
    case EXPORT.plain: return exportLora(source, task);
    default: return exportAsItIs(source, task);
  }
}

async function exportAsItIs(source: ExportSource, task: Task): Promise<ExportResult> {
  if (task.kind === EXPORT.asItIs && source.axis === null) throw new UserError('export.no-magnitudes', 'The adapter is a LoRA without magnitudes: leave --as out, or use --as lora.', { run: task.request.run });
  if (task.target !== 'all') {
    checkAxis(task.target, source.axis);
    checkNames(source, task.target);
  }
  return proved(source, {}, task);
}

async function exportLora(source: ExportSource, task: Task): Promise<ExportResult> {
  const { rank, energy } = task.request;
  const own = Math.max(...source.layers.map((layer) => layer.rank));
  // A plain LoRA is one already, unless it shall become smaller.
  if (source.axis === null && energy === undefined && (rank === undefined || rank >= own)) return exportAsItIs(source, task);
  const keep = { ...(energy === undefined ? {} : { energy }), ...(rank === undefined && energy !== undefined ? {} : { rank: rank ?? RANKS_OF_DORA * own }) };
  if (task.target !== 'all') checkNames(source, task.target);
  const found = await approximate(source, keep, { pause: task.pause, onProgress: (done, total) => task.emit({ kind: 'phase', name: 'approximate', done, total, unit: 'layers' }) });
  const of = source.axis === null ? `LoRA of rank ${own}` : `DoRA of rank ${own} with magnitudes per ${source.axis}`;
  const held = { source: found.source, errors: found.errors, write: { approximation: { error: found.overall, of } } };
  const result = await proved(source, { kind: EXPORT.plain, held }, task);
  const told = approximationText(found);
  return { ...result, text: `${result.text}\n${told}`, data: { ...(result.data as object), svdError: found.overall, worstError: found.worst, ranks: found.source.layers.map((layer) => layer.rank) } };
}

function approximationText({ overall, worst, source }: Approximation): string {
  const ranks = source.layers.map(({ rank }) => rank);
  const [least, most] = [Math.min(...ranks), Math.max(...ranks)];
  return `The plain LoRA (rank ${least === most ? most : `${least} to ${most}`}) leaves out ${percent(overall)} of the change in all, at most ${percent(worst?.error ?? 0)} in a layer ("${worst?.path ?? ''}").`;
}

const percent = (value: number): string => `${(100 * value).toPrecision(2)} %`;

async function exportDifferencesOf(source: ExportSource, task: Task): Promise<ExportResult> {
  const format = layoutOfDifferences(task.target);
  return writeDiff(source, { differences: differencesOf(source, format, task.pause), named: source.named, facts: await source.facts(), stem: source.stem }, task);
}

async function writeDiff(base: Pick<OpenRun, 'baseModel' | 'model'>, differences: DifferencesToWrite, task: Task): Promise<ExportResult> {
  const { folder, dtype, picture, painting, target } = task;
  const { emit, lines } = collecting(task);
  const { path, overall, worst, pictures } = await exportDifferences(base, differences, { for: target, folder, dtype, picture, painting }, emit);
  const files = path === null ? [] : [path];
  const proofs = files.map((file) => ({ file, compared: 1, pictures }));
  return { text: [`${task.what}:`, ...files, ...lines].join('\n'), data: { ...stepOf(task), files, overall, worst, proofs }, ok: path !== null };
}

async function exportMergedSource(source: ExportSource, step: number | null, task: Task): Promise<ExportResult> {
  const { weights, dispose } = weightsOfSource(source, task.chosen.runtime, task.request.dtype ?? task.dtype);
  try {
    return await writeMerged(source, weights, source.stem, step, task);
  } finally {
    await dispose();
  }
}

async function exportMergedRun(run: OpenRun, saved: ReturnType<typeof openSavedValues>, step: number, task: Task): Promise<ExportResult> {
  const { weights, dispose } = weightsOfAdapter(run, saved);
  try {
    return await writeMerged(run, weights, runStem(run.job, step), step, task);
  } finally {
    await dispose();
  }
}

async function writeMerged(base: Pick<OpenRun, 'baseModel' | 'model'>, weights: readonly MergeWeight[], stem: string, step: number | null, task: Task): Promise<ExportResult> {
  const { folder, request, pause, what, picture, painting, target } = task;
  const { emit, lines } = collecting(task);
  const { path, pictures, data, elsewhere } = await exportMerged(base, weights, {
    target: join(folder, `${stem}-merged`), dtype: request.dtype ?? 'stored', title: step === null ? stem : `${stem}, step ${step}`, pause, picture, painting,
    programs: programsFor(target),
  }, emit);
  return {
    text: [`${what}: the merged model is in ${path}`, ...lines].join('\n'), ok: true,
    data: { ...(step === null ? {} : { step }), files: [path], ...data, elsewhere, proofs: [{ file: path, compared: data.compared, pictures }] },
  };
}

/** A run that has trained weights themselves. */
async function exportWeights(run: OpenRun, saved: ReturnType<typeof openSavedValues>, step: number, task: Task): Promise<ExportResult> {
  if (task.kind === EXPORT.differences) {
    return writeDiff(run, await runDifferences(run, saved, step, layoutOfDifferences(task.target)), task);
  }
  if (task.kind === EXPORT.asItIs || task.kind === EXPORT.plain || (task.request.for !== undefined && task.kind === undefined)) {
    throw new UserError('export.no-adapter', `The run "${task.request.run}" trained the weights themselves, so there is no adapter${task.request.for ? ` for ${task.request.for}` : ''}: use --as merged for the model, or --as diff for the differences.`, { run: task.request.run });
  }
  const result = await writeMerged(run, weightsOfRun(run, saved), runStem(run.job, step), step, task);
  const isMoved = run.job.task === 'autoencoder' && run.job.autoencoder.part === 'all';
  return isMoved ? { ...result, text: `${result.text}\nThe scale of the latents is that of the base: a finished run measures it for the trained autoencoder and states it in its own export (vae/config.json, or "adora.latent_scale" in the metadata of a single file).` } : result;
}

/** Passes events on; texts of verdicts are kept for the result. */
function collecting({ emit }: Task): { readonly emit: (event: TrainEventBody) => void; readonly lines: readonly string[] } {
  const lines: string[] = [];
  return {
    lines,
    emit: (event) => {
      if (event.kind === 'verdict') lines.push(event.text);
      emit(event);
    },
  };
}

async function proved(source: ExportSource, more: Pick<AdapterExport, 'kind' | 'held'>, task: Task): Promise<ExportResult> {
  const { emit, lines } = collecting(task);
  const { folder, dtype, picture, painting, pause, target, request: { run } } = task;
  return resultOf(await exportAdapter(source, { for: target, folder, dtype, picture, painting, pause, ...(existsSync(run) && statSync(run).isFile() ? { from: run } : {}), ...more }, emit), lines, task);
}

const withoutLayers = ({ program, label, ok, overall, worst, problems }: ProgramProof): Omit<ProgramProof, 'layers'> => ({ program, label, ok, overall, worst, problems });

function resultOf({ files, exported, ok }: ExportOutcome, lines: readonly string[], task: Task): ExportResult {
  if (files.length === 0 && ok) throw new UserError('export.nothing', 'No layout that this program reads can carry the adapter: export with --as merged.', { run: task.request.run });
  const data = { files, proofs: exported.map(({ path, layout, proof, pictures }) => ({ file: path, layout, compared: proof.compared, programs: proof.programs.map(withoutLayers), pictures })) };
  return { text: [`${task.what}:`, ...files, ...lines].join('\n'), data: { ...stepOf(task), ...data }, ok };
}

const stepOf = ({ what }: Task): object => (what.startsWith('Step ') ? { step: Number(what.slice(5)) } : {});

// Runs a job in its folder: set up, train, export; the one way from a job to files.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { scoped } from '../base/dispose.ts';
import { UserError } from '../base/errors.ts';
import type { Model } from '../catalog/define/family.ts';
import type { TrainEvent, TrainEventBody } from '../contract/events.ts';
import type { Job } from '../contract/job.ts';
import { removeStaleTemporaries } from '../files/atomic-write.ts';
import { shown } from '../files/safetensors-header.ts';
import { openTensorboard, type Tensorboard } from '../files/tensorboard.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { checkValues, newestCheckpoint, pruneCheckpoints, type Checkpoint, type LoopState } from './checkpoint.ts';
import { chooseRuntime, type ChosenRuntime } from './choose-runtime.ts';
import { checkExact } from './export-choice.ts';
import { exportRun } from './export-run.ts';
import { trainLoop, type LoopControl, type LoopEnd } from './loop.ts';
import { openBase, type OpenModel } from './open-model.ts';
import { checkSameModel, modelIdentity, type ModelIdentity } from './model-identity.ts';
import { brokenWeight } from './not-finite.ts';
import { OptimizerState } from './optimizer-state.ts';
import { makePlan, optimizerOf, ownRateOf, type Plan } from './plan.ts';
import { RunForecast } from './forecast-run.ts';
import { checkPreview, createPreview } from './preview.ts';
import { discardRunFolder, EventLog, openRunFolder, readEvents, trainedSeconds, type OpenRunFolder, type RunFolder } from './run-folder.ts';
import { keepStart } from './start-adapter.ts';
import { keptStart } from './start-file.ts';
import { trainedTensors } from './start-values.ts';
import { StepPrograms } from './step-programs.ts';
import { createTask, type PreparedTask } from './create-task.ts';
import { countElements, type TrainedTensor } from './trained.ts';
import { versions } from './versions.ts';

export interface RunRequest {
  readonly job: Job;
  readonly runFolder: string;
  readonly resume: boolean;
  readonly onEvent: (event: TrainEvent) => void;
  readonly control: LoopControl & { waitWhilePaused?(): Promise<void> };
  /** Folder of cached latents and text embeddings; the user's cache folder when absent. */
  readonly cacheFolder?: string;
  /** What to compute with; what the job asks for when absent. */
  readonly chosen?: ChosenRuntime;
}

/** A run that is set up: what the loop and the exports work on. */
export interface OpenRun {
  readonly job: Job;
  readonly folder: RunFolder;
  readonly model: Model;
  readonly baseModel: OpenModel;
  readonly plan: Plan;
  readonly runtime: Runtime;
}

export async function runJob(request: RunRequest): Promise<'finished' | 'interrupted'> {
  const path = resolve(request.runFolder);
  const isOurs = !request.resume && !existsSync(path);
  const folder = await openRunFolder(path, request.job, request.resume);
  try {
    return await runIn(folder, request, isOurs);
  } finally {
    folder.release();
  }
}

async function runIn(folder: OpenRunFolder, request: RunRequest, isOurs: boolean): Promise<'finished' | 'interrupted'> {
  const log = new EventLog(folder.path, request.onEvent);
  let board: Tensorboard | undefined;
  let hasStarted = request.resume;
  const emit = (body: TrainEventBody): void => {
    if (body.kind === 'started') hasStarted = true;
    log.emit(body);
    if (board) writeScalars(board, body);
  };
  try {
    board = openTensorboard(join(folder.path, 'tensorboard'), Date.now() / 1000);
    await removeStaleTemporaries(folder.checkpoints);
    let isResumed = request.resume;
    for (;;) {
      const { end, step } = await runOnce(request, folder, emit, isResumed);
      if (end === 'finished') return end;
      if (end === 'paused') {
        emit({ kind: 'paused', step });
        await request.control.waitWhilePaused?.();
      }
      if (end === 'interrupted' || request.control.shouldStop()) {
        emit({ kind: 'interrupted', step, path: folder.path });
        return 'interrupted';
      }
      emit({ kind: 'resumed', step });
      isResumed = true;
    }
  } catch (error) {
    const code = error instanceof UserError ? error.code : 'internal';
    try {
      emit({ kind: 'failed', code, text: error instanceof Error ? error.message : String(error) });
    } catch {
      // On a full disk the log cannot be written either; the first error is what counts.
    }
    board?.close();
    // A run that never began leaves nothing, so that the same command works once its cause is removed.
    if (!hasStarted) {
      folder.release();
      discardRunFolder(folder, isOurs);
    }
    throw error;
  } finally {
    board?.close();
  }
}

/** From a stand-still to the end of the loop. Everything on the device is given back when it returns. */
async function runOnce(request: RunRequest, folder: RunFolder, emit: (event: TrainEventBody) => void, isResumed: boolean): Promise<{ end: LoopEnd; step: number }> {
  const { job, control } = request;
  const { baseModel, model } = openBase(job);
  const chosen = request.chosen ?? await chooseRuntime(job, 0, emit);
  const plan = makePlan(job, model, baseModel, chosen.compute);
  if (!isResumed && plan.layers.length > 0 && job.output.for !== 'all') checkExact({ job, plan, model, baseModel }, job.output.for);
  const { from } = job.adapter;
  const goesOn = job.task === 'adapter' && from !== undefined;
  const startWarnings = goesOn && !isResumed ? await keepStart({ job, plan, model, baseModel }, folder.path, from) : [];
  const tensors = trainedTensors(plan, job, baseModel, chosen.runtime, goesOn ? keptStart(folder.path) : undefined);
  const run: OpenRun = { job, folder, model, baseModel, plan, runtime: chosen.runtime };
  if (job.task !== 'autoencoder') checkPreview(run);
  // What cannot go on is refused before pictures are encoded for hours.
  const identity = modelIdentity(job.task, model, baseModel);
  const checkpoint = isResumed ? readCheckpoint(run, identity, tensors, emit) : null;
  if (baseModel.unused.length > 0) emit({ kind: 'warning', code: 'model.unused-tensors', text: `The model has ${baseModel.unused.length} tensors that nothing uses; the first is "${shown(baseModel.unused[0]!)}".`, data: { tensors: baseModel.unused.slice(0, 100) } });
  for (const warning of [...plan.warnings, ...startWarnings]) emit({ kind: 'warning', ...warning, data: { ...warning.data } });
  const ahead = new RunForecast(run, chosen, emit, request.cacheFolder);
  const prepared = await prepare(run, tensors, emit, request, isResumed ? null : ahead);
  if (!prepared) return { end: 'interrupted', step: checkpoint?.state.step ?? 0 };
  const facts = { dataset: prepared.fingerprint, model: identity };

  const { optimizer: kind, settings } = optimizerOf(job);
  const ownRate = ownRateOf(job);
  return scoped(async (keep) => {
    keep(prepared);
    const state = checkpoint ? goOn(checkpoint.state, facts, emit) : newState(facts);
    announce(run, chosen, prepared, state.step, emit);
    const optimizer = keep(await OptimizerState.create(chosen.runtime, tensors, { optimizer: kind, settings, clip: job.train.clip, ema: job.train.ema, ...(ownRate ? { hasOwnRate: ownRate.has } : {}) }, job.train.accumulate > 1, checkpoint?.values));
    const programs = keep(new StepPrograms(prepared.task, { runtime: chosen.runtime, weights: baseModel.weights, checkpointing: job.train.checkpointing, scalesLoss: chosen.scalesLoss }));
    const preview = job.task === 'autoencoder' ? null : keep(createPreview(run, () => optimizer.shown, emit, () => control.shouldStop() || (control.shouldPause?.() ?? false)));
    const started = performance.now();
    const { end, state: last } = await trainLoop({
      job, task: prepared.task, programs, optimizer, control, emit: ahead.watching(),
      checkpoints: folder.checkpoints,
      scalesLoss: chosen.scalesLoss,
      preview: preview?.run ?? null,
      brokenWeight: () => brokenWeight(baseModel),
      onCheckpoint: async (step) => pruneCheckpoints(folder.checkpoints, job.train.keep, step),
      clock: () => (performance.now() - started) / 1000,
    }, state);
    if (end === 'finished') {
      const files = await exportRun(run, optimizer.shown, prepared.latentStatistics, emit);
      emit({ kind: 'finished', step: last.step, seconds: trainedSeconds(readEvents(folder.path)), loss: last.lastProbe, files });
    }
    return { end, step: last.step };
  });
}

type RunFacts = Required<Pick<LoopState, 'dataset' | 'model'>>;

const newState = (facts: RunFacts): LoopState => ({
  step: 0, lossScale: 0, goodSteps: 0, skipped: 0, firstProbe: null, lastProbe: null, isProved: false, ...facts,
});

function goOn(state: LoopState, facts: RunFacts, emit: (event: TrainEventBody) => void): LoopState {
  if (state.dataset !== facts.dataset) {
    emit({ kind: 'warning', code: 'dataset.changed', text: 'The pictures or captions have changed since the checkpoint; training goes on with the new ones.' });
  }
  return { ...state, ...facts };
}

/** How often a request to stop is looked for while nothing but preparations is under way. */
const POLL_MILLISECONDS = 100;

/** The task; null when the run was asked to stop meanwhile. What is encoded by then stays in the cache. */
async function prepare(run: OpenRun, tensors: readonly TrainedTensor[], emit: (event: TrainEventBody) => void, { control, cacheFolder }: RunRequest, ahead: RunForecast | null): Promise<PreparedTask | null> {
  const stop = new AbortController();
  const timer = setInterval(() => control.shouldStop() && stop.abort(), POLL_MILLISECONDS);
  try {
    return await createTask(run, tensors, emit, { signal: stop.signal, ...(cacheFolder === undefined ? {} : { cacheFolder }), ...(ahead ? { onDataset: (dataset) => ahead.onDataset(dataset) } : {}) });
  } catch (error) {
    if (stop.signal.aborted && error === stop.signal.reason) return null;
    throw error;
  } finally {
    clearInterval(timer);
  }
}

/**
 * The newest checkpoint that can be read; null for a run that was stopped before its first one, which is told. Errors:
 * `checkpoint.all-broken`, `checkpoint.other-job`, `run.other-model`.
 */
function readCheckpoint({ folder, baseModel }: OpenRun, identity: ModelIdentity, tensors: readonly TrainedTensor[], emit: (event: TrainEventBody) => void): Checkpoint | null {
  const { checkpoint, broken } = newestCheckpoint(folder.checkpoints);
  if (!checkpoint) {
    if (broken.length > 0) throw allBroken(folder, broken);
    emit({ kind: 'warning', code: 'checkpoint.none', text: `The run at "${folder.path}" was stopped before its first checkpoint; training begins at step 0.` });
    return null;
  }
  for (const path of broken) emit({ kind: 'warning', code: 'checkpoint.broken', text: `The checkpoint "${path}" cannot be read; the one of step ${checkpoint.state.step} is used.`, data: { path } });
  checkSameModel(checkpoint.state.model, identity, baseModel, folder.path);
  checkValues(checkpoint, tensors);
  return checkpoint;
}

/** Going on would silently throw away what the files stand for. */
function allBroken({ path: run }: RunFolder, files: readonly string[]): UserError {
  const names = files.map((file) => `"${file}"`).join(', ');
  return new UserError('checkpoint.all-broken', `No checkpoint of the run at "${run}" can be read (${names}): put copies of them back, or remove them to begin the run again at step 0.`, { run, files });
}

function announce({ job, model, plan }: OpenRun, { runtime, compute }: ChosenRuntime, { images }: PreparedTask, fromStep: number, emit: (event: TrainEventBody) => void): void {
  emit({
    kind: 'started', fromStep, device: runtime.device, dtype: compute,
    job: {
      name: job.name, task: job.task, model: model.label, family: model.family, adapter: job.task === 'adapter' ? job.adapter.kind : 'full',
      optimizer: job.optimizer.kind, images, steps: job.train.steps, batch: job.train.batch, seed: job.train.seed,
    },
    parameters: { trained: countElements(plan.tensors), frozen: plan.frozen, tensors: plan.tensors.length },
    versions: { ...versions },
  });
}

function writeScalars(board: Tensorboard, event: TrainEventBody): void {
  // Steps after the checkpoint that a resumed run goes on from are trained again: their first values are void.
  if (event.kind === 'started') board.restart(event.fromStep === 0 ? 0 : event.fromStep + 1, Date.now() / 1000);
  else if (event.kind === 'step') {
    if (event.loss !== null) board.scalar('train/loss', event.step, event.loss, Date.now() / 1000);
    board.scalar('train/learning_rate', event.step, event.lr, Date.now() / 1000);
    if (event.gradNorm !== null) board.scalar('train/gradient_norm', event.step, event.gradNorm, Date.now() / 1000);
    if (event.updateNorm !== undefined && event.updateNorm !== null) board.scalar('train/update_norm', event.step, event.updateNorm, Date.now() / 1000);
  } else if (event.kind === 'probe' && event.loss !== null) board.scalar('probe/loss', event.step, event.loss, Date.now() / 1000);
}

// The training loop. Everything random is named by the step, so a resumed loop goes on as if it had never stopped.
import { keptUnlessFailed, scoped } from '../base/dispose.ts';
import { UserError } from '../base/errors.ts';
import type { TrainEventBody } from '../contract/events.ts';
import { measuredNumber } from '../contract/events.ts';
import type { Job } from '../contract/job.ts';
import type { DeviceTensor } from '../runtime/runtime.ts';
import { saveCheckpoint, type LoopState } from './checkpoint.ts';
import { LossScale } from './loss-scale.ts';
import { brokenGradients, notFiniteAtStart, refuseBrokenValues } from './not-finite.ts';
import type { OptimizerState } from './optimizer-state.ts';
import { PAINTING_STOPPED } from './picture.ts';
import { judgeLoss, judgeMovement, movements, PROOF_STEP } from './proof.ts';
import { ratesAt, reachWithin, stillSteps, usedRate } from './rates.ts';
import { LOSS } from './step-graph.ts';
import { readScalar, type StepPrograms } from './step-programs.ts';
import type { TaskBatch, TrainingTask } from './task.ts';

export type LoopEnd = 'finished' | 'interrupted' | 'paused';

export interface LoopControl {
  shouldStop(): boolean;
  shouldPause?(): boolean;
  /** True once per request for a sample outside the plan. */
  takeSampleRequest?(): boolean;
  /** True once per request for a checkpoint outside the plan. */
  takeSaveRequest?(): boolean;
}

export interface LoopParts {
  readonly job: Job;
  readonly task: TrainingTask;
  readonly programs: StepPrograms;
  readonly optimizer: OptimizerState;
  readonly checkpoints: string;
  readonly scalesLoss: boolean;
  readonly control: LoopControl;
  readonly emit: (event: TrainEventBody) => void;
  /**
   * Makes previews at a step; its failures are warnings, but `PAINTING_STOPPED` ends the loop. With `isRepeated` only those
   * that are missing.
   */
  readonly preview: ((step: number, isRepeated: boolean) => Promise<void>) | null;
  /** Looks for a weight of the model that is not finite. */
  readonly brokenWeight?: () => string | null;
  readonly onCheckpoint: (step: number) => Promise<void>;
  /** Seconds since some fixed moment; for the speed that is shown. */
  readonly clock: () => number;
}

/** Updates in a row that may be left out before the run is given up; with loss scaling each halves the factor. */
const MOST_SKIPPED = 9;
const MOST_SKIPPED_SCALING = 25;
/** Every so many steps the length of the update is measured: often enough to be seen, too seldom to cost anything. */
const MEASURE_UPDATE_EVERY = 5;

export async function trainLoop(parts: LoopParts, from: LoopState): Promise<{ end: LoopEnd; state: LoopState }> {
  const { job, task, programs, optimizer, control, emit, clock } = parts;
  const { steps, accumulate, probeEvery, saveEvery } = job.train;
  const scale = new LossScale(parts.scalesLoss, from.lossScale, from.goodSteps);
  const measuring = await task.measuringBatches();
  const shouldRest = (): boolean => control.shouldStop() || (control.shouldPause?.() ?? false);
  const { pending, ...start } = from;
  let state: LoopState = start;
  let skippedInARow = 0;
  let savedStep = from.step;
  let secondsPerStep = 0;

  const save = async (left?: LoopState['pending']): Promise<void> => {
    state = { ...state, lossScale: scale.value, goodSteps: scale.goodSteps };
    const values = await optimizer.snapshot();
    refuseBrokenValues(values, state.step);
    const path = await saveCheckpoint(parts.checkpoints, { state: { ...state, ...(left ? { pending: left } : {}) }, values });
    savedStep = state.step;
    emit({ kind: 'checkpoint', step: state.step, path });
    await parts.onCheckpoint(state.step);
  };
  const leave = async (left?: LoopState['pending']): Promise<{ end: LoopEnd; state: LoopState }> => {
    // The start needs no checkpoint.
    if (state.step > 0 && (left !== undefined || savedStep !== state.step)) await save(left);
    return { end: control.shouldStop() ? 'interrupted' : 'paused', state };
  };
  const tellMemory = (): void => emit({ kind: 'memory', step: state.step, rss: process.memoryUsage.rss(), peakRss: process.resourceUsage().maxRSS * 1024 });
  const wantsPreview = (): boolean => job.preview.every > 0 && (state.step % job.preview.every === 0 || state.step === steps);
  /** What is due after a step; gives what was broken off by a request to rest. */
  const finishStep = async (): Promise<LoopState['pending']> => {
    const { step } = state;
    const isLast = step === steps;
    if (step === 0 || isLast || (probeEvery > 0 && step % probeEvery === 0)) {
      const loss = await programs.measure(measuring, optimizer.shown, shouldRest);
      if (loss === null) return 'probe';
      if (step === 0 && !Number.isFinite(loss)) throw notFiniteAtStart(loss, parts.brokenWeight?.() ?? null);
      state = { ...state, firstProbe: state.firstProbe ?? loss, lastProbe: loss };
      emit({ kind: 'probe', step, loss: measuredNumber(loss) });
      if (step > 0) tellMemory();
    }
    const isPlanned = wantsPreview();
    if (step > 0 && (isLast || (saveEvery > 0 && step % saveEvery === 0) || control.takeSaveRequest?.())) await save(isPlanned ? 'preview' : undefined);
    return await runPreview(parts, isPlanned || (control.takeSampleRequest?.() ?? false), step) ? undefined : 'preview';
  };

  if (state.firstProbe === null || pending) {
    const left = pending === 'preview' ? (await runPreview(parts, wantsPreview(), state.step, true) ? undefined : pending) : await finishStep();
    if (left) return leave(left);
  }
  let proofOf = (state.isProved ?? state.step >= PROOF_STEP) ? null : await startValues(task);

  while (state.step < steps) {
    if (shouldRest()) return leave();
    const before = clock();
    const step = state.step + 1;
    const { loss, gradients } = await gradientsOf(parts, state.step * accumulate, scale.value);
    const { rate, ownRate } = ratesAt(job, step);
    const factor = 1 / (scale.value * accumulate);
    const measures = step % MEASURE_UPDATE_EVERY === 0 || step === steps;
    const { gradientNorm, skipped, updateNorm, broken } = await scoped(async (keep) => {
      for (const tensor of gradients.values()) keep(tensor);
      const result = await optimizer.apply(gradients, factor, step, rate, ownRate, stillSteps(job, step), measures);
      skippedInARow = result.skipped ? skippedInARow + 1 : 0;
      const hasGivenUp = skippedInARow > (parts.scalesLoss ? MOST_SKIPPED_SCALING : MOST_SKIPPED) || (step === steps && skippedInARow === steps);
      return { ...result, broken: hasGivenUp ? await brokenGradients(gradients) : null };
    });
    scale.note(!skipped);
    if (broken) {
      // The steps that were left out have changed nothing: what was learnt before them is not lost.
      if (state.step > savedStep && step > skippedInARow) await save();
      throw notFinite(step, skippedInARow, loss, broken);
    }
    state = { ...state, step, skipped: state.skipped + Number(skipped) };

    const seconds = clock() - before;
    // The first of a process compiles.
    secondsPerStep = step < from.step + 3 ? seconds : 0.9 * secondsPerStep + 0.1 * seconds;
    emit({
      kind: 'step', step, total: steps, loss: measuredNumber(loss), lr: usedRate(job, step), gradNorm: measuredNumber(gradientNorm), ...(updateNorm === null ? {} : { updateNorm: measuredNumber(updateNorm) }),
      secondsPerStep, eta: secondsPerStep * (steps - step),
      ...(skipped ? { skipped } : {}), ...(parts.scalesLoss ? { lossScale: scale.value } : {}),
    });
    // By now all of the step is compiled.
    if (step === from.step + 2) tellMemory();
    // Before the second real update, tensors behind one that starts at zero have had no gradient yet.
    if (proofOf && !skipped && step >= Math.min(PROOF_STEP, steps) && step >= job.schedule.warmup && step > 2) {
      await proveMovement(parts, step, proofOf);
      proofOf = null;
      state = { ...state, isProved: true };
    }
    const left = await finishStep();
    if (left) return leave(left);
  }
  emit(judgeLoss(state.step, state.firstProbe, state.lastProbe));
  return { end: 'finished', state };
}

/** Mean loss and summed gradients of the batches of one optimizer step. */
async function gradientsOf({ job, task, programs, optimizer }: LoopParts, firstBatch: number, lossScale: number): Promise<{ loss: number; gradients: Map<string, DeviceTensor> }> {
  const { accumulate } = job.train;
  let loss = 0;
  let total: Map<string, DeviceTensor> | null = null;
  for (let i = 0; i < accumulate; i++) {
    const before: Map<string, DeviceTensor> | null = total;
    const result = await keptUnlessFailed(async (keep) => {
      for (const tensor of before?.values() ?? []) keep(tensor);
      const batch: TaskBatch = await task.batchAt(firstBatch + i);
      const found = await programs.gradients(batch, optimizer.parameters, lossScale);
      for (const tensor of found.values()) keep(tensor);
      loss += (await readScalar(found.get(LOSS)!)) / accumulate;
      return found;
    });
    result.get(LOSS)!.dispose();
    result.delete(LOSS);
    total = before ? await optimizer.accumulate(before, result) : result;
  }
  return { loss, gradients: total! };
}

async function startValues({ tensors }: TrainingTask): Promise<Map<string, Float32Array>> {
  const values = new Map<string, Float32Array>();
  for (const tensor of tensors) values.set(tensor.name, await tensor.initial());
  return values;
}

async function proveMovement({ job, optimizer, emit }: LoopParts, step: number, start: ReadonlyMap<string, Float32Array>): Promise<void> {
  const now = await optimizer.snapshot();
  const verdict = judgeMovement(step, movements(start, now, reachWithin(job, step, now)));
  emit(verdict.event);
  if (!verdict.ok && verdict.event.kind === 'verdict') throw new UserError('train.nothing-learnt', verdict.event.text, verdict.event.data);
}

/** False when it was broken off by a request to rest. */
async function runPreview({ preview, emit }: LoopParts, isWanted: boolean, step: number, isRepeated = false): Promise<boolean> {
  if (!preview || !isWanted) return true;
  try {
    await preview(step, isRepeated);
  } catch (error) {
    if (error instanceof UserError && error.code === PAINTING_STOPPED) return false;
    // A picture is not worth a training run.
    const text = error instanceof Error ? error.message : String(error);
    emit({ kind: 'warning', code: 'preview.failed', text: `The preview of step ${step} failed; training goes on: ${text}` });
  }
  return true;
}

function notFinite(step: number, skipped: number, loss: number, { text, tensors }: Awaited<ReturnType<typeof brokenGradients>>): UserError {
  const what = Number.isFinite(loss) ? 'The gradient was' : `The loss (${loss}) was`;
  return new UserError('train.not-finite', `${what} not finite in ${skipped} steps in a row up to step ${step} (${text}): lower the learning rate or train with train.dtype = "f32"; what was learnt before is kept in the newest checkpoint.`, { step, skipped, tensors: tensors.slice(0, 100) });
}

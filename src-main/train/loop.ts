// The training loop. Everything random is named by the step, so a resumed loop goes on as if it had never stopped.
import { keptUnlessFailed, scoped } from '../base/dispose.ts';
import { UserError } from '../base/errors.ts';
import type { TrainEventBody } from '../contract/events.ts';
import { measuredNumber } from '../contract/events.ts';
import type { Job } from '../contract/job.ts';
import type { DeviceTensor } from '../runtime/runtime.ts';
import { saveCheckpoint, type LoopState } from './checkpoint.ts';
import { LossScale } from './loss-scale.ts';
import type { OptimizerState } from './optimizer-state.ts';
import { judgeLoss, judgeMovement, movements, PROOF_STEP } from './proof.ts';
import { ratesAt, reachWithin, stillSteps } from './rates.ts';
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
  /** Makes previews at a step; its failures are warnings. */
  readonly preview: ((step: number) => Promise<void>) | null;
  readonly onCheckpoint: (step: number) => Promise<void>;
  /** Seconds since some fixed moment; for the speed that is shown. */
  readonly clock: () => number;
}

/** Updates in a row that may be left out before the run is given up; with loss scaling each halves the factor. */
const MOST_SKIPPED = 9;
const MOST_SKIPPED_SCALING = 25;

export async function trainLoop(parts: LoopParts, from: LoopState): Promise<{ end: LoopEnd; state: LoopState }> {
  const { job, task, programs, optimizer, control, emit, clock } = parts;
  const { steps, accumulate, probeEvery, saveEvery } = job.train;
  const scale = new LossScale(parts.scalesLoss, from.lossScale, from.goodSteps);
  const measuring = await task.measuringBatches();
  const measure = async (): Promise<number> => programs.measure(measuring, optimizer.shown);
  let state = from;
  let skippedInARow = 0;
  let savedStep = from.step;
  let secondsPerStep = 0;

  if (state.firstProbe === null) {
    const loss = await measure();
    state = { ...state, firstProbe: loss, lastProbe: loss };
    emit({ kind: 'probe', step: 0, loss: measuredNumber(loss) });
    await runPreview(parts, 0, job.preview.every > 0);
  }
  const save = async (): Promise<void> => {
    state = { ...state, lossScale: scale.value, goodSteps: scale.goodSteps };
    const path = await saveCheckpoint(parts.checkpoints, { state, values: await optimizer.snapshot() });
    savedStep = state.step;
    emit({ kind: 'checkpoint', step: state.step, path });
    await parts.onCheckpoint(state.step);
  };
  let start = state.step < PROOF_STEP ? await startValues(task) : null;

  while (state.step < steps) {
    if (control.shouldStop() || control.shouldPause?.()) {
      if (savedStep !== state.step) await save();
      return { end: control.shouldStop() ? 'interrupted' : 'paused', state };
    }
    const before = clock();
    const step = state.step + 1;
    const { loss, gradients } = await gradientsOf(parts, state.step * accumulate, scale.value);
    const { rate, ownRate } = ratesAt(job, step);
    const factor = 1 / (scale.value * accumulate);
    const { gradientNorm, skipped } = await scoped(async (keep) => {
      for (const tensor of gradients.values()) keep(tensor);
      return optimizer.apply(gradients, factor, step, rate, ownRate, stillSteps(job, step));
    });
    skippedInARow = skipped ? skippedInARow + 1 : 0;
    scale.note(!skipped);
    const hasGivenUp = skippedInARow > (parts.scalesLoss ? MOST_SKIPPED_SCALING : MOST_SKIPPED);
    if (hasGivenUp || (step === steps && skippedInARow === steps)) throw notFinite(step, skippedInARow, loss);
    state = { ...state, step, skipped: state.skipped + Number(skipped) };

    const seconds = clock() - before;
    secondsPerStep = secondsPerStep === 0 || step < 3 ? seconds : 0.9 * secondsPerStep + 0.1 * seconds;
    emit({
      kind: 'step', step, total: steps, loss: measuredNumber(loss), lr: rate, gradNorm: measuredNumber(gradientNorm),
      secondsPerStep, eta: secondsPerStep * (steps - step),
      ...(skipped ? { skipped } : {}), ...(parts.scalesLoss ? { lossScale: scale.value } : {}),
    });
    // Before the second real update, tensors behind one that starts at zero have had no gradient yet.
    if (start && !skipped && step >= Math.min(PROOF_STEP, steps) && step >= job.schedule.warmup && step > 2) {
      await proveMovement(parts, step, start);
      start = null;
    }
    const isLast = step === steps;
    if (isLast || (probeEvery > 0 && step % probeEvery === 0)) {
      const value = await measure();
      state = { ...state, lastProbe: value };
      emit({ kind: 'probe', step, loss: measuredNumber(value) });
      emit({ kind: 'memory', step, rss: process.memoryUsage.rss(), peakRss: process.resourceUsage().maxRSS * 1024 });
    }
    if (isLast || (saveEvery > 0 && step % saveEvery === 0) || control.takeSaveRequest?.()) await save();
    const isPlanned = job.preview.every > 0 && (step % job.preview.every === 0 || isLast);
    await runPreview(parts, step, isPlanned || (control.takeSampleRequest?.() ?? false));
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

async function runPreview({ preview, emit }: LoopParts, step: number, isWanted: boolean): Promise<void> {
  if (!preview || !isWanted) return;
  try {
    await preview(step);
  } catch (error) {
    // A picture is not worth a training run.
    const text = error instanceof Error ? error.message : String(error);
    emit({ kind: 'warning', code: 'preview.failed', text: `The preview of step ${step} failed; training goes on: ${text}` });
  }
}

function notFinite(step: number, skipped: number, loss: number): UserError {
  const what = Number.isFinite(loss) ? 'The gradient was' : `The loss (${loss}) was`;
  return new UserError('train.not-finite', `${what} not finite in ${skipped} steps in a row up to step ${step}: lower the learning rate or train with train.dtype = "f32"; earlier checkpoints are kept.`, { step, skipped });
}

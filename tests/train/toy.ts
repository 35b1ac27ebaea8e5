// The training loop on a toy: fit y = w·x + bias by least squares. No model, no pictures; a run takes milliseconds.
import { rng } from '../../src-main/base/rng.ts';
import type { TrainEventBody } from '../../src-main/contract/events.ts';
import type { Job } from '../../src-main/contract/job.ts';
import type { Builder } from '../../src-main/graph/builder.ts';
import type { Value } from '../../src-main/graph/types.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import { f32, type HostTensor } from '../../src-main/runtime/runtime.ts';
import { newestCheckpoint, pruneCheckpoints, type LoopState } from '../../src-main/train/checkpoint.ts';
import { trainLoop, type LoopEnd, type LoopParts } from '../../src-main/train/loop.ts';
import { OptimizerState } from '../../src-main/train/optimizer-state.ts';
import { optimizerOf } from '../../src-main/train/plan.ts';
import { StepPrograms } from '../../src-main/train/step-programs.ts';
import type { TaskBatch, TrainingTask } from '../../src-main/train/task.ts';
import { temporaryFolder } from '../files/temporary.ts';
import type { JobChanges } from './run.ts';
import { tinyJob } from './tiny-model.ts';

const WIDTH = 5;
const runtime = createOnnxRuntime({ device: 'cpu', threads: 1 });
const truth = rng(7, 'truth').fillNormal(new Float32Array(WIDTH));

export interface ToyOptions {
  readonly rows?: number;
  /** Changes the inputs of a batch that is trained on, for example to something that is not finite. */
  readonly spoil?: (x: Float32Array, index: number) => void;
  /** The loss knows the bias by its square alone, so that its gradient is sound whatever the inputs are. */
  readonly leavesBias?: boolean;
  /** A further tensor whose gradient is always zero. */
  readonly hasIdleTensor?: boolean;
}

/** Rows are drawn by their number: batches of any size go through the same rows. */
export function toyTask({ rows = 4, spoil, hasIdleTensor = false, leavesBias = false }: ToyOptions = {}): TrainingTask {
  const buildLoss = (g: Builder): Value => {
    const x = g.input('x', [rows, WIDTH]);
    const bias = g.trainable('bias', [1]);
    const error = g.sub(g.linear(x, g.trainable('w', [1, WIDTH]), leavesBias ? g.detach(bias) : bias), g.input('y', [rows, 1]));
    const squares = g.mean(g.mul(error, error), { axes: [0, 1], keep: false });
    const loss = leavesBias ? g.add(squares, g.reduceSum(g.mul(bias, bias), { axes: [0], keep: false })) : squares;
    return hasIdleTensor ? g.add(loss, g.reduceSum(g.mul(g.trainable('layer.idle', [2]), 0), { axes: [0], keep: false })) : loss;
  };
  const batchOf = (index: number, change?: ToyOptions['spoil']): TaskBatch => {
    const x = new Float32Array(rows * WIDTH);
    const y = Float32Array.from({ length: rows }, (_, row) => {
      const values = rng(1, 'row', index * rows + row).fillNormal(x.subarray(row * WIDTH, (row + 1) * WIDTH));
      return values.reduce((sum, value, i) => sum + value * truth[i]!, 0.5);
    });
    change?.(x, index);
    return { key: `${rows}`, buildLoss, feeds: new Map([['x', f32(x, [rows, WIDTH])], ['y', f32(y, [rows, 1])]]), size: rows };
  };
  const idle = { name: 'layer.idle', shape: [2], initial: () => Float32Array.of(1, 2) };
  return {
    tensors: [
      { name: 'w', shape: [1, WIDTH], initial: () => new Float32Array(WIDTH).fill(0.1) },
      { name: 'bias', shape: [1], initial: () => new Float32Array(1) },
      ...(hasIdleTensor ? [idle] : []),
    ],
    builder: {},
    batchAt: async (index) => batchOf(index, spoil),
    measuringBatches: async () => [batchOf(1000), batchOf(1001)],
  };
}

export const toyJob = ({ train, ...changes }: JobChanges = {}): Job => tinyJob({
  base: { model: 'none' }, optimizer: { kind: 'adamw', learningRate: 0.02 }, ...changes,
  train: { steps: 8, saveEvery: 1, keep: 100, probeEvery: 4, ...train },
});

export interface ToyRun {
  readonly end: LoopEnd;
  readonly state: LoopState;
  readonly events: readonly TrainEventBody[];
  /** Folder of the checkpoints. */
  readonly folder: string;
  readonly values: ReadonlyMap<string, HostTensor>;
}

export interface ToySettings extends Partial<Pick<LoopParts, 'control' | 'preview' | 'scalesLoss' | 'brokenWeight'>> {
  readonly job?: Job;
  readonly task?: TrainingTask;
  /** Goes on from its newest checkpoint if it has one. */
  readonly folder?: string;
  /** Sees every event as it happens. */
  readonly onEvent?: (event: TrainEventBody) => void;
}

export async function runToy(settings: ToySettings = {}): Promise<ToyRun> {
  const { job = toyJob(), task = toyTask(), folder = temporaryFolder(), scalesLoss = false } = settings;
  const saved = newestCheckpoint(folder).checkpoint;
  const { optimizer: kind, settings: fields } = optimizerOf(job);
  const { clip, ema, accumulate, keep } = job.train;
  const optimizer = await OptimizerState.create(runtime, task.tensors, { optimizer: kind, settings: fields, clip, ema }, accumulate > 1, saved?.values);
  const programs = new StepPrograms(task, { runtime, weights: () => { throw new Error('the toy has no weights'); }, checkpointing: false, scalesLoss });
  const events: TrainEventBody[] = [];
  let ticks = 0;
  const first: LoopState = { step: 0, lossScale: 0, goodSteps: 0, skipped: 0, firstProbe: null, lastProbe: null, isProved: false, dataset: 'toy' };
  try {
    const { end, state } = await trainLoop({
      job, task, programs, optimizer, scalesLoss, checkpoints: folder,
      preview: settings.preview ?? null,
      ...(settings.brokenWeight ? { brokenWeight: settings.brokenWeight } : {}),
      control: settings.control ?? { shouldStop: () => false },
      emit: (event) => {
        events.push(event);
        settings.onEvent?.(event);
      },
      onCheckpoint: async (step) => pruneCheckpoints(folder, keep, step),
      clock: () => ticks++,
    }, saved?.state ?? first);
    return { end, state, events, folder, values: await optimizer.snapshot() };
  } finally {
    await programs.dispose();
    await optimizer.dispose();
  }
}

// What the loop needs of something that can be trained: its tensors, its batches, its loss. A task knows nothing of
// optimizers, checkpoints or devices.
import type { BuilderOptions } from '../graph/builder.ts';
import type { HostTensor } from '../runtime/runtime.ts';
import type { BuildLoss } from './step-graph.ts';
import type { TrainedTensor } from './trained.ts';

/** Inputs of one run of the step graph. */
export interface TaskBatch {
  /** Batches of equal key share a compiled program. */
  readonly key: string;
  readonly buildLoss: BuildLoss;
  readonly feeds: ReadonlyMap<string, HostTensor>;
  /** Pictures in the batch. */
  readonly size: number;
}

export interface TrainingTask {
  readonly tensors: readonly TrainedTensor[];
  /** Element types and transforms for building the loss. */
  readonly builder: BuilderOptions;
  /** The batch with this number: the same in every process. */
  batchAt(index: number): Promise<TaskBatch>;
  /** Batches with fixed noise and timesteps, whose mean loss can be compared between steps. */
  measuringBatches(): Promise<readonly TaskBatch[]>;
}

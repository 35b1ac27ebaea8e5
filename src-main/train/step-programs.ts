// Compiled programs of a task: one per batch shape for training and one for measuring, made when first needed.
import { scoped } from '../base/dispose.ts';
import { UserError } from '../base/errors.ts';
import { f32, type DeviceTensor, type Program, type Runtime, type WeightSource } from '../runtime/runtime.ts';
import { ProgramsByKey } from './programs-by-key.ts';
import { runToHost } from './run-to-host.ts';
import { LOSS, LOSS_SCALE, lossGraph, stepGraph } from './step-graph.ts';
import type { TaskBatch, TrainingTask } from './task.ts';

export interface StepProgramSettings {
  readonly runtime: Runtime;
  readonly weights: WeightSource;
  readonly checkpointing: boolean;
  readonly scalesLoss: boolean;
}

export class StepPrograms {
  private readonly task: TrainingTask;
  private readonly settings: StepProgramSettings;
  private readonly programs = new ProgramsByKey();

  constructor(task: TrainingTask, settings: StepProgramSettings) {
    this.task = task;
    this.settings = settings;
  }

  /** Loss and gradients of a batch. The caller disposes of the result. */
  async gradients(batch: TaskBatch, values: ReadonlyMap<string, DeviceTensor>, lossScale: number): Promise<Map<string, DeviceTensor>> {
    const { runtime, scalesLoss, checkpointing } = this.settings;
    const program = await this.program(`train ${batch.key}`, () =>
      stepGraph(batch.buildLoss, { builder: this.task.builder, checkpointing, scalesLoss }));
    return scoped(async (keep) => {
      const feeds = new Map(values);
      for (const [name, tensor] of batch.feeds) feeds.set(name, keep(runtime.upload(tensor)));
      if (scalesLoss) feeds.set(LOSS_SCALE, keep(runtime.upload(f32(Float32Array.of(lossScale), []))));
      return program.run(feeds);
    });
  }

  /** Mean loss over batches, without gradients; null when it shall stop meanwhile. */
  async measure(batches: readonly TaskBatch[], values: ReadonlyMap<string, DeviceTensor>, shouldStop: () => boolean = () => false): Promise<number | null> {
    let total = 0;
    let count = 0;
    for (const batch of batches) {
      // Lets signals and messages through.
      await new Promise((turn) => setImmediate(turn));
      if (shouldStop()) return null;
      const program = await this.program(`measure ${batch.key}`, () => lossGraph(batch.buildLoss, this.task.builder));
      const result = await runToHost(this.settings.runtime, program, batch.feeds, values);
      total += result.get(LOSS)!.data[0]! * batch.size;
      count += batch.size;
    }
    return total / count;
  }

  async dispose(): Promise<void> {
    await this.programs.dispose();
  }

  private program(key: string, build: () => Parameters<Runtime['compile']>[0]): Promise<Program> {
    const { runtime, weights, checkpointing } = this.settings;
    return this.programs.get(key, () => runtime.compile(build(), { weights, name: key.replaceAll(' ', '-'), savesMemory: checkpointing }));
  }
}

export async function readScalar(tensor: DeviceTensor): Promise<number> {
  const data = await tensor.read();
  if (!(data instanceof Float32Array)) throw new UserError('train.bad-scalar', 'The loss did not come back as f32.');
  return data[0]!;
}

// Compiled programs of a task: one per batch shape for training and one for measuring, made when first needed.
import { UserError } from '../base/errors.ts';
import type { DeviceTensor, Program, Runtime, WeightSource } from '../runtime/runtime.ts';
import { ProgramsByKey } from './programs-by-key.ts';
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
    const feeds = this.upload(batch);
    if (scalesLoss) feeds.set(LOSS_SCALE, runtime.upload({ dtype: 'f32', shape: [], data: Float32Array.of(lossScale) }));
    const result = await program.run(new Map([...values, ...feeds]));
    for (const tensor of feeds.values()) tensor.dispose();
    return result;
  }

  /** Mean loss over batches, without gradients. */
  async measure(batches: readonly TaskBatch[], values: ReadonlyMap<string, DeviceTensor>): Promise<number> {
    let total = 0;
    let count = 0;
    for (const batch of batches) {
      const program = await this.program(`measure ${batch.key}`, () => lossGraph(batch.buildLoss, this.task.builder));
      const feeds = this.upload(batch);
      const result = await program.run(new Map([...values, ...feeds]));
      total += (await readScalar(result.get(LOSS)!)) * batch.size;
      count += batch.size;
      for (const tensor of [...feeds.values(), ...result.values()]) tensor.dispose();
    }
    return total / count;
  }

  async dispose(): Promise<void> {
    await this.programs.dispose();
  }

  private program(key: string, build: () => Parameters<Runtime['compile']>[0]): Promise<Program> {
    const { runtime, weights } = this.settings;
    return this.programs.get(key, () => runtime.compile(build(), { weights, name: key.replaceAll(' ', '-') }));
  }

  private upload(batch: TaskBatch): Map<string, DeviceTensor> {
    return new Map([...batch.feeds].map(([name, tensor]) => [name, this.settings.runtime.upload(tensor)]));
  }
}

export async function readScalar(tensor: DeviceTensor): Promise<number> {
  const data = await tensor.read();
  if (!(data instanceof Float32Array)) throw new UserError('train.bad-scalar', 'The loss did not come back as f32.');
  return data[0]!;
}

// One case of the benchmark: whole training steps (gradients and optimizer) on fixed inputs.
import { join } from 'node:path';
import { rng } from '../base/rng.ts';
import { sizeOf } from '../base/shape.ts';
import { adapters } from '../catalog/adapters/index.ts';
import { catalogFields } from '../catalog/index.ts';
import { detectModel } from '../catalog/families/index.ts';
import type { Model } from '../catalog/define/family.ts';
import { issueLine } from '../contract/issue.ts';
import { parseJob } from '../contract/parse-job.ts';
import type { Job } from '../contract/job.ts';
import { assert, UserError } from '../base/errors.ts';
import type { Builder } from '../graph/builder.ts';
import { f32, type HostTensor } from '../runtime/runtime.ts';
import { isBenchModel, writeRandomModel, type BenchModel } from './bench-models.ts';
import { chooseRuntime } from './choose-runtime.ts';
import { openModel } from './open-model.ts';
import { OptimizerState } from './optimizer-state.ts';
import { makePlan, optimizerOf } from './plan.ts';
import { trainedTensors } from './start-values.ts';
import { LOSS, weightedSquaredError } from './step-graph.ts';
import { readScalar, StepPrograms } from './step-programs.ts';
import type { TaskBatch, TrainingTask } from './task.ts';
import { timeRuntime } from './timed-runtime.ts';

export interface BenchCase {
  readonly model: BenchModel | 'starter';
  readonly adapter: string;
  readonly batch: number;
  /** Height and width of the latent. */
  readonly side: number;
  readonly tokens: number;
  readonly checkpointing: boolean;
}

const shapes = {
  u142: { batch: 2, side: 32, tokens: 77 },
  sd15: { batch: 1, side: 64, tokens: 77 },
  starter: { batch: 4, side: 16, tokens: 40 },
} as const;

const CHECKPOINTED = '-checkpointed';
const lowRank = Object.entries(adapters).flatMap(([id, { trainsWeights }]: [string, { trainsWeights?: boolean }]) => (trainsWeights ? [] : [id]));

/** `<model>-<adapter>[-checkpointed]`. The large model takes minutes and gigabytes: only when asked for by name. */
export const benchNames: readonly string[] = Object.keys(shapes).flatMap((model) => lowRank.flatMap((adapter) => [`${model}-${adapter}`, `${model}-${adapter}${CHECKPOINTED}`]));
export const usualBenchNames = benchNames.filter((name) => !name.startsWith('sd15-'));

function caseOf(name: string): BenchCase {
  const [model, adapter] = name.replace(CHECKPOINTED, '').split('-') as [keyof typeof shapes, string];
  return { model, adapter, ...shapes[model], checkpointing: name.endsWith(CHECKPOINTED) };
}

export interface CaseSettings {
  /** Measured steps. */
  readonly repeats: number;
  readonly threads: number;
  readonly device: string;
  readonly dtype: string;
}

/** Times in seconds, memory in bytes. */
export interface Measured {
  readonly name: string;
  readonly engine: string;
  readonly median: number;
  readonly least: number;
  readonly peakMemory: number;
  /** From the graph to compiled programs. */
  readonly build: number;
  readonly outside: number | null;
}

const WARM_UP = 2;

/** Error: `bench.stopped`, between two steps. */
export async function measureCase(name: string, request: CaseSettings, assets: string, shouldStop: () => boolean = () => false): Promise<Measured> {
  const spec = caseOf(name);
  const random = isBenchModel(spec.model) ? await writeRandomModel(spec.model) : null;
  try {
    return await measure(name, spec, random?.folder ?? join(assets, 'starter'), request, shouldStop);
  } finally {
    random?.remove();
  }
}

async function measure(name: string, spec: BenchCase, root: string, { repeats, threads, device, dtype }: CaseSettings, shouldStop: () => boolean): Promise<Measured> {
  const job = jobOf(spec, root, device, dtype);
  const folder = openModel(root, true);
  const model = detectModel(folder.files);
  const chosen = await chooseRuntime(job, threads);
  const timed = timeRuntime(chosen.runtime);
  const plan = makePlan(job, model, folder, chosen.compute);
  const tensors = trainedTensors(plan, job, folder, timed.runtime);
  const { optimizer: kind, settings } = optimizerOf(job);
  const started = performance.now();
  const optimizer = await OptimizerState.create(timed.runtime, tensors, { optimizer: kind, settings, clip: 0, ema: 0 }, false);
  const task = fixedTask(spec, model, plan.builder);
  const programs = new StepPrograms(task, { runtime: timed.runtime, weights: folder.weights, checkpointing: spec.checkpointing, scalesLoss: chosen.scalesLoss });
  const step = async (index: number): Promise<void> => {
    // Signals come between two steps only: the library computes without a pause.
    await new Promise(setImmediate);
    if (shouldStop()) throw stopped();
    const result = await programs.gradients(await task.batchAt(index), optimizer.parameters, chosen.scalesLoss ? 2 ** 10 : 1);
    const loss = result.get(LOSS)!;
    assert(Number.isFinite(await readScalar(loss)), 'the loss of a benchmark is finite');
    loss.dispose();
    result.delete(LOSS);
    await optimizer.apply(result, 1, index + 1, 1e-4);
    for (const tensor of result.values()) tensor.dispose();
  };
  await step(0);
  const firstStep = (performance.now() - started) / 1000;
  for (let i = 1; i < WARM_UP; i++) await step(i);
  const [before, beforeDevice] = [performance.now(), timed.seconds()];
  const seconds: number[] = [];
  for (let i = 0; i < repeats; i++) {
    const start = performance.now();
    await step(WARM_UP + i);
    seconds.push((performance.now() - start) / 1000);
  }
  const whole = (performance.now() - before) / 1000;
  const outside = 1 - (timed.seconds() - beforeDevice) / whole;
  await programs.dispose();
  await optimizer.dispose();
  const sorted = seconds.sort((a, b) => a - b);
  const median = sorted[sorted.length >> 1]!;
  return { name, engine: 'adora', median, least: sorted[0]!, peakMemory: process.resourceUsage().maxRSS * 1024, build: firstStep - median, outside };
}

function jobOf({ adapter, checkpointing }: BenchCase, model: string, device: string, dtype: string): Job {
  const result = parseJob({
    version: 1, base: { model }, data: { folders: [{ path: '.' }] },
    adapter: { kind: adapter, rank: 16, alpha: 16 }, train: { device, dtype, checkpointing },
  }, catalogFields());
  assert(result.ok, `the job of a benchmark is valid: ${result.ok ? '' : result.issues.map(issueLine).join(' ')}`);
  return result.job;
}

export const stopped = (): UserError => new UserError('bench.stopped', 'The benchmark was stopped; nothing of it is left.');

/** The same random batch at every step. */
function fixedTask({ batch, side, tokens }: BenchCase, model: Model, builder: TrainingTask['builder']): TrainingTask {
  const types = model.condition(tokens);
  const shape = [batch, 4, side, side];
  const normal = (name: string, extents: readonly number[]): HostTensor => f32(rng(1, 'bench', name).fillNormal(new Float32Array(sizeOf(extents))), extents);
  const feeds = new Map<string, HostTensor>([
    ['sample', normal('sample', shape)], ['target', normal('target', shape)], ['context', normal('context', [batch, ...types.context])],
    ['timestep', f32(Float32Array.from({ length: batch }, (_, i) => 10 + ((490 * i) % 990)), [batch])], ['weight', f32(new Float32Array(batch).fill(1), [batch])],
  ]);
  const buildLoss = (g: Builder) => {
    const compute = (name: string, extents: readonly number[]) => (g.compute === 'f32' ? g.input(name, extents) : g.region('condition', () => g.cast(g.input(name, extents), { to: g.compute })));
    const prediction = model.denoise(g, { sample: compute('sample', shape), timestep: g.input('timestep', [batch]), context: compute('context', [batch, ...types.context]) });
    return weightedSquaredError(g, prediction, g.input('target', shape), g.input('weight', [batch]));
  };
  const only: TaskBatch = { key: 'bench', feeds, buildLoss, size: batch };
  return { tensors: [], builder, batchAt: async () => only, measuringBatches: async () => [only] };
}

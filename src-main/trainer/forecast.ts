// What a job will need before it is started: the graph of its step is built as training builds it, and the values that
// live at the same time are added up. Nothing is computed; weights are read by their headers.

import { readdirSync, statSync } from 'node:fs';
import { freemem } from 'node:os';
import { join } from 'node:path';

import { detectModel } from '../catalog/families/index.ts';
import type { Job } from '../contract/job.ts';
import type { ForecastFacts, ModelFacts } from '../contract/trainer.ts';
import type { Builder } from '../graph/builder.ts';
import type { Graph, Value } from '../graph/types.ts';
import { graphicsMemory } from '../runtime/onnx/graphics-memory.ts';
import { buildCondition } from '../train/condition.ts';
import { chooseRuntime } from '../train/choose-runtime.ts';
import { openBase, openModel } from '../train/open-model.ts';
import { makePlan, optimizerOf } from '../train/plan.ts';
import { stepGraph, weightedSquaredError } from '../train/step-graph.ts';

const BYTES: Readonly<Record<string, number>> = { f32: 4, f16: 2, i64: 8, i32: 4, bool: 1 };
const bytesOf = ({ shape, dtype }: Pick<Value, 'shape' | 'dtype'>): number => shape.reduce((a, b) => a * b, BYTES[dtype] ?? 4);
const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
/** The program, the library and its working space. */
const PROGRAM = 400 * 2 ** 20;

/** Errors: those of opening the model. */
export async function modelFacts(path: string): Promise<ModelFacts> {
  const model = detectModel(openModel(path).files);
  return {
    family: model.family, label: model.label, nativeSide: model.nativeSide, pixelStep: model.pixelStep,
    bytes: bytesOnDisk(path), targets: Object.keys(model.targets),
  };
}

function bytesOnDisk(path: string): number {
  const facts = statSync(path);
  return facts.isDirectory() ? readdirSync(path).reduce((sum, name) => sum + bytesOnDisk(join(path, name)), 0) : facts.size;
}

/** Errors: those of the model and of the plan. */
export async function forecast(job: Job): Promise<ForecastFacts> {
  const { modelFolder, model } = openBase(job);
  const { runtime, compute, scalesLoss } = await chooseRuntime(job);
  const plan = makePlan(job, model, modelFolder, compute);
  const trained = plan.tensors.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const { optimizer, settings } = optimizerOf(job);
  const state = plan.tensors.reduce((sum, { shape }) => sum + Object.values(optimizer.state(shape, settings as never)).reduce((total: number, one) => total + sizeOf(one as readonly number[]), 0), 0);
  const side = sideOf(job, model.nativeSide);
  const graph = job.task === 'autoencoder' ? null : stepGraph((g) => {
    const { latent } = model;
    const types = model.condition(model.textEncoders[0]?.length ?? 1);
    const sample = [job.train.batch, latent.channels, Math.round(side.height / latent.factor), Math.round(side.width / latent.factor)];
    const input = (name: string, shape: readonly number[]): Value => g.input(name, [job.train.batch, ...shape], g.compute);
    const encoded = plan.trainsText ? condition(g) : null;
    const prediction = model.denoise(g, {
      sample: g.input('sample', sample, g.compute), timestep: g.input('timestep', [job.train.batch]),
      context: encoded?.context ?? input('context', types.context),
      ...(types.pooled ? { pooled: encoded?.pooled ?? input('pooled', types.pooled) } : {}),
      ...(types.timeIds ? { timeIds: g.input('timeIds', [job.train.batch, ...types.timeIds]) } : {}),
    });
    return weightedSquaredError(g, prediction, g.input('target', sample), g.input('weight', [job.train.batch]));
  }, { builder: plan.builder, checkpointing: job.train.checkpointing, scalesLoss });
  function condition(g: Builder) {
    return buildCondition(g, model, job.train.batch);
  }
  const weights = graph === null ? plan.frozen * (BYTES[compute] ?? 4) : leafBytes(graph, 'weight');
  const parts = [
    { label: 'Model', bytes: weights },
    { label: 'Trained values and optimizer', bytes: 4 * (trained * (job.train.accumulate > 1 ? 3 : 2) + state + (job.train.ema > 0 ? trained : 0)) },
    { label: 'Activations', bytes: graph === null ? 0 : peakBytes(graph) },
    { label: 'Program', bytes: PROGRAM },
  ];
  const gpus = runtime.device === 'cpu' ? [] : await graphicsMemory();
  const exportBytes = job.output.dtype === 'f32' ? 4 : 2;
  return {
    parts, trained, frozen: plan.frozen,
    checkpoint: 4 * (trained + state),
    exported: trained * exportBytes * (job.output.for === 'all' ? 2 : 1),
    device: runtime.device,
    memoryFree: runtime.device === 'cpu' ? freemem() : gpus[0]?.free ?? null,
    warnings: plan.warnings.map(({ text }) => text),
  };
}

function sideOf({ data }: Job, native: number): { width: number; height: number } {
  const { resolution } = data;
  if (resolution === 'auto') return { width: native, height: native };
  return typeof resolution === 'number' ? { width: resolution, height: resolution } : { width: resolution[0], height: resolution[1] };
}

const leafBytes = (graph: Graph, kind: string): number =>
  graph.nodes.reduce((sum, node) => sum + (node.leaf?.kind === kind ? bytesOf(node) : 0), 0);

/** The most bytes that values which are no leaves take at one time, when each is freed after its last use. */
export function peakBytes(graph: Graph): number {
  const lastUse = new Map<Value, number>();
  graph.nodes.forEach((node, at) => {
    for (const input of node.inputs) lastUse.set(input, at);
  });
  for (const output of graph.outputs.values()) lastUse.set(output, Infinity);
  const freedAt = new Map<number, number>();
  let live = 0;
  let peak = 0;
  graph.nodes.forEach((node, at) => {
    if (node.op !== 'leaf') {
      const bytes = bytesOf(node);
      live += bytes;
      peak = Math.max(peak, live);
      const end = lastUse.get(node) ?? at;
      freedAt.set(end, (freedAt.get(end) ?? 0) + bytes);
    }
    live -= freedAt.get(at) ?? 0;
  });
  return peak;
}

// The graphs that a job will run, built from settings alone: no picture is encoded for them, no weight is read.
import type { DType } from '../base/dtype.ts';
import { autoencoderLoss } from './tasks/autoencoder.ts';
import { denoiserLoss } from './tasks/denoiser.ts';
import { buildCondition } from './condition.ts';
import { denoiserGraph } from './painter.ts';
import { lossGraph, stepGraph, type BuildLoss } from './step-graph.ts';
import { createBuilder } from '../graph/builder.ts';
import type { Graph } from '../graph/types.ts';
import type { Model } from '../catalog/define/family.ts';
import type { Job } from '../contract/job.ts';
import type { Size } from '../dataset/types.ts';
import type { OpenModel } from './open-model.ts';
import { graphMemory, type GraphMemory } from './memory-model.ts';
import { graphWork } from './graph-work.ts';
import { makePlan, type Plan } from './plan.ts';

/** What decides the graphs of a job. */
export interface GraphSettings {
  readonly job: Job;
  readonly model: Model;
  readonly baseModel: Pick<OpenModel, 'storedDType' | 'files'>;
  readonly compute: DType;
  readonly scalesLoss: boolean;
  /** Pieces that the longest caption is encoded in. */
  readonly chunks: number;
}

/** What a graph takes and computes. */
export interface GraphFacts {
  readonly memory: GraphMemory;
  readonly work: number;
}

export interface JobGraphs {
  readonly plan: Plan;
  /** How training steps are compiled. */
  readonly savesMemory: boolean;
  trainGraph(size: Size): Graph;
  train(size: Size): GraphFacts;
  measure(size: Size, rows: number): GraphFacts;
  encode(size: Size): GraphFacts;
  text(): GraphFacts;
  /** One call of the denoiser for `count` previews, and their decoding. */
  paint(count: number): GraphFacts;
  decode(count: number): GraphFacts;
}

export function jobGraphs({ job, model, baseModel, compute, scalesLoss, chunks }: GraphSettings): JobGraphs {
  const plan = makePlan(job, model, baseModel, compute);
  const { channels, factor } = model.latent;
  const latentShape = ({ width, height }: Size, rows: number): number[] => [rows, channels, Math.ceil(height / factor), Math.ceil(width / factor)];
  const lossOf = (size: Size, rows: number): BuildLoss => (g) => {
    if (job.task === 'autoencoder') return autoencoderLoss(g, model, [rows, 3, size.height, size.width], latentShape(size, rows), job.autoencoder);
    const length = model.textEncoders[0]?.length ?? 1;
    return denoiserLoss(g, model, latentShape(size, rows), { tokens: chunks * length, chunks }, plan.trainsText);
  };
  const helper = () => createBuilder({ storedDType: baseModel.storedDType });
  const preview = { width: job.preview.width ?? model.nativeSide, height: job.preview.height ?? model.nativeSide };
  const known = new Map<string, GraphFacts>();
  /** Graphs of large models are large themselves: only their facts are kept. */
  const facts = (key: string, build: () => Graph, savesMemory = false): GraphFacts => {
    const found = known.get(key);
    if (found) return found;
    const graph = build();
    const made = { memory: graphMemory(graph, savesMemory), work: graphWork(graph) };
    known.set(key, made);
    return made;
  };
  const trainGraph = (size: Size): Graph => stepGraph(lossOf(size, job.train.batch), { builder: plan.builder, checkpointing: job.train.checkpointing, scalesLoss });
  const nameOf = ({ width, height }: Size): string => `${width}x${height}`;
  return {
    plan,
    savesMemory: job.train.checkpointing,
    trainGraph,
    train: (size) => facts(`train ${nameOf(size)}`, () => trainGraph(size), job.train.checkpointing),
    measure: (size, rows) => facts(`measure ${nameOf(size)} ${rows}`, () => lossGraph(lossOf(size, rows), plan.builder), job.train.checkpointing),
    encode: (size) => facts(`encode ${nameOf(size)}`, () => {
      const g = helper();
      return g.graph({ moments: g.add(model.encode(g, g.input('pixels', [1, 3, size.height, size.width])), 0) });
    }),
    text: () => facts('text', () => {
      const g = helper();
      return g.graph({ ...buildCondition(g, model, 1) });
    }),
    paint: (count) => facts(`paint ${count}`, () =>
      denoiserGraph(model, plan.builder, latentShape(preview, count * (job.preview.guidance === 1 ? 1 : 2)), model.textEncoders[0]!.length)),
    decode: (count) => facts(`decode ${count}`, () => {
      const g = helper();
      return g.graph({ pixels: model.decode(g, g.input('latents', latentShape(preview, count))) });
    }),
  };
}

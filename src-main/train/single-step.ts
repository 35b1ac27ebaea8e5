// One step of a denoiser on given inputs: prediction, loss against a target, gradients of everything trained. What
// `probe` writes and what `doctor` compares between devices.
import { scoped } from '../base/dispose.ts';
import type { Shape } from '../base/shape.ts';
import type { Model } from '../catalog/define/family.ts';
import { gradients } from '../graph/autodiff.ts';
import { createBuilder, type Builder, type BuilderOptions } from '../graph/builder.ts';
import type { Graph, Value } from '../graph/types.ts';
import { f32, type HostTensor, type Runtime, type WeightSource } from '../runtime/runtime.ts';
import { runToHost } from './run-to-host.ts';
import { gradientName, LOSS, LOSS_SCALE, weightedSquaredError } from './step-graph.ts';

export const PREDICTION = 'prediction';

/** Shapes of the inputs, by graph name; all are fed as f32. */
export interface StepShapes {
  /** [B,C,H,W] */
  readonly sample: Shape;
  /** [B,T,D] */
  readonly context: Shape;
  /** [B,P] */
  readonly pooled?: Shape;
  /** [B,6] */
  readonly timeIds?: Shape;
  /** Whether there is a target of the sample's shape; without one there is neither loss nor gradient. */
  readonly hasTarget: boolean;
}

export interface StepGraph {
  readonly graph: Graph;
  /** Every leaf that was made, used or not. */
  readonly leaves: ReadonlyMap<string, Value>;
}

/**
 * Outputs: `prediction`, `loss` (mean squared error) and `grad.<name>` of every trainable, all f32. With `scalesLoss`,
 * gradients are those of the loss times the input `loss_scale`. A tensor without influence has no gradient.
 */
export function singleStepGraph(model: Pick<Model, 'denoise'>, shapes: StepShapes, options: BuilderOptions, scalesLoss: boolean): StepGraph {
  const g = createBuilder(options);
  const batch = shapes.sample[0]!;
  const input = (name: string, shape: Shape): Value => g.region('condition', () => toCompute(g, g.input(name, shape)));
  const answer = model.denoise(g, {
    sample: input('sample', shapes.sample),
    timestep: g.input('timestep', [batch]),
    context: input('context', shapes.context),
    ...(shapes.pooled ? { pooled: input('pooled', shapes.pooled) } : {}),
    ...(shapes.timeIds ? { timeIds: g.input('timeIds', shapes.timeIds) } : {}),
  });
  const prediction = answer.dtype === 'f32' ? answer : g.region('loss', () => g.cast(answer, { to: 'f32' }));
  const outputs: Record<string, Value> = { [PREDICTION]: prediction };
  if (shapes.hasTarget) {
    const ones = g.constant(new Array<number>(batch).fill(1), [batch]);
    const loss = weightedSquaredError(g, prediction, g.input('target', shapes.sample), ones);
    outputs[LOSS] = loss;
    const trained = [...g.leaves.values()].filter(({ leaf }) => leaf!.kind === 'trainable');
    const seed = scalesLoss ? g.input(LOSS_SCALE, []) : undefined;
    gradients(g, loss, trained, seed).forEach((gradient, i) => {
      if (gradient) outputs[gradientName(trained[i]!.leaf!.name)] = gradient.op === 'leaf' ? g.mul(gradient, 1) : gradient;
    });
  }
  return { graph: g.graph(outputs), leaves: g.leaves };
}

const toCompute = (g: Builder, value: Value): Value => (value.dtype === g.compute ? value : g.cast(value, { to: g.compute }));

const FIRST_SCALE = 2 ** 14;

/**
 * Compiles and runs such a graph once. Where the loss is scaled, the scale is halved until all gradients are finite.
 * @param feeds inputs and trainables by name
 * @returns outputs by name, unscaled
 */
export async function runSingleStep(
  runtime: Runtime, graph: Graph, weights: WeightSource, feeds: ReadonlyMap<string, HostTensor>,
): Promise<Map<string, Float32Array>> {
  const used = new Set(graph.nodes.flatMap(({ leaf }) => (leaf ? [leaf.name] : [])));
  const scalesLoss = used.has(LOSS_SCALE);
  return scoped(async (keep) => {
    const program = keep(await runtime.compile(graph, { weights, name: 'step' }));
    const tensors = new Map([...feeds].filter(([name]) => used.has(name)).map(([name, tensor]) => [name, keep(runtime.upload(tensor))]));
    for (let scale = scalesLoss ? FIRST_SCALE : 1; ; scale /= 2) {
      const extra = scalesLoss ? [[LOSS_SCALE, f32(Float32Array.of(scale), [])] as const] : [];
      const results = new Map([...await runToHost(runtime, program, extra, tensors)].map(([name, { data }]) => [name, data]));
      const found = [...results].filter(([name]) => name.startsWith(gradientName('')));
      if (scale > 1 && found.some(([, data]) => !data.every(Number.isFinite))) continue;
      for (const [name, data] of found) results.set(name, data.map((value) => value / scale));
      return results;
    }
  });
}

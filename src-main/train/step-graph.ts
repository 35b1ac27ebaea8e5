// The graph of a training step: loss and the gradient of every trained tensor.
import { assert, UserError } from '../base/errors.ts';
import type { DType } from '../base/dtype.ts';
import { gradients } from '../graph/autodiff.ts';
import { createBuilder, type Builder, type BuilderOptions } from '../graph/builder.ts';
import { recompute } from '../graph/passes/recompute.ts';
import type { Graph, Value } from '../graph/types.ts';

/** Builds the scalar loss (f32) from the fed inputs. */
export type BuildLoss = (g: Builder) => Value;

export const LOSS = 'loss';
export const LOSS_SCALE = 'loss_scale';
export const gradientName = (tensor: string): string => `grad.${tensor}`;

export interface StepGraphOptions {
  readonly builder: BuilderOptions;
  readonly checkpointing: boolean;
  /** Multiplies the loss before differentiation by the fed scalar `loss_scale`, so that f16 gradients do not vanish. */
  readonly scalesLoss: boolean;
}

/** Outputs: `loss` and `grad.<name>` for every trained tensor. Errors: `train.not-connected`. */
export function stepGraph(buildLoss: BuildLoss, { builder, checkpointing, scalesLoss }: StepGraphOptions): Graph {
  const g = createBuilder({ ...builder, training: true });
  const loss = buildLoss(g);
  assert(loss.dtype === 'f32', 'the loss must be f32');
  const trained = trainedLeaves(g);
  const seed = scalesLoss ? g.input(LOSS_SCALE, []) : undefined;
  const found = gradients(g, loss, trained, seed);
  const outputs: Record<string, Value> = { [LOSS]: loss };
  trained.forEach((leaf, i) => {
    const gradient = found[i];
    if (!gradient) throw new UserError('train.not-connected', `"${leaf.leaf!.name}" has no influence on the loss, so it cannot be trained: choose other target layers.`, { tensor: leaf.leaf!.name });
    outputs[gradientName(leaf.leaf!.name)] = gradient.op === 'leaf' ? g.mul(gradient, 1) : gradient;
  });
  const graph = g.graph(outputs);
  return checkpointing ? recompute(graph, () => true) : graph;
}

/** The loss alone, for measuring. */
export function lossGraph(buildLoss: BuildLoss, builder: BuilderOptions): Graph {
  const g = createBuilder(builder);
  return g.graph({ [LOSS]: buildLoss(g) });
}

const trainedLeaves = (g: Builder): Value[] => [...g.leaves.values()].filter(({ leaf }) => leaf!.kind === 'trainable');

/** Weighted mean of squared errors of a batch: mean over everything but the batch, times weight[B], mean over the batch. */
export function weightedSquaredError(g: Builder, prediction: Value, target: Value, weight: Value): Value {
  return g.region('loss', () => {
    const toF32 = (value: Value): Value => (value.dtype === 'f32' ? value : g.cast(value, { to: 'f32' as DType }));
    const difference = g.sub(toF32(prediction), target);
    const axes = prediction.shape.map((_, axis) => axis).slice(1);
    const perSample = g.mean(g.mul(difference, difference), { axes, keep: false });
    return g.mean(g.mul(perSample, weight), { axes: [0], keep: false });
  });
}

// The graph of an optimizer step for all trained tensors: un-scale, measure and clip the gradient, update parameters,
// optimizer state and running average.
import type { Shape } from '../base/shape.ts';
import type { Optimizer, Slot } from '../catalog/define/optimizer.ts';
import type { SettingValue } from '../contract/fields.ts';
import { createBuilder, type Builder } from '../graph/builder.ts';
import type { Graph, Value } from '../graph/types.ts';
import { gradientName } from './step-graph.ts';

export interface UpdateSettings {
  readonly optimizer: Optimizer;
  readonly settings: Readonly<Record<string, SettingValue>>;
  /** Largest L2 norm of the whole gradient; 0 does not clip. */
  readonly clip: number;
  /** Decay of the running average of the parameters; 0 keeps none. */
  readonly ema: number;
  /** Tensors with a learning rate of their own. What an optimizer shares between tensors they have apart. */
  readonly hasOwnRate?: (tensor: string) => boolean;
}

/** Prefix of the scalars and shared states of the tensors with a rate of their own. */
export const OWN_RATE = 'own:';

export const stateName = (state: string, tensor: string): string => `${state}:${tensor}`;
export const sharedName = (state: string): string => `shared:${state}`;
export const averageName = (tensor: string): string => `average:${tensor}`;

/**
 * Inputs: `<name>`, `grad.<name>`, `<state>:<name>`, `shared:<state>`, `average:<name>`, `gradient_factor` (1 / loss
 * scale / accumulated batches) and the optimizer's scalars (with `own:` in front for tensors with a rate of their own). Outputs: the same names but the gradients, and
 * `gradient_norm` (before clipping).
 */
export function updateGraph(tensors: readonly { readonly name: string; readonly shape: Shape }[], update: UpdateSettings): Graph {
  const { optimizer, settings, clip, ema, hasOwnRate = () => false } = update;
  const g = createBuilder();
  const factor = g.input('gradient_factor', []);
  const raw = tensors.map(({ name, shape }) => g.input(gradientName(name), shape));
  const norm = g.mul(g.sqrt(totalSquares(g, raw)), g.abs(factor));
  const scale = clip > 0 ? g.mul(factor, g.minimum(g.div(g.scalar(clip), g.add(norm, 1e-6)), g.scalar(1))) : factor;
  const slots: Slot[] = tensors.map(({ name, shape }, i) => ({
    name,
    parameter: g.trainable(name, shape),
    gradient: g.mul(raw[i]!, scale),
    state: mapValues(optimizer.state(shape, settings as never), (stateShape, key) => g.trainable(stateName(key, name), stateShape)),
  }));
  const outputs: Record<string, Value> = { gradient_norm: norm };
  for (const prefix of ['', OWN_RATE]) {
    const group = slots.filter(({ name }) => hasOwnRate(name) === (prefix === OWN_RATE));
    if (group.length === 0) continue;
    const scalars = mapValues(optimizer.scalars(1, 0, settings as never), (_, key) => g.input(`${prefix}${key}`, []));
    const shared = mapValues(optimizer.shared?.(settings as never) ?? {}, (_, key) => g.trainable(sharedName(`${prefix}${key}`), []));
    const result = optimizer.update(g, group, scalars, shared, settings as never);
    result.slots.forEach(({ parameter, state }, i) => {
      const { name, parameter: { shape } } = group[i]!;
      outputs[name] = parameter;
      for (const [key, value] of Object.entries(state)) outputs[stateName(key, name)] = value;
      if (ema > 0) {
        const average = g.trainable(averageName(name), shape);
        outputs[averageName(name)] = g.add(g.mul(average, ema), g.mul(parameter, 1 - ema));
      }
    });
    for (const [key, value] of Object.entries(result.shared)) outputs[sharedName(`${prefix}${key}`)] = value;
  }
  return g.graph(outputs);
}

function totalSquares(g: Builder, gradients: readonly Value[]): Value {
  const parts = gradients.map((gradient) =>
    g.reshape(g.sumSquares(gradient, { axes: gradient.shape.map((_, axis) => axis), keep: false }), { shape: [1] }));
  return g.reduceSum(g.concat(parts, { axis: 0 }), { axes: [0], keep: false });
}

const mapValues = <A, B>(record: Readonly<Record<string, A>>, f: (value: A, key: string) => B): Record<string, B> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, f(value, key)]));

/** The sum of two gradients, for accumulation over several batches. */
export function accumulateGraph(tensors: readonly { readonly name: string; readonly shape: Shape }[]): Graph {
  const g = createBuilder();
  const outputs = tensors.map(({ name, shape }) => [
    gradientName(name),
    g.add(g.input(`total.${name}`, shape), g.input(gradientName(name), shape)),
  ] as const);
  return g.graph(Object.fromEntries(outputs));
}

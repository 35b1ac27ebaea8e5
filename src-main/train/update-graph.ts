// The graph of an optimizer step for all trained tensors: un-scale, measure and clip the gradient, update parameters,
// optimizer state and running average.
import { sizeOf, type Shape } from '../base/shape.ts';
import type { Optimizer, Slot } from '../catalog/define/optimizer.ts';
import type { SettingValue } from '../contract/fields.ts';
import { createBuilder, type Builder } from '../graph/builder.ts';
import type { Graph, Value } from '../graph/types.ts';
import type { Pack } from './packs.ts';
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
 * Inputs: `<name>`, `grad.<name>` and `average:<name>` of tensors, `<state>:<name>` of packs, `shared:<state>`, `gradient_factor` (1 / loss
 * scale / accumulated batches) and the optimizer's scalars (with `own:` in front for tensors with a rate of their own). Outputs: the same names but the gradients, and
 * `gradient_norm` (before clipping).
 */
export function updateGraph(packs: readonly Pack[], update: UpdateSettings): Graph {
  const { optimizer, settings, clip, ema, hasOwnRate = () => false } = update;
  const g = createBuilder();
  const factor = g.input('gradient_factor', []);
  const raw = packs.map((pack) => joined(g, pack, (name, shape) => g.input(gradientName(name), shape)));
  const norm = g.mul(g.sqrt(totalSquares(g, raw)), g.abs(factor));
  const scale = clip > 0 ? g.mul(factor, g.minimum(g.div(g.scalar(clip), g.add(norm, 1e-6)), g.scalar(1))) : factor;
  const slots: (Slot & { readonly pack: Pack })[] = packs.map((pack, i) => ({
    name: pack.name,
    pack,
    parameter: joined(g, pack, (name, shape) => g.trainable(name, shape)),
    gradient: g.mul(raw[i]!, scale),
    state: mapValues(optimizer.state(pack.shape, settings as never), (stateShape, key) => g.trainable(stateName(key, pack.name), stateShape)),
  }));
  const outputs: Record<string, Value> = { gradient_norm: norm };
  for (const prefix of ['', OWN_RATE]) {
    const group = slots.filter(({ pack }) => hasOwnRate(pack.members[0]!.name) === (prefix === OWN_RATE));
    if (group.length === 0) continue;
    const scalars = mapValues(optimizer.scalars(1, 0, settings as never), (_, key) => g.input(`${prefix}${key}`, []));
    const shared = mapValues(optimizer.shared?.(settings as never) ?? {}, (_, key) => g.trainable(sharedName(`${prefix}${key}`), []));
    const result = optimizer.update(g, group, scalars, shared, settings as never);
    result.slots.forEach(({ parameter, state }, i) => {
      const { pack } = group[i]!;
      for (const [key, value] of Object.entries(state)) outputs[stateName(key, pack.name)] = value;
      for (const { name, shape, value } of apart(g, pack, parameter)) {
        outputs[name] = value;
        if (ema > 0) outputs[averageName(name)] = g.add(g.mul(g.trainable(averageName(name), shape), ema), g.mul(value, 1 - ema));
      }
    });
    for (const [key, value] of Object.entries(result.shared)) outputs[sharedName(`${prefix}${key}`)] = value;
  }
  return g.graph(outputs);
}

/** The members of a pack as one value. */
function joined(g: Builder, { members }: Pack, valueOf: (name: string, shape: Shape) => Value): Value {
  if (members.length === 1) return valueOf(members[0]!.name, members[0]!.shape);
  return g.concat(members.map(({ name, shape }) => g.reshape(valueOf(name, shape), { shape: [sizeOf(shape)] })), { axis: 0 });
}

function apart(g: Builder, { members }: Pack, whole: Value): { readonly name: string; readonly shape: Shape; readonly value: Value }[] {
  if (members.length === 1) return [{ ...members[0]!, value: whole }];
  return members.map(({ name, shape, offset }) => ({ name, shape, value: g.reshape(g.slice(whole, { starts: [offset], sizes: [sizeOf(shape)] }), { shape }) }));
}

function totalSquares(g: Builder, gradients: readonly Value[]): Value {
  const parts = gradients.map((gradient) =>
    g.reshape(g.sumSquares(gradient, { axes: gradient.shape.map((_, axis) => axis), keep: false }), { shape: [1] }));
  return g.reduceSum(g.concat(parts, { axis: 0 }), { axes: [0], keep: false });
}

const mapValues = <A, B>(record: Readonly<Record<string, A>>, f: (value: A, key: string) => B): Record<string, B> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, f(value, key)]));

/** Name of a tensor's values before an update. */
export const beforeName = (tensor: string): string => `before:${tensor}`;
export const UPDATE_NORM = 'update_norm';

/**
 * How far an update moved all tensors: a program of its own, so that the update is the same whether it is measured or not.
 * Inputs: `<name>` and `before:<name>` of tensors. Output: `update_norm`, the L2 norm of the change.
 */
export function updateNormGraph(packs: readonly Pack[]): Graph {
  const g = createBuilder();
  const changes = packs.map((pack) => g.sub(joined(g, pack, (name, shape) => g.input(name, shape)), joined(g, pack, (name, shape) => g.input(beforeName(name), shape))));
  return g.graph({ [UPDATE_NORM]: g.sqrt(totalSquares(g, changes)) });
}

/** The sum of two gradients, for accumulation over several batches. */
export function accumulateGraph(tensors: readonly { readonly name: string; readonly shape: Shape }[]): Graph {
  const g = createBuilder();
  const outputs = tensors.map(({ name, shape }) => [
    gradientName(name),
    g.add(g.input(`total.${name}`, shape), g.input(gradientName(name), shape)),
  ] as const);
  return g.graph(Object.fromEntries(outputs));
}

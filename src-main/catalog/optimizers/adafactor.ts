// Adafactor (Shazeer & Stern 2018, arXiv 1804.04235): the squared gradients of a matrix are kept as sums of its rows and
// columns, so that the state takes next to no memory. Tensors of more axes are stacks of matrices over the last two.
import type { Shape } from '../../base/shape.ts';
import { defineFields, type SettingsOf } from '../../contract/fields.ts';
import type { Builder } from '../../graph/builder.ts';
import type { Value } from '../../graph/types.ts';
import type { Optimizer, SlotUpdate } from '../define/optimizer.ts';

/** Added to squared gradients (ε1 of the paper). */
const LEAST_SQUARE = 1e-30;
/** Root mean square of a tensor that is counted at least (ε2): one of zeros must be able to leave zero. */
const LEAST_SCALE = 1e-3;
/** Longest relative step, without and (per step) with its own warm-up. */
const RELATIVE_STEP = 1e-2;
const RELATIVE_WARMUP = 1e-6;

const fields = defineFields({
  learningRate: { kind: 'number', label: 'Learning rate', help: 'Size of a step; with scaling, relative to the values.', why: 'Around 1e-3 with scaling; AdamW’s rates without.', default: 1e-3, min: 0, max: 10, scale: 'log', counts: { 'optimizer.relativeStep': false } },
  scaleParameter: { kind: 'flag', label: 'Scale by the values', help: 'Large values take large steps.', why: 'Off, with a constant rate, for recipes that state an AdamW-like rate.', default: true },
  relativeStep: { kind: 'flag', label: 'Own learning rate', help: 'Falls as 1 / √step by itself; learning rate and schedule are then not used.', why: 'For those who do not want to choose a rate; slow on short runs.', default: false },
  relativeWarmup: { kind: 'flag', label: 'Own warm-up', help: 'With its own learning rate: begin very small.', why: 'When the first steps with its own rate break the picture.', default: false, counts: { 'optimizer.relativeStep': true } },
  beta1: { kind: 'number', label: 'Beta 1', help: 'Memory of the mean update. 0 keeps none and saves its memory.', why: '0.9 makes steps steadier, for the memory that Adafactor otherwise saves.', default: 0, min: 0, max: 0.9999 },
  decayExponent: { kind: 'number', label: 'Decay exponent', help: 'Memory of the squared gradient is 1 − step^−exponent.', why: 'Leave it at 0.8; lower forgets sooner.', default: 0.8, min: 0.1, max: 1 },
  clipThreshold: { kind: 'number', label: 'Update clipping', help: 'Largest root mean square of a tensor’s update before the rate.', why: 'Lower when the loss jumps.', default: 1, min: 0.01, max: 100 },
  weightDecay: { kind: 'number', label: 'Weight decay', help: 'Pull of the values towards zero, in units of the step size.', why: 'More keeps an adapter closer to the base model.', default: 0, min: 0, max: 10 },
});
type Settings = SettingsOf<typeof fields>;

function rateOf(step: number, rate: number, { relativeStep, relativeWarmup }: Settings): number {
  const longest = relativeWarmup ? RELATIVE_WARMUP * step : RELATIVE_STEP;
  return relativeStep ? Math.min(longest, 1 / Math.sqrt(step)) : rate;
}

const isFactored = (shape: Shape): boolean => shape.length >= 2;

export const adafactor: Optimizer<typeof fields> = {
  label: 'Adafactor',
  help: 'The least memory.',
  fields,
  state: (shape, { beta1 }) => ({
    ...(isFactored(shape) ? { rows: shape.slice(0, -1), columns: [...shape.slice(0, -2), shape.at(-1)!] } : { square: shape }),
    ...(beta1 > 0 ? { mean: shape } : {}),
  }),
  rate: (step, rate, settings: Settings) => rateOf(step, rate, settings),
  stride: (step, rate, settings: Settings, size) => {
    const length = rateOf(step, rate, settings) * (settings.scaleParameter ? Math.max(size, LEAST_SCALE) : 1);
    // The mean update begins at zero.
    const first = Math.min(1, settings.clipThreshold) * (1 - settings.beta1);
    return { least: length * first, most: length * Math.max(1, settings.clipThreshold), keep: 1 - length * settings.weightDecay };
  },
  scalars: (step, rate, settings: Settings) => {
    const forget = step ** -settings.decayExponent;
    return { rate: rateOf(step, rate, settings), remember: 1 - forget, forget };
  },
  update: (g, slots, scalars, shared, settings) => ({
    slots: slots.map(({ parameter, gradient, state }): SlotUpdate => {
      const { direction, squares } = normalized(g, gradient, state, scalars);
      const excess = g.maximum(g.mul(rootMeanSquare(g, direction), 1 / settings.clipThreshold), 1);
      const stepSize = settings.scaleParameter ? g.mul(g.maximum(rootMeanSquare(g, parameter), LEAST_SCALE), scalars['rate']!) : scalars['rate']!;
      const change = g.mul(direction, g.div(stepSize, excess));
      const mean = settings.beta1 > 0 ? g.add(g.mul(state['mean']!, settings.beta1), g.mul(change, 1 - settings.beta1)) : null;
      const decayed = settings.weightDecay > 0 ? g.sub(parameter, g.mul(parameter, g.mul(stepSize, settings.weightDecay))) : parameter;
      return { parameter: g.sub(decayed, mean ?? change), state: { ...squares, ...(mean ? { mean } : {}) } };
    }),
    shared,
  }),
};

interface Normalized {
  readonly direction: Value;
  /** New averages of the squared gradient, as `state` names them. */
  readonly squares: Readonly<Record<string, Value>>;
}

/** The gradient over the root of its averaged square. */
function normalized(g: Builder, gradient: Value, state: Readonly<Record<string, Value>>, scalars: Readonly<Record<string, Value>>): Normalized {
  const average = (old: Value, now: Value): Value => g.add(g.mul(old, scalars['remember']!), g.mul(now, scalars['forget']!));
  const squared = g.add(g.mul(gradient, gradient), LEAST_SQUARE);
  const { shape } = gradient;
  if (!isFactored(shape)) {
    const square = average(state['square']!, squared);
    return { direction: g.div(gradient, g.sqrt(square)), squares: { square } };
  }
  const last = shape.length - 1;
  const rows = average(state['rows']!, g.mean(squared, { axes: [last], keep: false }));
  const columns = average(state['columns']!, g.mean(squared, { axes: [last - 1], keep: false }));
  // The best rank-one estimate of the averaged square: rows · columns / mean. Two roots, for a product would underflow.
  const rowRoot = g.sqrt(g.div(rows, g.mean(rows, { axes: [last - 1], keep: true })));
  const columnRoot = g.sqrt(columns);
  const direction = g.div(
    g.div(gradient, g.reshape(rowRoot, { shape: [...rows.shape, 1] })),
    g.reshape(columnRoot, { shape: [...shape.slice(0, -2), 1, shape.at(-1)!] }),
  );
  return { direction, squares: { rows, columns } };
}

const rootMeanSquare = (g: Builder, value: Value): Value =>
  g.sqrt(g.mean(g.mul(value, value), { axes: value.shape.map((_, axis) => axis), keep: false }));

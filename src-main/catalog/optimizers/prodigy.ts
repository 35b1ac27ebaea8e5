// Prodigy (Mishchenko & Defazio 2023, arXiv 2306.06101): Adam that finds its own step size. It estimates d, how far the
// best values are from the start, from how gradients and the way covered agree; the step size is d times the rate.
import { defineFields, type SettingsOf } from '../../contract/fields.ts';
import type { Builder } from '../../graph/builder.ts';
import type { Value } from '../../graph/types.ts';
import type { Optimizer } from '../define/optimizer.ts';

const fields = defineFields({
  learningRate: { kind: 'number', label: 'Learning rate', help: 'Factor of the step size that is found; 1 unless there is a reason.', why: '0.5 calms a run that overshoots.', default: 1, min: 0, max: 100, scale: 'log' },
  beta1: { kind: 'number', label: 'Beta 1', help: 'Memory of the mean gradient.', why: 'Leave it at 0.9.', default: 0.9, min: 0, max: 0.9999 },
  beta2: { kind: 'number', label: 'Beta 2', help: 'Memory of the squared gradient; its root is that of the estimate.', why: '0.99 for short runs, so that the estimate follows sooner.', default: 0.999, min: 0, max: 0.99999 },
  eps: { kind: 'number', label: 'Epsilon', help: 'Keeps the division by the root of the squared gradient finite.', why: 'Leave it; larger makes small gradients count less.', default: 1e-8, min: 1e-16, max: 1, scale: 'log' },
  weightDecay: { kind: 'number', label: 'Weight decay', help: 'Pull of the values towards zero.', why: 'More keeps an adapter closer to the base model.', default: 0.01, min: 0, max: 10 },
  decouple: { kind: 'flag', label: 'Decoupled decay', help: 'Weight decay apart from the gradient, as in AdamW.', why: 'Off only for recipes that were made with plain Adam.', default: true },
  biasCorrection: { kind: 'flag', label: 'Bias correction', help: 'Corrects the averages of the first steps, as Adam does.', why: 'Off only for recipes that were made without it.', default: true },
  safeguardWarmup: { kind: 'flag', label: 'Warm-up safeguard', help: 'Keeps low rates during warm-up from inflating the estimate.', why: 'On with a schedule that has a warm-up; without one it changes nothing.', default: true },
  startDistance: {
    kind: 'number', label: 'First estimate', help: 'Distance that is assumed at the start.',
    why: 'Raise it when the estimate does not begin to grow.', default: 1e-6, min: 1e-12, max: 1, scale: 'log',
  },
  distanceFactor: {
    kind: 'number', label: 'Factor of the estimate', help: 'Below 1 for smaller steps, above for larger ones; turn this and not the learning rate.',
    why: '0.5 when pictures burn, 2 when nothing changes.',
    default: 1, min: 0.01, max: 100, scale: 'log',
  },
  growthLimit: { kind: 'number', label: 'Growth limit', help: 'Largest factor by which the estimate grows in one step. 1 sets no limit.', why: '1.02 when the estimate shoots up and pictures burn.', default: 1, min: 1, max: 1000 },
});
type Settings = SettingsOf<typeof fields>;

/** Sums of absolute gradients below this are zero. */
const LEAST = 1e-30;

export const prodigy: Optimizer<typeof fields> = {
  label: 'Prodigy',
  help: 'Finds the learning rate by itself; more memory than AdamW.',
  fields,
  state: (shape) => ({ mean: shape, square: shape, gradientSum: shape, start: shape }),
  initial: (name) => (name === 'start' ? 'parameter' : 0),
  // `agreement` is the numerator of the estimate.
  shared: ({ startDistance }) => ({ distance: startDistance, largestDistance: startDistance, agreement: 0 }),
  stride: (_, rate, { startDistance, weightDecay }: Settings, __, shared) => {
    const distance = shared['distance'] ?? startDistance;
    return { least: startDistance * rate, most: distance * rate, keep: 1 - distance * rate * weightDecay };
  },
  scalars: (atStep, rate, { beta1, beta2, biasCorrection, safeguardWarmup, weightDecay }: Settings, still = 0) => {
    // The reference leaves a step before the first with a gradient that counts without counting it.
    const step = Math.max(1, atStep - still);
    const corrected = biasCorrection ? rate * Math.sqrt(1 - beta2 ** step) / (1 - beta1 ** step) : rate;
    const beta3 = Math.sqrt(beta2);
    // Where the schedule's rate is 0 the optimizer stands still, its averages too.
    const isStill = rate === 0;
    return {
      rate: corrected,
      decay: corrected * weightDecay,
      mean_keep: isStill ? 1 : beta1,
      mean_add: isStill ? 0 : 1 - beta1,
      square_keep: isStill ? 1 : beta2,
      square_add: isStill ? 0 : 1 - beta2,
      sum_keep: isStill ? 1 : beta3,
      sum_add: isStill ? 0 : safeguardWarmup ? 1 : corrected,
    };
  },
  update: (g, slots, scalars, shared, { weightDecay, decouple, eps, startDistance, distanceFactor, growthLimit }) => {
    const scalar = (name: string): Value => scalars[name]!;
    const distance = shared['distance']!;
    const squaredDistance = g.mul(distance, distance);
    // d / d_0 and not d: the sums below would get too small.
    const growth = g.mul(distance, 1 / startDistance);
    const stepSize = g.mul(distance, scalar('rate'));
    const isDecoupled = decouple || weightDecay === 0;

    const averaged = slots.map(({ parameter, gradient: raw, state }) => {
      const gradient = isDecoupled ? raw : g.add(raw, g.mul(parameter, weightDecay));
      const mean = g.add(g.mul(state['mean']!, scalar('mean_keep')), g.mul(gradient, g.mul(distance, scalar('mean_add'))));
      const square = g.add(g.mul(state['square']!, scalar('square_keep')), g.mul(g.mul(gradient, gradient), g.mul(squaredDistance, scalar('square_add'))));
      const gradientSum = g.add(g.mul(state['gradientSum']!, scalar('sum_keep')), g.mul(gradient, g.mul(g.mul(growth, distance), scalar('sum_add'))));
      const agreement = total(g, g.mul(gradient, g.sub(state['start']!, parameter)));
      return { parameter, mean, square, gradientSum, agreement, size: total(g, g.abs(gradientSum)) };
    });
    const sum = (values: readonly Value[]): Value => g.reduceSum(g.concat(values.map((value) => g.reshape(value, { shape: [1] })), { axis: 0 }), { axes: [0], keep: false });
    const agreement = g.add(g.mul(shared['agreement']!, scalar('sum_keep')), g.mul(sum(averaged.map((slot) => slot.agreement)), g.mul(growth, stepSize)));
    const size = g.maximum(sum(averaged.map((slot) => slot.size)), LEAST);
    const estimate = g.mul(g.div(agreement, size), distanceFactor);
    const largestDistance = g.maximum(shared['largestDistance']!, estimate);
    // The limit does not hold for the first growth, away from a start that is only assumed.
    const nextDistance = growthLimit === 1 ? largestDistance
      : g.minimum(largestDistance, g.mul(g.where(g.equal(distance, startDistance), g.maximum(distance, estimate), distance), growthLimit));

    return {
      slots: averaged.map(({ parameter, mean, square, gradientSum }) => {
        const root = g.add(g.sqrt(square), g.mul(nextDistance, eps));
        const decayed = weightDecay > 0 && isDecoupled ? g.sub(parameter, g.mul(parameter, g.mul(distance, scalar('decay')))) : parameter;
        return { parameter: g.sub(decayed, g.mul(g.div(mean, root), stepSize)), state: { mean, square, gradientSum } };
      }),
      shared: { distance: nextDistance, largestDistance, agreement },
    };
  },
};

const total = (g: Builder, value: Value): Value => g.reduceSum(value, { axes: value.shape.map((_, axis) => axis), keep: false });

// AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101): Adam with weight decay apart from the gradient.
import { defineFields, type SettingsOf } from '../../contract/fields.ts';
import type { Optimizer } from '../define/optimizer.ts';

const fields = defineFields({
  learningRate: { kind: 'number', label: 'Learning rate', help: 'Size of a step.', why: '5e-5 to 5e-4 for adapters. Too high shows as noise and burnt colours, too low as nothing.', default: 1e-4, min: 0, max: 10, scale: 'log' },
  beta1: { kind: 'number', label: 'Beta 1', help: 'Memory of the mean gradient.', why: 'Leave it at 0.9; lower forgets sooner and makes steps noisier.', default: 0.9, min: 0, max: 0.9999 },
  beta2: { kind: 'number', label: 'Beta 2', help: 'Memory of the squared gradient.', why: '0.99 for runs under some hundred steps, so that the first gradients are forgotten in time.', default: 0.999, min: 0, max: 0.99999 },
  eps: { kind: 'number', label: 'Epsilon', help: 'Keeps the division by the root of the squared gradient finite.', why: 'Leave it; larger makes small gradients count less.', default: 1e-8, min: 1e-16, max: 1, scale: 'log' },
  weightDecay: { kind: 'number', label: 'Weight decay', help: 'Pull of the values towards zero, in units of the learning rate.', why: 'More keeps an adapter closer to the base model; 0 lets it go as far as it learns.', default: 0.01, min: 0, max: 10 },
});
type Settings = SettingsOf<typeof fields>;

export const adamw: Optimizer<typeof fields> = {
  label: 'AdamW',
  help: 'The usual choice.',
  fields,
  elementwise: true,
  state: (shape) => ({ mean: shape, square: shape }),
  stride: (_, rate, { weightDecay }: Settings) => ({ least: rate, most: rate, keep: 1 - rate * weightDecay }),
  scalars: (step, rate, { beta1, beta2, weightDecay }: Settings) => ({
    // The bias correction of both averages, folded into the step size and the root.
    step_size: rate / (1 - beta1 ** step),
    root_scale: 1 / Math.sqrt(1 - beta2 ** step),
    keep: 1 - rate * weightDecay,
  }),
  update: (g, slots, scalars, shared, { beta1, beta2, eps }) => ({
    slots: slots.map(({ parameter, gradient, state }) => {
      const mean = g.add(g.mul(state['mean']!, beta1), g.mul(gradient, 1 - beta1));
      const square = g.add(g.mul(state['square']!, beta2), g.mul(g.mul(gradient, gradient), 1 - beta2));
      const root = g.add(g.mul(g.sqrt(square), scalars['root_scale']!), eps);
      const change = g.mul(g.div(mean, root), scalars['step_size']!);
      return { parameter: g.sub(g.mul(parameter, scalars['keep']!), change), state: { mean, square } };
    }),
    shared,
  }),
};

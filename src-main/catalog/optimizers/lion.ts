// Lion (Chen et al. 2023, arXiv 2302.06675): every value moves by the learning rate, in the direction of the sign of a
// mean gradient. Half the memory of AdamW.
import { defineFields, type SettingsOf } from '../../contract/fields.ts';
import type { Optimizer } from '../define/optimizer.ts';

const fields = defineFields({
  learningRate: { kind: 'number', label: 'Learning rate', help: 'How far every value moves in a step.', why: 'A third to a tenth of AdamW’s.', default: 2e-5, min: 0, max: 10, scale: 'log' },
  beta1: { kind: 'number', label: 'Beta 1', help: 'Weight of the mean gradient against the new one in the direction of a step.', why: 'Leave it at 0.9; higher turns more slowly.', default: 0.9, min: 0, max: 0.9999 },
  beta2: { kind: 'number', label: 'Beta 2', help: 'Memory of the mean gradient.', why: 'Leave it at 0.99; lower forgets sooner.', default: 0.99, min: 0, max: 0.99999 },
  weightDecay: {
    kind: 'number', label: 'Weight decay', help: 'Pull of the values towards zero, in units of the learning rate.',
    why: 'Three to ten times AdamW’s, as the learning rate is that much smaller.', default: 0.05, min: 0, max: 10,
  },
});
type Settings = SettingsOf<typeof fields>;

export const lion: Optimizer<typeof fields> = {
  label: 'Lion',
  help: 'Less memory than AdamW; wants a lower learning rate.',
  fields,
  elementwise: true,
  state: (shape) => ({ mean: shape }),
  stride: (_, rate, { weightDecay }: Settings) => ({ least: rate, most: rate, keep: 1 - rate * weightDecay }),
  scalars: (_, rate, { weightDecay }: Settings) => ({ rate, keep: 1 - rate * weightDecay }),
  update: (g, slots, scalars, shared, { beta1, beta2 }) => ({
    slots: slots.map(({ parameter, gradient, state }) => {
      const blend = (beta: number) => g.add(g.mul(state['mean']!, beta), g.mul(gradient, 1 - beta));
      const change = g.mul(g.sign(blend(beta1)), scalars['rate']!);
      return { parameter: g.sub(g.mul(parameter, scalars['keep']!), change), state: { mean: blend(beta2) } };
    }),
    shared,
  }),
};

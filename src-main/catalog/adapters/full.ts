// Full fine-tuning: the weights themselves are trained. No layer is replaced; the plan marks the model's own parameters
// as trained, so there is nothing to apply here.
import { assert } from '../../base/errors.ts';
import { defineFields } from '../../contract/fields.ts';
import type { Adapter } from '../define/adapter.ts';

const fields = defineFields({});

export const full: Adapter<typeof fields> = {
  label: 'Full fine-tuning',
  help: 'Trains the weights themselves: the most freedom, the most memory, a whole checkpoint as result.',
  fields,
  trainsWeights: true,
  parameters: () => [],
  apply: () => assert(false, 'full fine-tuning replaces no layer') as never,
  merge: (_, weight) => weight,
};

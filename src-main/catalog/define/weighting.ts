// Settings of the weight of a timestep, the same for every objective.
import { defineFields, type SettingsOf } from '../../contract/fields.ts';

export const weightingFields = defineFields({
  minSnrGamma: {
    kind: 'number', label: 'Min-SNR gamma', default: 0, min: 0, max: 100,
    help: 'Timesteps with a higher signal-to-noise ratio than this count less. 0 switches it off.',
    why: 'Nearly clean latents are easy and pull in a direction of their own; 5 is the usual value.',
  },
  debiased: {
    kind: 'flag', label: 'Debiased', default: false,
    help: 'Noisy timesteps count more, so that the estimate of the clean picture is learnt evenly.',
  },
});
export type Weighting = SettingsOf<typeof weightingFields>;

// Cosine with hard restarts (arXiv 1608.03983), all cycles of one length.
import { defineFields } from '../../contract/fields.ts';
import type { Schedule } from '../define/schedule.ts';

const fields = defineFields({
  cycles: {
    kind: 'number', label: 'Cycles', help: 'How often it starts again at the full rate, the first time included.',
    why: 'Each cycle ends in a settled state of its own: save at their ends and choose the best.',
    default: 3, min: 1, max: 1000, integer: true,
  },
});

export const cosineRestarts: Schedule<typeof fields> = {
  label: 'Cosine with restarts',
  help: 'Falls along a cosine to zero and jumps back up, several times.',
  fields,
  at: (step, total, { cycles }) => {
    // The end of the last cycle is its foot, not one more start.
    if (step >= total) return 0;
    return 0.5 * (1 + Math.cos((Math.PI * ((step * cycles) % total)) / total));
  },
};

// REX (arXiv 2107.04197): a hyperbola that stays high for long and falls steeply at the end.
import type { Schedule } from '../define/schedule.ts';

export const rex: Schedule = {
  label: 'REX',
  help: 'Stays high for long and falls steeply at the end, to zero.',
  fields: {},
  at: (step, total) => {
    const left = 1 - step / total;
    return left / (0.5 + 0.5 * left);
  },
};

// A straight line down to zero.
import type { Schedule } from '../define/schedule.ts';

export const linear: Schedule = {
  label: 'Linear',
  help: 'Falls in a straight line and ends at zero.',
  fields: {},
  at: (step, total) => 1 - step / total,
};

// The base rate all along.
import type { Schedule } from '../define/schedule.ts';

export const constant: Schedule = {
  label: 'Constant',
  help: 'The same learning rate until the end.',
  fields: {},
  at: () => 1,
};

// Half a cosine down to zero (arXiv 1608.03983 without restarts).
import type { Schedule } from '../define/schedule.ts';

export const cosine: Schedule = {
  label: 'Cosine',
  help: 'Falls slowly, then faster, then slowly again, and ends at zero.',
  fields: {},
  at: (step, total) => 0.5 * (1 + Math.cos((Math.PI * step) / total)),
};

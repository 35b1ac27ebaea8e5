// What a denoiser can be trained to predict, by the name that stands in jobs.
import { UserError } from '../../base/errors.ts';
import type { Objective } from '../define/objective.ts';
import { epsilon } from './epsilon.ts';
import { vPrediction } from './v-prediction.ts';

export const objectives = { epsilon, 'v-prediction': vPrediction };

/** The objective of a job or of a model's scheduler configuration, where words are joined by `_`. Error: `objective.unknown`. */
export function objectiveFor(kind: string): Objective {
  const id = kind.replaceAll('_', '-');
  if (!Object.hasOwn(objectives, id)) {
    throw new UserError('objective.unknown', `There is no objective "${kind}": choose one of ${Object.keys(objectives).join(', ')}.`, { kind });
  }
  return objectives[id as keyof typeof objectives];
}

// What a denoiser can be trained to predict, by the name that stands in jobs.
import { UserError } from '../../base/errors.ts';
import type { Prediction } from '../define/family.ts';
import type { Objective } from '../define/objective.ts';
import { predictionNames } from '../define/prediction.ts';
import { epsilon } from './epsilon.ts';
import { vPrediction } from './v-prediction.ts';

export const objectives = { epsilon, 'v-prediction': vPrediction };

/** The objective of this name, or the one that trains this prediction of a scheduler configuration. Error: `objective.unknown`. */
export function objectiveFor(kind: string): Objective {
  const id = Object.hasOwn(predictionNames, kind) ? predictionNames[kind as Prediction].objective : kind;
  if (!Object.hasOwn(objectives, id)) {
    throw new UserError('objective.unknown', `There is no objective "${kind}": choose one of ${Object.keys(objectives).join(', ')}.`, { kind });
  }
  return objectives[id as keyof typeof objectives];
}

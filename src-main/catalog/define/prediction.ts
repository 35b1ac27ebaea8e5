// What a model answers with has a name of its own in scheduler configurations, in jobs, and among the objectives.
import type { Job } from '../../contract/job.ts';
import type { Prediction } from './family.ts';

export interface PredictionNames {
  /** Value of `base.prediction`. */
  readonly job: Exclude<Job['base']['prediction'], 'auto'>;
  /** Objective that trains it, as the catalog names it. */
  readonly objective: string;
}

/** By the name in scheduler configurations. */
export const predictionNames: Readonly<Record<Prediction, PredictionNames>> = {
  epsilon: { job: 'epsilon', objective: 'epsilon' },
  v_prediction: { job: 'v', objective: 'v-prediction' },
};

/** What a job says its model predicts; null for 'auto'. */
export const predictionOfJob = (name: Job['base']['prediction']): Prediction | null =>
  (Object.keys(predictionNames) as Prediction[]).find((prediction) => predictionNames[prediction].job === name) ?? null;

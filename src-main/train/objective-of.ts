// What a run learns to predict: the job's choice, or what its model predicts; and what is doubtful about it.
import type { NoiseSettings, Prediction } from '../catalog/define/family.ts';
import { predictionNames } from '../catalog/define/prediction.ts';
import type { Objective } from '../catalog/define/objective.ts';
import { objectiveFor } from '../catalog/objectives/index.ts';
import type { Job } from '../contract/job.ts';
import type { PlanWarning } from './plan.ts';

export interface ChosenObjective {
  readonly objective: Objective;
  readonly warnings: readonly { readonly code: string; readonly text: string; readonly data: Record<string, unknown> }[];
}

/** Error: `objective.unknown`. @param prediction of the model */
export function objectiveOf({ objective: { kind } }: Pick<Job, 'objective'>, { zeroTerminalSnr }: Pick<NoiseSettings, 'zeroTerminalSnr'>, prediction: Prediction): ChosenObjective {
  const id = kind === 'auto' ? predictionNames[prediction].objective : kind;
  const warnings: PlanWarning[] = [];
  // arXiv 2305.08891, section 3.1: where all is noise, predicting the noise is a copy of the input and teaches nothing.
  if (zeroTerminalSnr && id === predictionNames.epsilon.objective) {
    warnings.push({
      code: 'job.zero-snr-epsilon', data: { objective: id },
      text: 'With zero terminal SNR the last timestep is pure noise, where predicting the noise teaches nothing about the picture: choose objective.kind = "v-prediction" with a model of that kind, or noise.zeroTerminalSnr = false.',
    });
  }
  return { objective: objectiveFor(id), warnings: warnings.map((warning) => ({ ...warning, data: { ...warning.data } })) };
}

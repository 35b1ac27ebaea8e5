// The noise schedule and the kind of prediction of a run: the model's own, unless the job says otherwise.
import type { Model, NoiseSettings, Prediction } from '../catalog/define/family.ts';
import { predictionOfJob } from '../catalog/define/prediction.ts';
import type { Job } from '../contract/job.ts';

export function noiseOf({ base, noise }: Pick<Job, 'base' | 'noise'>, model: Model): { noise: NoiseSettings; prediction: Prediction } {
  const own = model.noise;
  const prediction = predictionOfJob(base.prediction) ?? own.prediction;
  const settings: NoiseSettings = {
    steps: noise.timesteps ?? own.steps,
    betaStart: noise.betaStart ?? own.betaStart,
    betaEnd: noise.betaEnd ?? own.betaEnd,
    betaSchedule: noise.schedule === 'auto' ? own.betaSchedule : noise.schedule,
    // Said together with what is predicted: who says that this is another thing says it of both.
    zeroTerminalSnr: noise.zeroTerminalSnr || (own.zeroTerminalSnr && prediction === own.prediction),
    prediction,
  };
  return { noise: settings, prediction };
}

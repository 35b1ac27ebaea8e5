// The noise schedule of training, from a scheduler_config.json.
import { ConfigReader, type RawConfig } from './config.ts';

/** Schedulers that differ in sampling only: all are trained on the noise schedule that their configuration states. */
const SCHEDULERS = [
  'DDPMScheduler', 'DDIMScheduler', 'PNDMScheduler', 'LMSDiscreteScheduler', 'EulerDiscreteScheduler',
  'EulerAncestralDiscreteScheduler', 'HeunDiscreteScheduler', 'DPMSolverMultistepScheduler', 'DPMSolverSinglestepScheduler',
  'DPMSolverSDEScheduler', 'KDPM2DiscreteScheduler', 'KDPM2AncestralDiscreteScheduler', 'DEISMultistepScheduler',
  'UniPCMultistepScheduler', 'LCMScheduler', 'TCDScheduler',
] as const;

export interface SchedulerConfig {
  readonly steps: number;
  readonly betaStart: number;
  readonly betaEnd: number;
  readonly betaSchedule: 'linear' | 'scaled_linear' | 'squaredcos_cap_v2';
  readonly zeroTerminalSnr: boolean;
  readonly prediction: 'epsilon' | 'v_prediction';
}

/** Defaults are those of the format, not of any model. Throws UserError `model.config` for a value that is not honoured. */
export function parseSchedulerConfig(raw: RawConfig): SchedulerConfig {
  const config = new ConfigReader('scheduler', raw);
  config.choice('_class_name', SCHEDULERS, 'DDPMScheduler');
  config.only({ trained_betas: [], use_flow_sigmas: [false] });
  return {
    steps: config.int('num_train_timesteps', 1000),
    betaStart: config.number('beta_start', 0.0001),
    betaEnd: config.number('beta_end', 0.02),
    betaSchedule: config.choice('beta_schedule', ['linear', 'scaled_linear', 'squaredcos_cap_v2'], 'linear'),
    zeroTerminalSnr: config.flag('rescale_betas_zero_snr', false),
    prediction: config.choice('prediction_type', ['epsilon', 'v_prediction'], 'epsilon'),
  };
}

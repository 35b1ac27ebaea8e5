// A base model as it is named outside of jobs: its files, and what they do not say.
import type { Job } from '../contract/job.ts';

export interface ToldBase {
  /** Checkpoint, UNet or model folder. */
  readonly base?: string;
  readonly vae?: string;
  readonly textEncoder?: readonly string[];
  /** What the base model's files do not say, or say wrongly; as in `base` and `noise` of a job. */
  readonly prediction?: Job['base']['prediction'];
  readonly zeroTerminalSnr?: boolean;
  readonly clipSkip?: number;
}

export type BaseOfJob = Pick<Job, 'base' | 'init' | 'noise'>;

export const asJob = ({ base = '', vae, textEncoder = [], prediction = 'auto', zeroTerminalSnr = false, clipSkip }: ToldBase): BaseOfJob => ({
  base: { model: base, prediction, ...(clipSkip === undefined ? {} : { clipSkip }), ...(vae === undefined ? {} : { vae }), ...(textEncoder.length === 0 ? {} : { textEncoders: [...textEncoder] }) },
  init: 'file', noise: { schedule: 'auto', zeroTerminalSnr, minTimestep: 0 },
});

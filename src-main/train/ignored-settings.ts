// Settings that ask for something that a job does not do. Nothing is worse than a setting that is taken and has no effect.
import { adapters } from '../catalog/adapters/index.ts';
import type { Adapter } from '../catalog/define/adapter.ts';
import type { Optimizer } from '../catalog/define/optimizer.ts';
import { optimizers } from '../catalog/optimizers/index.ts';
import { jobSchema, type Job } from '../contract/job.ts';
import { jobVersion } from '../contract/migrations.ts';

interface Rule {
  /** Keys of the job, with dots. */
  readonly settings: readonly string[];
  readonly isIgnored: (job: Job) => boolean;
  readonly why: string;
}

const isAutoencoder = ({ task }: Job): boolean => task === 'autoencoder';
const trainsNoText = ({ task, adapter }: Job): boolean => !(task === 'adapter' && adapter.textEncoder);

/** Whether an optimizer computes with the rate that it is given. */
function findsItsRate(job: Job): boolean {
  const optimizer = (optimizers as unknown as Readonly<Record<string, Optimizer>>)[job.optimizer.kind];
  const [low, high] = [1e-4, 1].map((rate) => JSON.stringify(optimizer?.scalars(5, rate, job.optimizer as never)));
  return optimizer !== undefined && low === high;
}

const rules: readonly Rule[] = [
  { settings: ['adapter.textEncoderLearningRate'], isIgnored: trainsNoText, why: 'the text encoders are not trained as a part of an adapter; set adapter.textEncoder = true' },
  { settings: ['preview.every'], isIgnored: isAutoencoder, why: 'an autoencoder makes no pictures from prompts' },
  {
    settings: [
      'objective.kind', 'objective.weighting', 'objective.noiseOffset', 'noise.zeroTerminalSnr', 'noise.minTimestep', 'noise.maxTimestep',
      'data.caption.prefix', 'data.caption.dropout', 'data.caption.shuffle', 'train.priorWeight',
    ],
    isIgnored: isAutoencoder, why: 'an autoencoder is trained without noise and captions',
  },
  { settings: ['adapter.kind', 'adapter.targets', 'adapter.textEncoder', 'adapter.from'], isIgnored: ({ task }) => task !== 'adapter', why: 'the task is another than "adapter"' },
  { settings: ['autoencoder.part', 'autoencoder.loss', 'autoencoder.klWeight'], isIgnored: (job) => !isAutoencoder(job), why: 'the task is another than "autoencoder"' },
  { settings: ['init'], isIgnored: ({ task, adapter }) => task === 'adapter' && !(adapters as unknown as Readonly<Record<string, Adapter>>)[adapter.kind]?.trainsWeights, why: 'an adapter changes a model as it is' },
  { settings: ['objective.minSnrGamma'], isIgnored: ({ objective }) => objective.weighting !== 'min-snr', why: 'objective.weighting is not "min-snr"' },
  { settings: ['data.caption.keepTokens'], isIgnored: ({ data }) => !data.caption.shuffle, why: 'captions are not shuffled' },
  { settings: ['data.buckets.step', 'data.buckets.minAspect', 'data.buckets.maxAspect'], isIgnored: ({ data }) => !data.buckets.enabled, why: 'data.buckets.enabled is false' },
  { settings: ['train.priorWeight'], isIgnored: (job) => !isAutoencoder(job) && !job.data.folders.some(({ regularization }) => regularization), why: 'no folder has regularization = true' },
  { settings: ['optimizer.learningRate', 'schedule.kind', 'schedule.warmup'], isIgnored: findsItsRate, why: 'the optimizer finds its rate by itself' },
  { settings: ['optimizer.relativeWarmup'], isIgnored: (job) => !findsItsRate(job), why: 'optimizer.relativeStep is false' },
];

const minimal = jobSchema.parse({ version: jobVersion, base: { model: 'none' }, data: { folders: [{ path: 'none' }] } });

function valueAt(job: Job, setting: string): unknown {
  return setting.split('.').reduce<unknown>((value, key) => (value as Readonly<Record<string, unknown>> | undefined)?.[key], job);
}

/** What a job has that says nothing of a setting; optimizers have defaults of their own. */
function defaultAt(job: Job, setting: string): unknown {
  const [section, key = ''] = setting.split('.');
  const own = optimizers[job.optimizer.kind as keyof typeof optimizers]?.fields as Readonly<Record<string, { readonly default: unknown }>> | undefined;
  return section === 'optimizer' ? own?.[key]?.default : valueAt(minimal, setting);
}

/** A warning for each setting that is not at its default and has no effect. */
export function ignoredSettings(job: Job): { readonly code: string; readonly text: string; readonly data: { readonly setting: string } }[] {
  return rules.filter(({ isIgnored }) => isIgnored(job)).flatMap(({ settings, why }) => settings
    .filter((setting) => JSON.stringify(valueAt(job, setting)) !== JSON.stringify(defaultAt(job, setting)))
    .map((setting) => ({ code: 'job.ignored', text: `${setting} has no effect: ${why}.`, data: { setting } })));
}

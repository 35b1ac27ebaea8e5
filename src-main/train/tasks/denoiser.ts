// Training of the denoiser, with an adapter or as a whole, optionally with its text encoders: predict the objective's
// target from a noisy latent.
// B batch, C latent channels, h w latent positions, T tokens
import { rng } from '../../base/rng.ts';
import { assert, UserError } from '../../base/errors.ts';
import type { Model } from '../../catalog/define/family.ts';
import type { Objective } from '../../catalog/define/objective.ts';
import type { Job } from '../../contract/job.ts';
import type { Builder, BuilderOptions } from '../../graph/builder.ts';
import type { Value } from '../../graph/types.ts';
import { f32, type HostTensor } from '../../runtime/runtime.ts';
import { buildCondition, conditionFeeds, tokenFeeds, type Prompt } from '../condition.ts';
import { DropoutMasks } from '../dropout.ts';
import { weightedSquaredError } from '../step-graph.ts';
import type { TaskBatch, TrainingTask } from '../task.ts';
import type { TrainedTensor } from '../trained.ts';

/** A training example as the data set gives it. */
export interface Example {
  /** Moments of the latent [2C,h,w] as the autoencoder gives them: mean, then log variance. */
  readonly moments: Float32Array;
  readonly height: number;
  readonly width: number;
  readonly prompt: Prompt;
  /** Original height and width, crop top and left, target height and width; for models that are told. */
  readonly timeIds: readonly number[];
  readonly isRegularization: boolean;
}

export interface ExampleSource {
  batchAt(index: number): Promise<readonly Example[]>;
  /** Examples for measuring, in groups of one latent shape. */
  measuringBatches(): Promise<readonly (readonly Example[])[]>;
}

export interface DenoiserTaskSettings {
  readonly model: Model;
  readonly job: Job;
  readonly objective: Objective;
  readonly alphasCumprod: Float64Array;
  readonly tensors: readonly TrainedTensor[];
  readonly builder: BuilderOptions;
  /** Whether text encoders are part of the step (trained) or their outputs are fed. */
  readonly trainsText: boolean;
  readonly examples: ExampleSource;
  /** Share of the inputs that the adapter's branches do not see. */
  readonly dropout: number;
}

/** How long the prompts of a batch are. */
export interface PromptExtent {
  /** Of the context. */
  readonly tokens: number;
  /** Rows of the text encoders for each prompt; they are trained. */
  readonly chunks: number;
}

/** How often each measuring example is measured, at timesteps spread over the schedule. */
const MEASURED_TIMESTEPS = 4;
/** The same in every run, so that runs of different seeds are measured alike. */
const MEASURING_SEED = 0;

export function createDenoiserTask(settings: DenoiserTaskSettings): TrainingTask {
  const { job, examples, alphasCumprod } = settings;
  const { minTimestep, maxTimestep = alphasCumprod.length - 1 } = job.noise;
  const span = maxTimestep - minTimestep + 1;
  if (span < 1 || maxTimestep >= alphasCumprod.length) {
    throw new UserError('job.timesteps', `noise.minTimestep = ${minTimestep} and noise.maxTimestep = ${maxTimestep} are no range of the ${alphasCumprod.length} timesteps, 0 to ${alphasCumprod.length - 1}: change them or leave them out.`, { minTimestep, maxTimestep });
  }
  const masks = new DropoutMasks(settings.dropout, job.train.seed, settings.builder);
  return {
    tensors: settings.tensors,
    builder: settings.builder,
    batchAt: async (index) => {
      const batch = await examples.batchAt(index);
      const times = rng(job.train.seed, 'timestep', index);
      const made = makeBatch(settings, batch, batch.map(() => minTimestep + times.int(span)), ['step', index], true);
      return { ...made, feeds: new Map([...made.feeds, ...masks.feeds(index, made.key, made.buildLoss)]) };
    },
    measuringBatches: async () => {
      const groups = await examples.measuringBatches();
      return groups.flatMap((group, at) => Array.from({ length: MEASURED_TIMESTEPS }, (_, k) => {
        const timesteps = group.map((_, i) => minTimestep + Math.floor((span * (k + (i + 0.5) / group.length)) / MEASURED_TIMESTEPS));
        return makeBatch(settings, group, timesteps, ['measure', at, k], false);
      }));
    },
  };
}

function makeBatch(settings: DenoiserTaskSettings, batch: readonly Example[], timesteps: readonly number[], stream: readonly (string | number)[], isTraining: boolean): TaskBatch {
  const { model, job, objective, alphasCumprod, trainsText } = settings;
  const { height, width } = batch[0]!;
  const size = model.latent.channels * height * width;
  const shape = [batch.length, model.latent.channels, height, width];
  const noisy = new Float32Array(batch.length * size);
  const target = new Float32Array(batch.length * size);
  const weight = new Float32Array(batch.length);
  const seed = isTraining ? job.train.seed : MEASURING_SEED;
  batch.forEach((example, i) => {
    assert(example.height === height && example.width === width, 'the latents of a batch have one shape');
    const clean = sampleLatent(example.moments, model, rng(seed, ...stream, 'latent', i).fillNormal(new Float32Array(size)));
    const noise = rng(seed, ...stream, 'noise', i).fillNormal(new Float32Array(size));
    if (isTraining) addOffset(noise, model.latent.channels, job.objective.noiseOffset, rng(seed, ...stream, 'offset', i).fillNormal(new Float32Array(model.latent.channels)));
    const alphaBar = alphasCumprod[timesteps[i]!]!;
    const sample = objective.sample(clean, noise, alphaBar);
    noisy.set(sample.noisy, i * size);
    target.set(sample.target, i * size);
    weight[i] = (isTraining ? objective.weight(alphaBar, weighting(job)) : 1) * (example.isRegularization ? job.train.priorWeight : 1);
  });
  const feeds = new Map<string, HostTensor>([
    ['sample', f32(noisy, shape)],
    ['target', f32(target, shape)],
    ['weight', f32(weight, [batch.length])],
    ['timestep', f32(Float32Array.from(timesteps), [batch.length])],
  ]);
  const extent = addConditionFeeds(feeds, settings, batch);
  const key = `${batch.length}x${height}x${width}x${extent.tokens}`;
  const buildLoss = (g: Builder): Value => denoiserLoss(g, model, shape, extent, trainsText);
  return { key, buildLoss, feeds, size: batch.length };
}

/** A latent drawn from its moments, in the denoiser's units. */
function sampleLatent(moments: Float32Array, { latent }: Model, noise: Float32Array): Float32Array {
  const size = noise.length;
  return noise.map((z, i) => (moments[i]! + Math.exp(0.5 * Math.min(Math.max(moments[size + i]!, -30), 20)) * z - latent.shift) * latent.scale);
}

/** Noise offset: a normal constant per channel, so that the mean brightness is learnt too. */
function addOffset(noise: Float32Array, channels: number, strength: number, offsets: Float32Array): void {
  if (strength === 0) return;
  const plane = noise.length / channels;
  for (let i = 0; i < noise.length; i++) noise[i]! += strength * offsets[Math.floor(i / plane)]!;
}

const weighting = ({ objective }: Job): Record<string, number | string | boolean> => ({
  minSnrGamma: objective.weighting === 'min-snr' ? objective.minSnrGamma : 0,
  debiased: objective.weighting === 'debiased',
});

/** Feeds of the prompts: ids when text encoders are trained, else their outputs. Gives the number of tokens, and of chunks. */
function addConditionFeeds(feeds: Map<string, HostTensor>, { model, trainsText }: DenoiserTaskSettings, batch: readonly Example[]): PromptExtent {
  const add = (own: ReadonlyMap<string, HostTensor>): void => own.forEach((tensor, name) => feeds.set(name, tensor));
  let extent: PromptExtent;
  if (trainsText) {
    const { feeds: own, chunks } = tokenFeeds(model, batch.map(({ prompt }) => prompt.tokens));
    add(own);
    extent = { tokens: chunks * model.textEncoders[0]!.length, chunks };
  } else {
    const { feeds: own, tokens } = conditionFeeds(batch.map(({ prompt }) => {
      assert(prompt.encoded, 'prompts are encoded before training');
      return prompt.encoded;
    }));
    add(own);
    extent = { tokens, chunks: 1 };
  }
  if (model.condition(extent.tokens).timeIds) feeds.set('timeIds', f32(Float32Array.from(batch.flatMap(({ timeIds }) => [...timeIds])), [batch.length, 6]));
  return extent;
}

/** @param shape [B,C,h,w] of the latents */
export function denoiserLoss(g: Builder, model: Model, shape: readonly number[], { tokens, chunks }: PromptExtent, trainsText: boolean): Value {
  const rows = shape[0]!;
  const compute = (value: Value): Value => (value.dtype === g.compute ? value : g.cast(value, { to: g.compute }));
  const types = model.condition(tokens);
  const condition = trainsText
    ? buildCondition(g, model, rows, chunks)
    : {
        context: g.region('condition', () => compute(g.input('context', [rows, ...types.context]))),
        pooled: types.pooled ? g.input('pooled', [rows, ...types.pooled]) : undefined,
      };
  const sample = g.region('condition', () => compute(g.input('sample', shape)));
  const prediction = model.denoise(g, {
    sample,
    timestep: g.input('timestep', [rows]),
    context: condition.context,
    ...(condition.pooled ? { pooled: condition.pooled } : {}),
    ...(types.timeIds ? { timeIds: g.input('timeIds', [rows, 6]) } : {}),
  });
  return weightedSquaredError(g, prediction, g.input('target', shape), g.input('weight', [rows]));
}

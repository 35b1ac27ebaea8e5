// How much memory a job takes at its highest, from its graphs. Constants are measured, with the CPU on Linux and models of 4
// and 142 million parameters; what runs took lay within about 10 % of what is said here, to either side.
import { sizeOf } from '../base/shape.ts';
import type { PreparedDataset } from '../dataset/index.ts';
import type { Size } from '../dataset/types.ts';
import { jobGraphs, type GraphSettings, type JobGraphs } from './forecast-graphs.ts';
import type { GraphMemory } from './memory-model.ts';
import { picturesAtOnce } from './painter.ts';
import { optimizerOf } from './plan.ts';
import { measuringGroups } from './sources.ts';
import { countElements } from './trained.ts';

/** Bytes. */
export interface MemoryPart {
  readonly label: string;
  readonly bytes: number;
}

export interface MemoryForecast {
  /** Of the system's memory, at the highest. */
  readonly host: number;
  /** Of the device's own memory; null for a processor, which has none. */
  readonly device: number | null;
  /** What the larger of the two is made of. */
  readonly parts: readonly MemoryPart[];
}

export interface MemorySettings extends GraphSettings {
  readonly device: string;
  readonly dataset: Pick<PreparedDataset, 'buckets' | 'items' | 'heldOut'>;
}

const MEBIBYTE = 2 ** 20;
/** The program with the libraries for computing and for pictures. */
const PROGRAM = 200 * MEBIBYTE;
const SESSION = 2.8 * MEBIBYTE;
/** Room between values of different size, relative to them. */
const LOOSE = 1.4;
/** What is kept in memory of latents and text embeddings at most. */
const CACHES = 768 * MEBIBYTE;

export const largestOf = <T extends Size>(sizes: readonly T[]): T => sizes.reduce((most, size) => (size.width * size.height > most.width * most.height ? size : most));

export function forecastMemory(settings: MemorySettings, graphs: JobGraphs = jobGraphs(settings)): MemoryForecast {
  const { job, device, dataset, model } = settings;
  const isHost = device === 'cpu';
  const used = dataset.buckets.filter(({ pictures }) => pictures > 0);
  const largest = largestOf(used.length > 0 ? used : dataset.buckets);
  const groups = measuringGroups(dataset);
  const train = graphs.train(largest).memory;
  const measure = groups.map(({ size, rows }) => graphs.measure(size, rows).memory);
  const weightsOf = (memory: GraphMemory): number => (isHost ? memory.packed + SESSION * memory.sessions : memory.weights);

  // Every shape of batches has programs of its own, each with the weights.
  const weights = Math.max(1, used.length) * weightsOf(train) + sum(measure.map(weightsOf));
  const activations = LOOSE * Math.max(train.activations, ...measure.map((one) => one.activations));
  const trained = trainedBytes(settings, graphs);
  const training = weights + activations + trained;

  const isDenoiser = job.task !== 'autoencoder';
  const encoding = isDenoiser ? Math.max(...[graphs.encode(largest), graphs.text()].map(({ memory }) => alone(memory, weightsOf))) : 0;
  let previews = 0;
  if (isDenoiser && job.preview.every > 0) {
    const count = Math.min(Math.max(1, job.preview.prompts.length), picturesAtOnce(model, job.preview));
    // Painting and decoding programs exist at the same time; their values do not, nor do those of a training step.
    const [paint, decode] = [graphs.paint(count).memory, graphs.decode(count).memory];
    previews = Math.max(0, weightsOf(paint) + weightsOf(decode) + LOOSE * Math.max(paint.activations, decode.activations) - (isHost ? 0 : activations));
  }
  const parts = [
    { label: 'weights of the model', bytes: weights },
    { label: 'activations', bytes: activations },
    { label: 'trained values and optimizer', bytes: trained },
    { label: 'previews', bytes: previews },
    { label: 'encoding, beyond training', bytes: Math.max(0, encoding - training - previews) },
  ].map(({ label, bytes }) => ({ label, bytes: Math.round(bytes) }));
  const total = sum(parts.map(({ bytes }) => bytes));
  const caches = isDenoiser ? Math.min(CACHES, cachedBytes(settings, used)) : 0;
  // Beside a device, the system holds what goes to it and comes back: values, checkpoints, and the program.
  const host = Math.round(PROGRAM + caches + (isHost ? total : 2 * trained + 2 * SESSION * train.sessions));
  const own = [{ label: 'program', bytes: PROGRAM }, ...(caches > 0 ? [{ label: 'latents and embeddings', bytes: caches }] : [])];
  return { host, device: isHost ? null : total, parts: (isHost ? [...own, ...parts] : parts).filter(({ bytes }) => bytes > 0) };
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const alone = (memory: GraphMemory, weightsOf: (memory: GraphMemory) => number): number => weightsOf(memory) + LOOSE * memory.activations;

/** Elements of an optimizer's state and of the running average. */
export function stateElements({ job }: Pick<GraphSettings, 'job'>, { plan }: JobGraphs): number {
  const { optimizer, settings } = optimizerOf(job);
  const states = plan.tensors.map(({ shape }) => sum(Object.values(optimizer.state(shape, settings as never)).map(sizeOf)));
  return sum(states) + (job.train.ema > 0 ? countElements(plan.tensors) : 0);
}

/** Values and state; once more while an update makes the new ones; gradients; and a copy on their way to a checkpoint. */
function trainedBytes(settings: MemorySettings, graphs: JobGraphs): number {
  const values = countElements(graphs.plan.tensors);
  const kept = values + stateElements(settings, graphs);
  const gradients = values * (settings.job.train.accumulate > 1 ? 3 : 1);
  return 4 * (kept * (settings.device === 'cpu' ? 3 : 2) + gradients);
}

/** Latents in all their variants, and embeddings. */
export function cachedBytes({ model, job, dataset, chunks }: Pick<MemorySettings, 'model' | 'job' | 'dataset' | 'chunks'>, used: readonly Size[]): number {
  const { channels, factor } = model.latent;
  const latents = dataset.items.reduce((total, { bucket, variants }) => {
    const { width, height } = dataset.buckets[bucket] ?? used[0]!;
    return total + variants.length * 2 * 4 * channels * (width / factor) * (height / factor);
  }, 0);
  const tokens = chunks * (model.textEncoders[0]?.length ?? 0);
  const types = model.condition(tokens);
  const texts = new Set(dataset.items.map(({ caption }) => caption)).size + 1;
  return latents + (job.adapter.textEncoder || job.task === 'pretrain' ? 0 : texts * 4 * (sizeOf(types.context) + sizeOf(types.pooled ?? [0])));
}

// Writes trained values as an adapter file of one layout, and proves it by reading the file again.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { basename, join } from 'node:path';
import { assert, UserError } from '../base/errors.ts';
import { adapters } from '../catalog/adapters/index.ts';
import type { AdapterFacts, AdapterFormat, AdapterPart, DoraAxis, NamedModel } from '../catalog/define/format.ts';
import type { Job } from '../contract/job.ts';
import { encodeTensor } from '../files/convert.ts';
import { dataSectionHash, writeSafetensors, type TensorToWrite } from '../files/safetensors-write.ts';
import { openWeights } from '../files/sharded.ts';
import { DOWN, UP } from '../nn/low-rank.ts';
import { dtypeInFile, trainedScale, valuesInFile, type FileDType } from './export-values.ts';
import { productError, productNorm } from './low-rank-norms.ts';
import { namedModel } from './named-model.ts';
import { readAdapter } from './read-adapter.ts';
import type { OpenRun } from './run-job.ts';
import type { TrainedValues } from './trained.ts';

const MAGNITUDE = 'lora_magnitude_vector';

type ExportedRun = Pick<OpenRun, 'job' | 'model' | 'modelFolder' | 'plan'>;

export interface WrittenAdapter {
  readonly path: string;
  /** Largest relative error of B·A of a layer, and of a magnitude, between what was trained and what the file holds. */
  readonly worstProduct: number;
  readonly worstMagnitude: number;
  readonly layers: number;
}

/** Axis of the magnitudes that a run trains; null without magnitudes. */
export function axisOfRun({ plan, job }: Pick<OpenRun, 'plan' | 'job'>): DoraAxis | null {
  const hasMagnitude = plan.tensors.some(({ name }) => name.endsWith(`.${MAGNITUDE}`));
  return hasMagnitude ? ((job.adapter as Readonly<Record<string, unknown>>)['axis'] as DoraAxis) : null;
}

/** @param note a warning that has to travel with the file. Error: `export.unnamed-layer`. */
export async function writeAdapter(run: ExportedRun, values: TrainedValues, format: AdapterFormat, path: string, dtype: FileDType, step: number, note: string): Promise<WrittenAdapter> {
  const { job, model, modelFolder, plan } = run;
  const named = namedModel(modelFolder.files, model.denoiserComponent);
  const axis = axisOfRun(run);
  const held = valuesInFile(values, trainedScale(job), dtype);
  const tensors: TensorToWrite[] = [];
  for (const layer of plan.layers) {
    const keyOf = (part: AdapterPart): string => format.keyOf(layer.path, part, named) ?? unnamed(layer.path, format);
    for (const part of [DOWN, UP, MAGNITUDE] as const) {
      const value = held.get(`${layer.path}.${part}`);
      if (!value) continue;
      const shape = part === MAGNITUDE ? format.magnitudeShape(layer.shape, axis!) : value.shape;
      const stored = dtypeInFile(`${layer.path}.${part}`, dtype);
      tensors.push({ name: keyOf(part), dtype: stored, shape, data: encodeTensor(value.data as Float32Array, stored, keyOf(part)) });
    }
    const rank = held.get(`${layer.path}.${DOWN}`)!.shape[0]!;
    if (format.hasAlpha) tensors.push({ name: keyOf('alpha'), dtype: 'f32', shape: [], data: Float32Array.of(rank) });
  }
  const facts = await factsOf(run, axis, step, note, await dataSectionHash(tensors));
  await writeSafetensors(path, tensors, format.metadata(facts));
  return prove(path, values, trainedScale(job), named);
}

function unnamed(layer: string, { label }: AdapterFormat): never {
  throw new UserError('export.unnamed-layer', `The layout ${label} has no name for the layer "${layer}": export for another program, or merged.`, { layer });
}

/** Opens the file again and compares every layer with what was trained. */
function prove(path: string, values: TrainedValues, scale: number, named: NamedModel): WrittenAdapter {
  const read = readAdapter(path, named);
  let worstProduct = 0;
  let worstMagnitude = 0;
  for (const { path: layer, rank } of read.layers) {
    const pair = (from: TrainedValues, factor: number) => ({
      down: from.get(`${layer}.${DOWN}`)!.data as Float32Array,
      up: (from.get(`${layer}.${UP}`)!.data as Float32Array).map((value) => value * factor),
      rank,
    });
    const [found, trained] = [pair(read.values, 1), pair(values, scale)];
    // A product that is still zero has no relative error; the file must hold a zero too.
    worstProduct = Math.max(worstProduct, productNorm(trained) === 0 ? productNorm(found) : productError(found, trained));
    const magnitude = values.get(`${layer}.${MAGNITUDE}`);
    const written = read.values.get(`${layer}.${MAGNITUDE}`);
    assert(!magnitude === !written, `${layer} lost or found a magnitude`);
    if (magnitude && written) worstMagnitude = Math.max(worstMagnitude, largestDifference(magnitude.data as Float32Array, written.data as Float32Array));
  }
  return { path, worstProduct, worstMagnitude, layers: read.layers.length };
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - b[i]!) / Math.max(Math.abs(value), 1e-12)), 0);
}

async function factsOf({ job, model, modelFolder, plan }: ExportedRun, axis: DoraAxis | null, step: number, note: string, hash: string): Promise<AdapterFacts> {
  const { rank = 0, alpha = rank } = job.adapter as Readonly<Record<string, number>>;
  const components = new Set(plan.layers.map(({ path }) => path.slice(0, path.indexOf('.'))));
  const hashes = new Map<string, string>();
  for (const component of components) hashes.set(component, await hashOfWeights(join(modelFolder.root, component)));
  assert(job.adapter.kind in adapters, `${job.adapter.kind} is an adapter`);
  return {
    title: job.name, kind: job.adapter.kind, axis, rank, alpha, trigger: job.data.caption.prefix.trim(), steps: step, seed: job.train.seed,
    learningRate: Number((job.optimizer as Readonly<Record<string, unknown>>)['learningRate']), optimizer: job.optimizer.kind,
    job: JSON.stringify(withoutPaths(job)), hash, note,
    base: { name: basename(job.base.model), ...model.knownAs, prediction: model.noise.prediction, side: model.nativeSide, hashes },
  };
}

/** A job that names no folder of its author; of folders only a name like `10_style`, which says how often they count, stays. */
function withoutPaths(job: Job): unknown {
  const lastOf = (path: string): string => path.split(/[\\/]/).findLast((part) => part !== '') ?? '';
  const nameOf = (path: string, index: number): string => (/^\d+_/.test(lastOf(path)) ? lastOf(path) : `folder-${index + 1}`);
  const { base, data } = job;
  return {
    ...job,
    base: { ...base, model: lastOf(base.model) },
    data: {
      ...data,
      folders: data.folders.map((folder, index) => ({ ...folder, path: nameOf(folder.path, index) })),
      holdout: typeof data.holdout === 'string' ? 'holdout' : data.holdout,
    },
  };
}

/** SHA-256 of a component's weight files, one after the other by name. */
async function hashOfWeights(folder: string): Promise<string> {
  const weights = openWeights(folder);
  const files = new Set([...weights.tensors.keys()].map((key) => weights.locate(key).file));
  const hash = createHash('sha256');
  for (const file of [...files].sort()) for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** A job's name as a file name: letters, digits, dot, dash and underscore. */
export const fileStem = ({ name }: Pick<Job, 'name'>): string => name.replaceAll(/[^\p{L}\p{N}._-]+/gu, '-').replace(/^[.-]+/, '') || 'adapter';

export const adapterFile = (folder: string, job: Job, layout: string): string => join(folder, `${fileStem(job)}-${layout}.safetensors`);

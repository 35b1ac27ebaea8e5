// What an export starts from: low-rank values of layers of a model, from a run's checkpoint or from an adapter file.
import { createHash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { basename } from 'node:path';
import { UserError } from '../base/errors.ts';
import { adapters } from '../catalog/adapters/index.ts';
import type { AdaptedLayer } from '../catalog/define/adapter.ts';
import type { Model } from '../catalog/define/family.ts';
import type { AdapterFacts, BaseFacts, DoraAxis, NamedModel, TrainingFacts } from '../catalog/define/format.ts';
import { formats } from '../catalog/formats/index.ts';
import { axisOfJob } from '../catalog/programs.ts';
import { EXPORT } from '../contract/export-kinds.ts';
import { modelName } from '../files/paths.ts';
import type { Job } from '../contract/job.ts';
import { withPlaces } from '../contract/recipe.ts';
import { DOWN, MAGNITUDE } from '../nn/low-rank.ts';
import { dataFacts, folderName, lastOf, readDataset } from './export-data-facts.ts';
import { trainedScale } from './export-values.ts';
import { namedModel } from './named-model.ts';
import { openBase, type OpenModel } from './open-model.ts';
import { readAdapter, type ReadAdapter } from './read-adapter.ts';
import { recipeBase, recipeInFile } from './recipe-facts.ts';
import { startHash } from './start-file.ts';
import { asJob, type BaseOfJob } from './told-base.ts';
import type { OpenRun } from './run-job.ts';
import type { TrainedValues } from './trained.ts';

export { MAGNITUDE };

export interface SourceLayer extends AdaptedLayer {
  readonly rank: number;
}

export type SourceFacts = Omit<AdapterFacts, 'hash' | 'note'>;

export interface ExportSource {
  /** Name for files. */
  readonly stem: string;
  readonly model: Model;
  readonly baseModel: OpenModel;
  readonly named: NamedModel;
  readonly layers: readonly SourceLayer[];
  /** Axis of the magnitudes; null without any. */
  readonly axis: DoraAxis | null;
  /** Factor of B·A, as the values are. */
  readonly scale: number;
  /** `<layer path>.lora_A.weight` and so on, f32, in the shapes of training. */
  readonly values: TrainedValues;
  /** Reads the base's files for their hashes: takes as long as that does. */
  facts(): Promise<SourceFacts>;
}

/** A job's name as a file name: letters, digits, dot, dash and underscore. */
export const fileStem = ({ name }: Pick<Job, 'name'>): string => name.replaceAll(/[^\p{L}\p{N}._-]+/gu, '-').replace(/^[.-]+/, '') || 'adapter';

/** Name of what a run's values make; those of an earlier step than the last have their own, so that they replace nothing. */
export const runStem = (job: Pick<Job, 'name' | 'train'>, step: number): string => (step >= job.train.steps ? fileStem(job) : `${fileStem(job)}-step${step}`);

/** Endings that exports give to names: another export of such a file has its own. */
const EXPORTED = new RegExp(`(?:-${EXPORT.plain})?-(?:${Object.keys(formats).join('|')})$`);

/** An adapter file's name without its type and without the layout that an export put there. */
export const adapterStem = (path: string): string => fileStem({ name: basename(path).replace(/\.safetensors$/, '').replace(EXPORTED, '') });

/** Axis of the magnitudes that a run trains; null without magnitudes. */
export function axisOfRun({ plan, job }: Pick<OpenRun, 'plan' | 'job'>): DoraAxis | null {
  const hasMagnitude = plan.tensors.some(({ name }) => name.endsWith(`.${MAGNITUDE}`));
  return hasMagnitude ? axisOfJob(job) : null;
}

type SourceRun = Pick<OpenRun, 'job' | 'model' | 'baseModel' | 'plan' | 'folder'>;

/** Error: `export.kind` for an adapter that is not made of two low-rank matrices. */
export function sourceOfRun(run: SourceRun, values: TrainedValues, step: number): ExportSource {
  const { job, model, baseModel, plan } = run;
  const layers = plan.layers.map((layer): SourceLayer => {
    const down = values.get(`${layer.path}.${DOWN}`);
    if (!down) throw new UserError('export.kind', `Adapters of the kind "${job.adapter.kind}" have no layout that other programs read exactly: export with --as merged.`, { kind: job.adapter.kind });
    return { ...layer, rank: down.shape[0]! };
  });
  return {
    stem: runStem(job, step), model, baseModel, layers, values, scale: trainedScale(job), axis: axisOfRun(run),
    named: namedModel(baseModel.files, model.denoiserComponent),
    facts: once(() => factsOfRun(run, layers, step)),
  };
}

/**
 * @param axis of magnitudes, where the file leaves it open
 * Errors: those of opening the base and of `readAdapter`.
 */
export function sourceOfFile(path: string, base: string | BaseOfJob, axis?: DoraAxis): ExportSource & Pick<SourceFacts, 'trigger'> {
  const job = typeof base === 'string' ? asJob({ base }) : base;
  const { baseModel, model } = openBase(job);
  const named = namedModel(baseModel.files, model.denoiserComponent);
  const read = readAdapter(path, named, axis);
  const layers = layersOf(read, named);
  const told = withoutBase(factsOfFile(path, read.metadata, read.axis, layers));
  const facts = async (): Promise<SourceFacts> => ({ ...told, base: await baseFacts(job.base.model, model, baseModel, layers) });
  return { stem: adapterStem(path), model, baseModel, named, layers, axis: read.axis, scale: 1, values: read.values, trigger: told.trigger, facts: once(facts) };
}

/** Texts of an adapter file that stay true when its tensors are written anew: how it was trained, on what, by whom. */
const CARRIED = /^(?:ss_(?!network_(?:module|dim|alpha|args)$|v2$|base_model_version$|output_name$|training_comment$).+|modelspec\.(?:author|date|license|tags|description|merged_from|timestep_range|encoder_layer)|adora\.(?:job|recipe|steps|altered|svd_error|svd_of|merged_from|base|base_sha256(?:\..+)?))$/;

export function carriedTexts(metadata: ReadonlyMap<string, string>): Record<string, string> {
  const own = [...metadata].filter(([key, value]) => CARRIED.test(key) && (key !== 'modelspec.description' || value !== metadata.get('adora.note')));
  return Object.fromEntries(own);
}

/** Facts of an adapter file that do not depend on its base. */
export function factsOfFile(path: string, metadata: ReadonlyMap<string, string>, axis: DoraAxis | null, layers: readonly SourceLayer[]): Omit<SourceFacts, 'base'> {
  const rank = Math.max(0, ...layers.map((layer) => layer.rank));
  const alpha = Number(metadata.get('adora.trained_alpha') ?? metadata.get('ss_network_alpha') ?? NaN);
  return {
    title: metadata.get('ss_output_name') ?? metadata.get('modelspec.title') ?? basename(path).replace(/\.safetensors$/, ''),
    kind: kindOf(axis), axis, rank, alpha: alpha > 0 ? alpha : rank,
    trigger: (metadata.get('modelspec.trigger_phrase') ?? metadata.get('modelspec.usage_hint') ?? '').slice(0, 1000),
    training: null, data: null, carried: carriedTexts(metadata),
  };
}

/** What the file says of a base gives way to what is known of one that is at hand. */
const withoutBase = (facts: Omit<SourceFacts, 'base'>): Omit<SourceFacts, 'base'> =>
  ({ ...facts, carried: Object.fromEntries(Object.entries(facts.carried ?? {}).filter(([key]) => !/^(?:adora\.base|ss_(?:new_)?sd_model)/.test(key))) });

/** The layers of an adapter that was read for a model. */
export const layersOf = (read: Pick<ReadAdapter, 'layers'>, named: NamedModel): SourceLayer[] => read.layers.map(({ path, rank }) => {
  const shape = named.layers.get(path)!;
  return { path, shape, rank, kind: shape.length === 2 ? 'linear' : 'conv' };
});

/** Name of the adapter that has (or has not) magnitudes. */
export const kindOf = (axis: DoraAxis | null): string =>
  Object.entries(adapters).find(([, adapter]) => (adapter as unknown) === (axis === null ? adapters.lora : adapters.dora))![0];

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

async function factsOfRun(run: SourceRun, layers: readonly SourceLayer[], step: number): Promise<SourceFacts> {
  const { job, model, baseModel, folder } = run;
  const { rank = 0, alpha = rank } = job.adapter as Readonly<Record<string, number>>;
  const [base, dataset] = [await baseFacts(job.base.model, model, baseModel, layers), await readDataset(job, model)];
  const recipe = await recipeInFile(job, recipeBase(job.task, model, baseModel, base), dataset, startHash(folder.path));
  return {
    title: job.name, kind: job.adapter.kind, axis: axisOfRun(run), rank, alpha, trigger: job.data.caption.prefix.trim(), base,
    training: { ...trainingFacts(job, step), recipe: JSON.stringify(recipe) }, data: dataset && dataFacts(dataset, job, model),
  };
}

function trainingFacts(job: Job, step: number): Omit<TrainingFacts, 'recipe'> {
  const learningRate = Number((job.optimizer as Readonly<Record<string, unknown>>)['learningRate']);
  const { adapter, train, objective } = job;
  return {
    steps: step, totalSteps: train.steps, seed: train.seed, learningRate,
    textLearningRate: adapter.textEncoder ? adapter.textEncoderLearningRate ?? learningRate : null,
    optimizer: job.optimizer.kind, schedule: job.schedule.kind, warmup: job.schedule.warmup,
    batch: train.batch, accumulate: train.accumulate, checkpointing: train.checkpointing,
    dropout: Number((adapter as Readonly<Record<string, unknown>>)['dropout'] ?? 0),
    noiseOffset: objective.noiseOffset, minSnrGamma: objective.weighting === 'min-snr' ? objective.minSnrGamma : null,
    clipSkip: job.base.clipSkip ?? null, job: JSON.stringify(withoutPaths(job)),
  };
}

/** A job that names no folder of its author. */
function withoutPaths(job: Job): Job {
  const { selection: _, ...data } = job.data;
  return withPlaces({ ...job, data }, { file: lastOf, folder: folderName, holdout: () => 'holdout' });
}

/** What a part of the model tells; null for a model without that part, such as a UNet by itself. */
export function ifThere<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof UserError && error.code === 'model.missing-part') return null;
    throw error;
  }
}

export async function baseFacts(root: string, model: Model, { stored }: OpenModel, layers: readonly SourceLayer[]): Promise<BaseFacts> {
  const components = [...new Set(layers.map(({ path }) => path.slice(0, path.indexOf('.'))))];
  const isFile = statSync(root).isFile();
  const hashes = new Map<string, string>();
  for (const component of isFile ? [] : components) {
    const found = stored.get(component);
    if (found) hashes.set(component, await hashOfFiles(found.file.files.map(({ path }) => path)));
  }
  return {
    name: modelName(root), ...model.knownAs, prediction: ifThere(() => model.noise.prediction), side: ifThere(() => model.nativeSide),
    hashes, fileHash: isFile ? await hashOfFiles([root]) : null,
  };
}

/** Of files that have not changed since. */
const known = new Map<string, Promise<string>>();

/** SHA-256 of files, one after the other by name; lower-case hex. */
export function hashOfFiles(files: readonly string[]): Promise<string> {
  const sorted = [...files].sort();
  const key = sorted.map((file) => {
    const { size, mtimeMs, ino } = statSync(file);
    return `${file} ${size} ${mtimeMs} ${ino}`;
  }).join('\n');
  let found = known.get(key);
  if (!found) {
    found = digestOf(sorted);
    known.set(key, found);
    found.catch(() => known.delete(key));
  }
  return found;
}

async function digestOf(files: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const file of files) for await (const chunk of createReadStream(file, { highWaterMark: 1 << 22 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

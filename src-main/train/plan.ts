// From a job and a model to what is trained: which tensors, where they start, how graphs are built. Pure but for the
// functions that give start values.
import { UserError, type ErrorData } from '../base/errors.ts';
import { rng } from '../base/rng.ts';
import type { Shape } from '../base/shape.ts';
import { adapters } from '../catalog/adapters/index.ts';
import { consumers } from '../catalog/consumers/index.ts';
import type { Adapter } from '../catalog/define/adapter.ts';
import type { NamedModel, Program } from '../catalog/define/format.ts';
import type { Optimizer } from '../catalog/define/optimizer.ts';
import { optimizers } from '../catalog/optimizers/index.ts';
import { programsFor } from '../catalog/programs.ts';
import type { SettingValue } from '../contract/fields.ts';
import type { Model } from '../catalog/define/family.ts';
import type { Job } from '../contract/job.ts';
import { createBuilder, reachable, type Builder, type BuilderOptions, type Layer } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { initialValues } from '../nn/init.ts';
import type { DType } from '../base/dtype.ts';
import { buildCondition } from './condition.ts';
import { maskName } from './dropout.ts';
import { ignoredSettings } from './ignored-settings.ts';
import { namedModel } from './named-model.ts';
import type { OpenModel } from './open-model.ts';
import type { TrainedTensor } from './trained.ts';

/** An adapted layer of the plan. */
export interface PlannedLayer {
  readonly kind: Layer['kind'];
  readonly path: string;
  readonly shape: Shape;
}

export interface Plan {
  readonly builder: BuilderOptions;
  readonly tensors: readonly PlannedTensor[];
  /** Layers with an adapter; empty when weights of the model are trained themselves. */
  readonly layers: readonly PlannedLayer[];
  /** Target layers whose output the model does not use, such as those of a text encoder after the layer that `clipSkip` chooses. */
  readonly unused: readonly string[];
  readonly adapter: Adapter | null;
  readonly trainsText: boolean;
  /** Elements of the frozen weights that a step uses. */
  readonly frozen: number;
  /** What the user should know before training. */
  readonly warnings: readonly PlanWarning[];
}

export interface PlanWarning {
  readonly code: string;
  readonly text: string;
  readonly data: ErrorData;
}

/** A trained tensor and the rule for its start. */
export interface PlannedTensor extends Pick<TrainedTensor, 'name' | 'shape'> {
  readonly start:
    | { readonly kind: 'file' }
    | { readonly kind: 'random'; readonly seed: number; readonly weightShape: Shape | null }
    | { readonly kind: 'zero' }
    | { readonly kind: 'kaiming'; readonly seed: number }
    | { readonly kind: 'norm'; readonly layer: PlannedLayer };
}

/** Errors: `job.targets`, `job.no-layers`, `job.rank`, `job.unknown-adapter`, those of the model. */
export function makePlan(job: Job, model: Model, folder: Pick<OpenModel, 'storedDType' | 'files'>, compute: DType): Plan {
  const plan = planOfTask(job, model, folder, compute);
  return { ...plan, warnings: [...ignoredSettings(job), ...plan.warnings] };
}

function planOfTask(job: Job, model: Model, folder: Pick<OpenModel, 'storedDType' | 'files'>, compute: DType): Plan {
  const base: BuilderOptions = { compute, storedDType: folder.storedDType };
  switch (job.task) {
    case 'autoencoder':
      return wholePlan(job, model, folder, base, false, (path) => autoencoderParts[job.autoencoder.part].some((part) => path.startsWith(part)));
    case 'pretrain': {
      const parts = [model.denoiserComponent, ...model.textEncoders.map(({ component }) => component)];
      return wholePlan(job, model, folder, base, true, (path) => parts.some((part) => path.startsWith(`${part}.`)));
    }
    case 'adapter':
      return adapterOf(job).trainsWeights ? fullPlan(job, model, folder, base) : adapterPlan(job, model, folder, base);
  }
}

const autoencoderParts = { all: ['vae.'], decoder: ['vae.decoder.', 'vae.post_quant_conv.'] } as const;

interface BuiltOnce {
  readonly g: Builder;
  /** Names of the leaves that have a say in what the model gives. */
  readonly used: ReadonlySet<string>;
}

/** Loss-free stand-in for a step: every layer is built once, on the smallest inputs. */
function buildOnce(job: Job, model: Model, options: BuilderOptions, trainsText: boolean): BuiltOnce {
  const g = createBuilder(options);
  const built = (outputs: readonly Value[]): BuiltOnce => ({ g, used: new Set(reachable(outputs).flatMap(({ leaf }) => (leaf ? [leaf.name] : []))) });
  if (job.task === 'autoencoder') {
    const side = model.pixelStep;
    const moments = model.encode(g, g.input('pixels', [1, 3, side, side]));
    return built([moments, model.decode(g, g.input('latents', [1, model.latent.channels, 1, 1]))]);
  }
  const tokens = 1;
  const types = model.condition(tokens);
  const input = (name: string, shape: Shape): Value => g.input(name, [1, ...shape], g.compute);
  const text = trainsText ? buildCondition(g, model, 1) : null;
  const prediction = model.denoise(g, {
    sample: g.input('sample', [1, model.latent.channels, 1, 1], g.compute),
    timestep: g.input('timestep', [1]),
    context: input('context', types.context),
    ...(types.pooled ? { pooled: input('pooled', types.pooled) } : {}),
    ...(types.timeIds ? { timeIds: g.input('timeIds', [1, ...types.timeIds]) } : {}),
  });
  return built([prediction, ...(text ? [text.context] : []), ...(text?.pooled ? [text.pooled] : [])]);
}

function wholePlan(job: Job, model: Model, folder: Pick<OpenModel, 'files'>, base: BuilderOptions, trainsText: boolean, trains: (path: string) => boolean): Plan {
  const builder = { ...base, trains };
  const { g } = buildOnce(job, model, builder, trainsText);
  const tensors = leavesOf(g, 'trainable').map(({ name, shape }): PlannedTensor => {
    const weight = g.leaves.get(name.replace(/\.bias$/, '.weight'));
    const component = folder.files.get(name.slice(0, name.indexOf('.')));
    const isRandom = job.init === 'random' || component?.tensors.size === 0;
    return { name, shape, start: isRandom ? { kind: 'random', seed: job.train.seed, weightShape: weight?.shape ?? null } : { kind: 'file' } };
  });
  return { builder, tensors, layers: [], unused: [], adapter: null, trainsText, frozen: frozenCount(g), warnings: [] };
}

/** Full fine-tuning: the weights of the target layers, or everything with the target `all`. */
function fullPlan(job: Job, model: Model, folder: Pick<OpenModel, 'files'>, base: BuilderOptions): Plan {
  const { textEncoder } = job.adapter;
  if (job.adapter.targets === 'all') {
    const parts = [model.denoiserComponent, ...(textEncoder ? model.textEncoders.map(({ component }) => component) : [])];
    const { used } = buildOnce(job, model, base, textEncoder);
    return wholePlan(job, model, folder, base, textEncoder, (path) => used.has(path) && parts.some((part) => path.startsWith(`${part}.`)));
  }
  const chosen = new Set(targetLayers(job, model, base).layers.flatMap(({ path }) => [`${path}.weight`, `${path}.bias`]));
  return wholePlan(job, model, folder, base, textEncoder, (path) => chosen.has(path));
}

function adapterPlan(job: Job, model: Model, { files }: Pick<OpenModel, 'files'>, base: BuilderOptions): Plan {
  const adapter = adapterOf(job);
  const { layers: wanted, unused } = targetLayers(job, model, base);
  const { layers, warnings } = nameable(job, wanted, namedModel(files, model.denoiserComponent));
  const planned = new Map(layers.map((layer) => [layer.path, layer]));
  const settings = job.adapter as never;
  const dropout = dropoutOf(job);
  const transform = (g: Builder, layer: Layer): Value | null => {
    const known = planned.get(layer.path);
    if (!known) return null;
    const parameters = Object.fromEntries(adapter.parameters(known, settings).map(({ name, shape }) => [name, g.trainable(`${layer.path}.${name}`, shape)]));
    const mask = dropout > 0 && g.training ? g.input(maskName(layer.path), layer.x.shape, layer.x.dtype) : null;
    return adapter.apply(g, layer, parameters, settings, mask);
  };
  const builder = { ...base, transform };
  const { g } = buildOnce(job, model, builder, job.adapter.textEncoder);
  const tensors = layers.flatMap((layer) => adapter.parameters(layer, settings).map(({ name, shape, initial }): PlannedTensor => {
    const start = initial === 'norm' ? { kind: 'norm' as const, layer } : initial === 'zero' ? { kind: 'zero' as const } : { kind: 'kaiming' as const, seed: job.train.seed };
    return { name: `${layer.path}.${name}`, shape, start };
  }));
  return { builder, tensors, layers, unused, adapter, trainsText: job.adapter.textEncoder, frozen: frozenCount(g), warnings: [...warnings, ...rankWarnings(job, layers)] };
}

/** Without the layers that a program of the job has no name for at all: its files could not hold what they learn. */
function nameable({ output }: Job, wanted: readonly PlannedLayer[], named: NamedModel): { layers: PlannedLayer[]; warnings: PlanWarning[] } {
  const without = ({ path }: PlannedLayer): Program | undefined => programsFor(output.for).find((program) => consumers[program].modulesOf(path, named).length === 0);
  const lost = wanted.flatMap((layer) => {
    const program = without(layer);
    return program === undefined ? [] : [{ path: layer.path, program }];
  });
  const [first] = lost;
  if (!first) return { layers: [...wanted], warnings: [] };
  const label = consumers[first.program].label;
  const text = `${label} has no name for ${lost.length === 1 ? `the layer "${first.path}"` : `${lost.length} layers, first "${first.path}"`}, so nothing is trained there; with output.for for another program it would be.`;
  const names = new Set(lost.map(({ path }) => path));
  return { layers: wanted.filter(({ path }) => !names.has(path)), warnings: [{ code: 'job.unnamed-layer', text, data: { program: first.program, layers: [...names] } }] };
}

/** Share of the inputs that an adapter's branches do not see in a training step. */
export const dropoutOf = ({ task, adapter }: Job): number => (task === 'adapter' ? Number((adapter as Record<string, unknown>)['dropout'] ?? 0) : 0);

export function adapterOf(job: Job): Adapter {
  const adapter = (adapters as unknown as Readonly<Record<string, Adapter>>)[job.adapter.kind];
  if (!adapter) throw new UserError('job.unknown-adapter', `There is no adapter "${job.adapter.kind}".`, { kind: job.adapter.kind });
  return adapter;
}

export function optimizerOf({ optimizer }: Job): { optimizer: Optimizer; settings: Readonly<Record<string, SettingValue>> } {
  const found = (optimizers as unknown as Readonly<Record<string, Optimizer>>)[optimizer.kind];
  if (!found) throw new UserError('job.unknown-optimizer', `There is no optimizer "${optimizer.kind}".`, { kind: optimizer.kind });
  return { optimizer: found, settings: optimizer };
}

/** Nobody need hear of less: every denoiser ends in a layer with as few outputs as its latents have channels. */
const MOST_WASTE = 0.02;

/**
 * A change of a weight [O,I] has at most rank min(O,I): more is wasted, and more than both is a mistake.
 * Error: `job.rank`.
 */
function rankWarnings({ adapter }: Job, layers: readonly PlannedLayer[]): PlanWarning[] {
  const { rank } = adapter as Readonly<Record<string, unknown>>;
  if (typeof rank !== 'number') return [];
  const sides = layers.map(({ path, shape: [out, ...rest] }) => ({ path, out: out!, into: rest.reduce((a, b) => a * b, 1) }));
  const tooSmall = sides.find(({ out, into }) => rank > Math.max(out, into));
  if (tooSmall) {
    const { path, out, into } = tooSmall;
    throw new UserError('job.rank', `adapter.rank = ${rank} is larger than both sides of the layer "${path}" (${into} inputs, ${out} outputs): choose at most ${Math.min(out, into)}, or other targets.`, { rank, path, out, into });
  }
  const narrow = sides.filter(({ out, into }) => rank > Math.min(out, into));
  const [first] = narrow;
  const values = (of: readonly (typeof sides)[number][], ranks: (side: (typeof sides)[number]) => number): number => of.reduce((sum, side) => sum + ranks(side) * (side.out + side.into), 0);
  const wasted = values(narrow, ({ out, into }) => rank - Math.min(out, into)) / values(sides, () => rank);
  if (!first || wasted < MOST_WASTE) return [];
  return [{
    code: 'job.rank', data: { rank, layers: narrow.map(({ path }) => path), wasted },
    text: `adapter.rank = ${rank} is more than ${narrow.length} of ${layers.length} layers can use, first "${first.path}" (${first.into} inputs, ${first.out} outputs): ${Math.round(100 * wasted)} % of the adapter's values are of no use.`,
  }];
}

/** Whether a trained tensor has the job's learning rate for text encoders; null when the job has none. */
export function ownRateOf({ task, adapter }: Job): { readonly rate: number; readonly has: (tensor: string) => boolean } | null {
  const { textEncoder, textEncoderLearningRate: rate } = adapter;
  return task === 'adapter' && textEncoder && rate !== undefined ? { rate, has: (tensor) => tensor.startsWith('text_encoder') } : null;
}

/** The layers that the job's targets name, in the order in which the model uses them, and the names of those that it does not use. */
function targetLayers(job: Job, model: Model, base: BuilderOptions): { layers: PlannedLayer[]; unused: string[] } {
  const target = model.targets[job.adapter.targets];
  if (!target) throw new UserError('job.targets', `The targets "${job.adapter.targets}" go with full fine-tuning only; choose one of ${Object.keys(model.targets).join(', ')}.`, { targets: job.adapter.targets });
  const found = new Map<string, PlannedLayer>();
  const transform = (_: Builder, { kind, path, weight }: Layer): null => {
    const isText = !path.startsWith(`${model.denoiserComponent}.`);
    if ((!isText || job.adapter.textEncoder) && target.includes(path, kind)) found.set(path, { kind, path, shape: weight.shape });
    return null;
  };
  const { used } = buildOnce(job, model, { ...base, transform }, job.adapter.textEncoder);
  const [layers, others] = [true, false].map((wanted) => [...found.values()].filter(({ path }) => used.has(`${path}.weight`) === wanted)) as [PlannedLayer[], PlannedLayer[]];
  if (layers.length === 0) throw new UserError('job.no-layers', `No layer of the model belongs to the targets "${job.adapter.targets}".`, { targets: job.adapter.targets });
  return { layers, unused: others.map(({ path }) => path) };
}

function leavesOf(g: Builder, kind: 'trainable' | 'weight'): { name: string; shape: Shape }[] {
  return [...g.leaves.values()].filter(({ leaf }) => leaf!.kind === kind).map(({ leaf, shape }) => ({ name: leaf!.name, shape }));
}

const frozenCount = (g: Builder): number => leavesOf(g, 'weight').reduce((total, { shape }) => total + shape.reduce((a, b) => a * b, 1), 0);

/** Start values that need no model: everything but `file` and `norm`. */
export function drawStart(tensor: PlannedTensor): Float32Array | null {
  const { name, shape, start } = tensor;
  const size = shape.reduce((a, b) => a * b, 1);
  switch (start.kind) {
    case 'zero':
      return new Float32Array(size);
    case 'kaiming': {
      // PyTorch's kaiming_uniform with a = √5: bound 1/√fan-in.
      const bound = 1 / Math.sqrt(size / shape[0]!);
      const random = rng(start.seed, 'init', name);
      return Float32Array.from({ length: size }, () => (2 * random.uniform() - 1) * bound);
    }
    case 'random':
      return initialValues(name, shape, rng(start.seed, 'init', name), start.weightShape ?? undefined);
    default:
      return null;
  }
}

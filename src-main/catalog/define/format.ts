// What a layout of adapter files is: the names and shapes of its tensors, what it can carry, what is written beside them.
// Inside Adora an adapter's tensors are `<layer path>.<part>`, the path beginning with the component: `unet.`, `text_encoder.`.
import type { Shape } from '../../base/shape.ts';
import type { Consumer } from '../../contract/job.ts';
import { DOWN, MAGNITUDE, UP } from '../../nn/low-rank.ts';

export { DOWN, MAGNITUDE, UP };

/** What kohya's layout calls the magnitudes, and the programs that read it. */
export const DORA_SCALE = 'dora_scale';

/** Which vectors of a weight [out,in(,kh,kw)] have a magnitude of their own: its rows or its columns. */
export type DoraAxis = 'output' | 'input';

/** A program that reads adapters; what it makes of them stands in the catalog. */
export type Program = Exclude<Consumer, 'all'>;

/** The tensors of one layer. `alpha` stands in files only: ours always have it folded into B. */
export type AdapterPart = typeof DOWN | typeof UP | typeof MAGNITUDE | 'alpha';

/** What a layout has to know of the model whose layers it names. */
export interface NamedModel {
  /** Component of the denoiser: `unet`. */
  readonly denoiser: string;
  readonly textEncoders: readonly string[];
  /** Shapes of the weights that an adapter could belong to, by layer path. */
  readonly layers: ReadonlyMap<string, Shape>;
}

export interface ParsedKey {
  /** The layer as this layout spells it. */
  readonly module: string;
  readonly part: AdapterPart;
}

/** What is told about an adapter in its file. Nothing here may name a folder or a person. */
export interface AdapterFacts {
  readonly title: string;
  /** Kind of the adapter, as jobs name it. */
  readonly kind: string;
  readonly axis: DoraAxis | null;
  /** The largest of its layers. */
  readonly rank: number;
  /** As trained; files have it folded into B. */
  readonly alpha: number;
  /** Words that call the style up; empty when there are none. */
  readonly trigger: string;
  readonly base: BaseFacts;
  /** SHA-256 of the data section, lower-case hex. */
  readonly hash: string;
  /** A warning that has to travel with the file; empty when there is none. */
  readonly note: string;
  /** ISO 8601. Left out unless the user gives one: the same run must give the same bytes. */
  readonly date?: string;
  /** How it was trained; null for a file that was made from another file. */
  readonly training: TrainingFacts | null;
  /** Pictures and captions; null when they are not at hand. */
  readonly data: DataFacts | null;
  /** For an adapter that approximates another one: ‖difference‖ / ‖change‖ over all layers, and what it was made from. */
  readonly approximation?: { readonly error: number; readonly of: string };
  /** Texts of the file that it was made from which hold for it too. */
  readonly carried?: Readonly<Record<string, string>>;
}

export interface TrainingFacts {
  readonly steps: number;
  readonly totalSteps: number;
  readonly seed: number;
  readonly learningRate: number;
  /** Of the text encoders; null when they are not trained. */
  readonly textLearningRate: number | null;
  readonly optimizer: string;
  readonly schedule: string;
  readonly warmup: number;
  readonly batch: number;
  readonly accumulate: number;
  readonly checkpointing: boolean;
  readonly dropout: number;
  readonly noiseOffset: number;
  readonly minSnrGamma: number | null;
  /** Layers of the text encoder that are left out at its end, plus one; null is the model's own way. */
  readonly clipSkip: number | null;
  /** The job as JSON without paths. */
  readonly job: string;
  /** What belongs to its recipe besides, as JSON: versions, hashes of base and pictures. */
  readonly recipe: string;
}

export interface DataFacts {
  /** Names like `10_style`, never paths. */
  readonly folders: readonly { readonly name: string; readonly repeats: number; readonly pictures: number; readonly tags: ReadonlyMap<string, number> }[];
  readonly buckets: readonly { readonly width: number; readonly height: number; readonly count: number }[];
  /** Pictures times repeats. */
  readonly draws: number;
  readonly regularization: number;
  readonly width: number;
  readonly height: number;
}

export interface BaseFacts {
  readonly name: string;
  /** ModelSpec's name, without "/lora". */
  readonly architecture: string;
  readonly implementation: string;
  /** What kohya's scripts call it. */
  readonly kohyaVersion: string;
  readonly isVersion2: boolean;
  /** Null where nothing tells. */
  readonly prediction: 'epsilon' | 'v_prediction' | null;
  /** Side in pixels of the pictures it was made for; null where nothing tells. */
  readonly side: number | null;
  /** SHA-256 of the weight files of the adapted components, lower-case hex. */
  readonly hashes: ReadonlyMap<string, string>;
  /** SHA-256 of the whole file, for a base that is one file. */
  readonly fileHash: string | null;
}

/** How a layout spells a layer: one word after a prefix (`lora_unet_…`), or the path with its dots. */
export type Naming = 'flat' | 'dotted';

export interface AdapterFormat {
  readonly label: string;
  readonly help: string;
  readonly naming: Naming;
  /** Magnitudes that have a place in it. */
  readonly axes: readonly DoraAxis[];
  /** Programs that read it take every layer for a DoRA where one is. */
  readonly isAllDora: boolean;
  /** Every layer has an alpha tensor. */
  readonly hasAlpha: boolean;
  /** Name of a tensor, or null when the layout has none for this layer. */
  keyOf(path: string, part: AdapterPart, model: NamedModel): string | null;
  /** The same for a layer as this layout spells it. */
  tensorName(module: string, part: AdapterPart): string | null;
  /** All the ways in which files of this layout spell a layer, that in which it is written first. */
  modulesOf(path: string, model: NamedModel): readonly string[];
  /** Takes a tensor's name apart, or gives null when it is not of this layout. */
  parse(key: string): ParsedKey | null;
  /** Shape of a magnitude as it is written, for a weight [out,in(,kh,kw)]. */
  magnitudeShape(weight: Shape, axis: DoraAxis): Shape;
  /** Axes that a magnitude of this shape can belong to: none when it does not fit the weight. */
  axesOf(magnitude: Shape, weight: Shape): readonly DoraAxis[];
  metadata(facts: AdapterFacts): Readonly<Record<string, string>>;
}

/** [O] or, for a convolution, [1,O,1,1] on the output axis; [1,I] or [1,I,1,1] on the input axis. */
export function magnitudeShape(weight: Shape, axis: DoraAxis): Shape {
  const [out, inputs] = weight as [number, number];
  if (weight.length === 2) return axis === 'output' ? [out] : [1, inputs];
  return [1, axis === 'output' ? out : inputs, ...weight.slice(2).map(() => 1)];
}

/** Says that an adapter is not what its recipe makes any more. */
export const ALTERED = 'adora.altered';

/** Metadata that do not depend on the layout: ModelSpec 1.0.1 and Adora's own. */
export function commonMetadata(facts: AdapterFacts): Record<string, string> {
  const { base, axis, trigger, note, hash, training, approximation } = facts;
  return {
    ...facts.carried,
    format: 'pt',
    'modelspec.sai_model_spec': '1.0.1',
    'modelspec.architecture': `${base.architecture}/lora`,
    'modelspec.implementation': base.implementation,
    'modelspec.title': facts.title,
    ...(base.side === null ? {} : { 'modelspec.resolution': `${base.side}x${base.side}` }),
    ...(base.prediction === null ? {} : { 'modelspec.prediction_type': base.prediction === 'epsilon' ? 'epsilon' : 'v' }),
    'modelspec.hash_sha256': `0x${hash}`,
    ...(note ? { 'modelspec.description': note, 'adora.note': note } : {}),
    ...(trigger ? { 'modelspec.trigger_phrase': trigger, 'modelspec.usage_hint': trigger, 'adora.trigger': trigger } : {}),
    ...(facts.date ? { 'modelspec.date': facts.date } : {}),
    'adora.kind': facts.kind,
    'adora.rank': String(facts.rank),
    'adora.trained_alpha': String(facts.alpha),
    ...(axis ? { 'adora.dora_axis': axis } : {}),
    ...(approximation ? { 'adora.svd_error': approximation.error.toPrecision(4), 'adora.svd_of': approximation.of } : {}),
    ...(approximation && (training ?? facts.carried?.['adora.job']) ? { [ALTERED]: `made from a ${approximation.of}` } : {}),
    ...(base.name ? { 'adora.base': base.name } : {}),
    ...Object.fromEntries([...base.hashes].map(([component, value]) => [`adora.base_sha256.${component}`, value])),
    ...(base.fileHash === null ? {} : { 'adora.base_sha256': base.fileHash }),
    ...(training ? { 'adora.steps': String(training.steps), 'adora.job': training.job, 'adora.recipe': training.recipe } : {}),
  };
}

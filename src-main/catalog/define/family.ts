// What a family of diffusion models is to the rest of the program. Nothing outside a family's own file asks which one it is.
import type { Builder } from '../../graph/builder.ts';
import type { Shape } from '../../base/shape.ts';
import type { DType } from '../../base/dtype.ts';
import type { Value } from '../../graph/types.ts';

/** One part of a model on disk, known by its configuration and the header of its weights. */
export interface Component {
  /** Contents of config.json. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Key -> type of each tensor. Empty when the weights are to be drawn at random. */
  readonly tensors: ReadonlyMap<string, { readonly dtype: DType | 'bf16' | 'f64' | 'i32' | 'u8'; readonly shape: Shape }>;
}

/** A part of a model in a file without configuration, with the keys and shapes of the diffusers layout. */
export interface BarePart {
  readonly tensors: ReadonlyMap<string, { readonly dtype: string; readonly shape: Shape }>;
  /** Values of a parameter as f32; asked of small ones only. */
  readonly values: (key: string) => Float32Array;
}

/** What files without configuration hold. */
export interface BareModel {
  readonly unet: BarePart | null;
  readonly vae: BarePart | null;
  readonly text: readonly BarePart[];
  /** Names of tensors of no part; some say how the model was trained. */
  readonly markers: ReadonlySet<string>;
  /** Texts of the header. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** The configuration that a part would have in the diffusers layout. */
export interface ConfiguredPart {
  readonly config: Readonly<Record<string, unknown>>;
  /** Null for a part without weights, such as the scheduler. */
  readonly part: BarePart | null;
  /** Keys of the part that the model does not use. */
  readonly isUnused?: (key: string) => boolean;
}

/** A model told by its keys and shapes. */
export interface ConfiguredModel {
  /** For people: "Stable Diffusion 1.x". */
  readonly label: string;
  /** By component name; the scheduler says what is predicted. */
  readonly parts: ReadonlyMap<string, ConfiguredPart>;
}

/** A model in the diffusers layout: `unet`, `vae`, `text_encoder`, `scheduler` ... by folder name. */
export type ModelFiles = ReadonlyMap<string, Component>;

export type Prediction = 'epsilon' | 'v_prediction';

export interface Latent {
  readonly channels: number;
  /** Pixels per latent position along each axis. */
  readonly factor: number;
  /** A latent in the denoiser's units is (raw − shift) · scale. */
  readonly scale: number;
  readonly shift: number;
}

/** What a denoiser is told besides the noisy latent. Shapes without the batch axis. */
export interface ConditionTypes {
  readonly context: Shape;
  readonly pooled?: Shape;
  readonly timeIds?: Shape;
}

export interface DenoiserInputs {
  /** [B,C,H,W] in the builder's computing type. */
  readonly sample: Value;
  /** [B], f32. */
  readonly timestep: Value;
  /** [B,T,D] */
  readonly context: Value;
  /** [B,P] */
  readonly pooled?: Value;
  /** [B,6], f32: original size, crop corner, target size; each height before width. */
  readonly timeIds?: Value;
}

export interface TextOutputs {
  /** [B,T,D]: the states the denoiser attends to. */
  readonly context: Value;
  /** [B,P], when the model has pooled conditioning. */
  readonly pooled?: Value;
}

export interface TextEncoder {
  /** Component name: `text_encoder`, `text_encoder_2`. Also the first part of its parameter paths. */
  readonly component: string;
  /** Folder of its tokenizer, and the kind in the catalog that reads it. */
  readonly tokenizer: string;
  readonly tokenizerKind: string;
  /** Tokens of a prompt, padding included. */
  readonly length: number;
  /** Number of different tokens, and the one that fills up a prompt where no tokenizer says it. */
  readonly vocabulary: number;
  readonly padding: number | null;
  /** @param ids [B,T] i64; @param end [B] i64, position of the end token in its row */
  build(g: Builder, ids: Value, end: Value): TextOutputs;
}

/** Noise schedule of training, from the model's own scheduler configuration. */
export interface NoiseSettings {
  readonly steps: number;
  readonly betaStart: number;
  readonly betaEnd: number;
  readonly betaSchedule: 'linear' | 'scaled_linear' | 'squaredcos_cap_v2';
  readonly zeroTerminalSnr: boolean;
  readonly prediction: Prediction;
}

/** A named list of layers that an adapter may take. */
export interface Target {
  readonly label: string;
  readonly help: string;
  /** Whether the layer at this path of the denoiser, or of a text encoder, belongs to it. */
  includes(path: string, kind: 'linear' | 'conv'): boolean;
}

/** What other programs call a model of this kind; stands in the metadata of exported files. */
export interface KnownAs {
  /** ModelSpec 1.0.1 */
  readonly architecture: string;
  readonly implementation: string;
  /** `ss_base_model_version` of kohya's scripts. */
  readonly kohyaVersion: string;
  readonly isVersion2: boolean;
}

/** A model whose configuration is known. Parameter paths start with the component: `unet.conv_in.weight`. */
export interface Model {
  readonly family: string;
  /** For people: "Stable Diffusion 1.x, 860 M parameters". */
  readonly label: string;
  readonly knownAs: KnownAs;
  /** Components beside the denoiser that its files lack and that other files may give. */
  readonly lacks: readonly string[];
  /** Component of the denoiser, `unet` or `transformer`; first part of its parameter paths. */
  readonly denoiserComponent: string;
  readonly latent: Latent;
  readonly noise: NoiseSettings;
  readonly textEncoders: readonly TextEncoder[];
  readonly targets: Readonly<Record<string, Target>>;
  condition(tokens: number): ConditionTypes;
  /** Side in pixels of the square pictures it was made for. */
  readonly nativeSide: number;
  /** Extents of a picture must be multiples of this many pixels. */
  readonly pixelStep: number;
  denoise(g: Builder, inputs: DenoiserInputs): Value;
  /** pixels[B,3,H,W] in [−1,1] -> moments[B,2C,h,w]: mean, then log variance. */
  encode(g: Builder, pixels: Value): Value;
  /** Raw latents[B,C,h,w] (not scaled) -> pixels[B,3,H,W]. */
  decode(g: Builder, latents: Value): Value;
}

/** What a user says about a model that its files do not. */
export interface ModelChoices {
  /** Layers of the text encoders counted from the end, of which the output is used: 1 is the last. */
  readonly clipSkip?: number;
  /** What the denoiser predicts. */
  readonly prediction?: Prediction;
  /** It was trained to begin at pure noise. */
  readonly zeroTerminalSnr?: boolean;
}

export interface Family {
  readonly label: string;
  /** Folders of the diffusers layout with weights that it computes with; others may lie beside them. */
  readonly components: readonly string[];
  /**
   * Configurations from keys and shapes alone; null when the parts are of another family. Throws
   * UserError for a relative of the family that is not supported.
   */
  configure(bare: BareModel): ConfiguredModel | null;
  /** The model these files hold, or null when they are of another family. Throws UserError when they are broken. */
  detect(files: ModelFiles, choices?: ModelChoices): Model | null;
  /** The published models of the family: configurations with keys and shapes, for work on files that name a model's layers. */
  published(): readonly PublishedModel[];
}

export interface PublishedModel {
  readonly label: string;
  readonly files: ModelFiles;
}

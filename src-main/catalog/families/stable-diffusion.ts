// Stable Diffusion 1.x, 2.x, XL and every other model of the same parts: a UNet2DConditionModel, an AutoencoderKL and one
// or two CLIP text encoders. Parts have the diffusers layout; what is absent fails only when it is used.
import { UserError } from '../../base/errors.ts';
import { sizeOf } from '../../base/shape.ts';
import { createBuilder, type Builder } from '../../graph/builder.ts';
import { decodeLatents, encodeMoments, parseAutoencoderConfig, type AutoencoderConfig } from '../../nn/autoencoder-kl.ts';
import { checkParameters } from '../../nn/check-parameters.ts';
import { isUnusedText } from '../../nn/clip-keys.ts';
import { clipText, parseClipTextConfig, type ClipTextConfig } from '../../nn/clip-text.ts';
import { ConfigReader } from '../../nn/config.ts';
import { findKind, KINDS, OPEN_CLIP_H_LAYERS, schedulerConfig, SD2, showTraits, textWidth, unetTraits, type Kind, type UNetTraits } from '../../nn/latent-diffusion-kinds.ts';
import { parseSchedulerConfig } from '../../nn/scheduler-config.ts';
import { parseUNetConfig, type UNetConfig } from '../../nn/unet-config.ts';
import { unet } from '../../nn/unet.ts';
import type { BareModel, BarePart, Component, ConfiguredModel, ConfiguredPart, Family, KnownAs, Latent, Model, ModelChoices, ModelFiles, NoiseSettings, Target, TextEncoder } from '../define/family.ts';

const FAMILY = 'stable-diffusion';
const TIME_IDS = 6;
/** Channels that both text encoders of XL give together. */
const XL_CONTEXT = 2048;
const TEXT_COMPONENTS = ['text_encoder', 'text_encoder_2'] as const;
const TEXT_CLASSES = ['CLIPTextModel', 'CLIPTextModelWithProjection'];

export const stableDiffusion: Family = {
  label: 'Stable Diffusion (UNet)',
  components: ['unet', 'vae', ...TEXT_COMPONENTS],
  configure,
  published: () => KINDS.map((kind) => ({ label: kind.label, files: publishedFiles(kind) })),
  detect: (files, choices = {}) => (isMember(files) ? createModel(files, choices) : null),
};

/** Published kinds only: of any other UNet the shapes do not tell the number of heads, nor what it predicts. */
function configure({ unet: denoiser, vae, text, markers, metadata }: BareModel): ConfiguredModel | null {
  if (!denoiser) return null;
  const traits = unetTraits(denoiser.tensors);
  refuseRelatives(traits, markers);
  const kind = findKind(traits);
  if (!kind) {
    throw new UserError('model.unknown', `The UNet is of no known kind (${showTraits(traits)}); looked for ${KINDS.map((each) => `${each.label} (${showTraits({ inChannels: 4, ...each.traits })})`).join(', ')}. Give it as a folder in the diffusers layout, whose config.json says what it is.`, { ...traits });
  }
  const prediction = predictionOf(kind, denoiser, markers, metadata);
  // Other programs look for this mark only beside that of v prediction; a model of noise cannot begin at pure noise.
  const isZeroTerminal = prediction === 'v_prediction' && markers.has('ztsnr');
  const parts = new Map<string, ConfiguredPart>([
    ['unet', { config: kind === SD2 && prediction === 'v_prediction' ? { ...kind.unet, sample_size: 96 } : kind.unet, part: denoiser }],
    ['scheduler', { config: schedulerConfig(prediction, isZeroTerminal), part: null }],
  ]);
  if (vae) parts.set('vae', { config: kind.vae, part: vae });
  kind.text.forEach(({ width, config }, i) => {
    const part = text.find(({ tensors }) => textWidth(tensors) === width);
    if (part) parts.set(TEXT_COMPONENTS[i]!, { config, part, isUnused: isUnusedText(config) });
  });
  return { label: kind.label, parts };
}

/** UNets that look alike and are used in other ways. */
function refuseRelatives(traits: UNetTraits, markers: ReadonlySet<string>): void {
  const refuse = (code: string, what: string, data: object): never => {
    throw new UserError(code, `The model is ${what}, which cannot be trained yet: choose the base model of its family.`, { ...data });
  };
  if (traits.channels === 384 && traits.context === 1280) refuse('model.refiner', 'the refiner of Stable Diffusion XL', traits);
  if (traits.inChannels === 9) refuse('model.inpainting', 'made for inpainting (its UNet takes 9 channels)', traits);
  if (traits.inChannels !== 4) refuse('model.edit', `made for editing or another use (its UNet takes ${traits.inChannels} channels)`, traits);
  const edm = [...markers].find((name) => name.startsWith('edm_'));
  if (edm) refuse('model.edm', `trained on the noise of EDM (it has the tensor "${edm}")`, { edm });
}

/** Below it the model predicts the noise; the published ones are far from it on either side. */
const VELOCITY_DEVIATION = 0.09;

/** A marker says it; then the metadata; then, for the one kind that comes in both, a telling weight. */
function predictionOf(kind: Kind, denoiser: BarePart, markers: ReadonlySet<string>, metadata: ReadonlyMap<string, string>): 'epsilon' | 'v_prediction' {
  if (markers.has('v_pred')) return 'v_prediction';
  const said = (metadata.get('modelspec.prediction_type') ?? metadata.get('modelspec.predict_key') ?? '').toLowerCase();
  if (said === 'v' || said === 'v_prediction' || said === 'v-prediction') return 'v_prediction';
  if (said === 'epsilon' || said === 'eps') return 'epsilon';
  const telling = 'up_blocks.3.attentions.2.transformer_blocks.0.norm1.bias';
  if (kind !== SD2 || !denoiser.tensors.has(telling)) return 'epsilon';
  return deviation(denoiser.values(telling)) > VELOCITY_DEVIATION ? 'v_prediction' : 'epsilon';
}

function deviation(values: Float32Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
}

interface TextPart {
  readonly component: (typeof TEXT_COMPONENTS)[number];
  readonly config: ClipTextConfig;
  /** Token that fills up a prompt, where no tokenizer says it. */
  readonly padding: number | null;
}

interface Parts {
  readonly unet: UNetConfig | null;
  readonly vae: AutoencoderConfig | null;
  readonly text: readonly TextPart[];
}

/** The denoiser decides; a folder without one is ours when its other parts could be. */
function isMember(files: ModelFiles): boolean {
  const classOf = (name: string): unknown => files.get(name)?.config['_class_name'];
  if (files.has('unet')) return classOf('unet') === 'UNet2DConditionModel';
  if (files.has('transformer')) return false;
  return classOf('vae') === 'AutoencoderKL' || textClass(files.get('text_encoder')) !== undefined;
}

const textClass = (component: Component | undefined): string | undefined => {
  const list = component?.config['architectures'];
  return Array.isArray(list) ? TEXT_CLASSES.find((name) => list.includes(name)) : undefined;
};

function createModel(files: ModelFiles, choices: ModelChoices): Model {
  const parts = readParts(files);
  const need = <T>(part: T | null, folder: string): T => part ?? missing(folder);
  const isDouble = usesPenultimate(parts);
  if (parts.unet) checkWiring(parts.unet, parts, isDouble);
  const count = checkComponents(files, parts);
  const vaeOf = (): AutoencoderConfig => need(parts.vae, 'vae');
  const unetOf = (): UNetConfig => need(parts.unet, 'unet');
  const lacks = lackedBy(parts);
  const factorOf = (vae: AutoencoderConfig): number => 2 ** (vae.channels.length - 1);

  return {
    family: FAMILY,
    label: labelOf(parts, count),
    get knownAs(): KnownAs {
      return knownAs(unetOf(), (choices.prediction ?? files.get('scheduler')?.config['prediction_type']) === 'v_prediction');
    },
    denoiserComponent: 'unet',
    get latent(): Latent {
      const vae = vaeOf();
      return { channels: vae.latentChannels, factor: factorOf(vae), scale: vae.scale, shift: vae.shift };
    },
    get noise(): NoiseSettings {
      const own = parseSchedulerConfig(need(files.get('scheduler') ?? null, 'scheduler').config);
      const prediction = choices.prediction ?? own.prediction;
      // Said together with what is predicted: who says that this is another thing says it of both.
      return { ...own, prediction, zeroTerminalSnr: choices.zeroTerminalSnr === true || (own.zeroTerminalSnr && prediction === own.prediction) };
    },
    lacks,
    get textEncoders(): readonly TextEncoder[] {
      const absent = lacks.find((component) => component !== 'vae') ?? (parts.text.length === 0 ? 'text_encoder' : undefined);
      if (absent !== undefined) missing(absent, encoderOfWidth(parts));
      return parts.text.map((part) => textEncoder(part, isDouble, choices));
    },
    targets,
    condition: (tokens) => {
      const { contextSize, textTime } = unetOf();
      const context = [tokens, contextSize];
      if (!textTime) return { context };
      return { context, pooled: [textTime.inputSize - TIME_IDS * textTime.timeIdSize], timeIds: [TIME_IDS] };
    },
    get nativeSide(): number {
      const config = new ConfigReader('unet', files.get('unet')?.config ?? {});
      return config.int('sample_size', 64) * factorOf(vaeOf());
    },
    get pixelStep(): number {
      return factorOf(vaeOf());
    },
    denoise: (g, inputs) => unet(g, unetOf(), inputs),
    encode: (g, pixels) => encodeMoments(g, vaeOf(), pixels),
    decode: (g, latents) => decodeLatents(g, vaeOf(), latents),
  };
}

/** @param what the part is, where that is known */
function missing(folder: string, what = ''): never {
  const key = folder === 'vae' ? 'base.vae' : folder.startsWith('text_encoder') ? 'base.textEncoders' : '';
  throw new UserError(
    'model.missing-part',
    `The model has no part "${folder}"${what}: choose a model that is complete${key && `, or name a file with this part in ${key}`}.`,
    { folder },
  );
}

function readParts(files: ModelFiles): Parts {
  const unetConfig = files.get('unet')?.config;
  const vae = files.get('vae');
  if (vae && vae.config['_class_name'] !== 'AutoencoderKL') {
    new ConfigReader('vae', vae.config).fail('_class_name', '"AutoencoderKL"');
  }
  const text = TEXT_COMPONENTS.flatMap((component): TextPart[] => {
    const found = files.get(component);
    if (!found) return [];
    if (!textClass(found)) new ConfigReader(component, found.config).fail('architectures', `one of ${TEXT_CLASSES.join(', ')}`);
    const padding = found.config['pad_token_id'];
    return [{ component, config: parseClipTextConfig(found.config, component), padding: typeof padding === 'number' ? padding : null }];
  });
  return {
    unet: unetConfig ? parseUNetConfig(unetConfig) : null,
    vae: vae ? parseAutoencoderConfig(vae.config, 'vae', (key) => vae.tensors.has(key)) : null,
    text,
  };
}

/** Whether one of the two encoders of XL is there. */
const isHalf = ({ textTime, contextSize }: UNetConfig, text: readonly TextPart[]): boolean => textTime !== null && contextSize === XL_CONTEXT && text.length === 1 && text[0]!.config.width < contextSize;

function lackedBy({ unet: denoiser, vae, text }: Parts): string[] {
  if (!denoiser) return [];
  const needed = denoiser.textTime !== null && denoiser.contextSize === XL_CONTEXT ? TEXT_COMPONENTS : TEXT_COMPONENTS.slice(0, 1);
  const isIncomplete = text.length === 0 || isHalf(denoiser, text);
  return [...(vae ? [] : ['vae']), ...(isIncomplete ? needed.filter((component) => component !== text[0]?.component) : [])];
}

/** For messages, where a denoiser attends to more channels than there are: " (OpenCLIP bigG, 1280 channels)". */
function encoderOfWidth({ unet: denoiser, text }: Parts): string {
  const width = (denoiser?.contextSize ?? 0) - text.reduce((sum, { config }) => sum + config.width, 0);
  const kind = KINDS.flatMap((each) => each.text).find((each) => each.width === width);
  return kind ? ` (${kind.label}, ${width} channels)` : '';
}

/** Models with pooled text, or with two encoders, were trained on the states before the last layer. */
const usesPenultimate = ({ unet: denoiser, text }: Parts): boolean => (denoiser ? denoiser.textTime !== null : text.length > 1);

/** Whether the parts fit each other. */
function checkWiring(denoiser: UNetConfig, { vae, text }: Parts, isDouble: boolean): void {
  const refuse = (what: string, data: object): never => {
    throw new UserError('model.parts-do-not-fit', `The parts of the model do not fit: ${what}.`, { ...data });
  };
  const { inChannels, outChannels, contextSize, textTime } = denoiser;
  if (inChannels !== outChannels) {
    refuse(`the UNet takes ${inChannels} channels and gives ${outChannels}; models for inpainting or editing are not supported`, { inChannels, outChannels });
  }
  if (vae && vae.latentChannels !== inChannels) {
    refuse(`latents of the VAE have ${vae.latentChannels} channels, the UNet takes ${inChannels}`, { vae: vae.latentChannels, unet: inChannels });
  }
  const pooled = textTime ? textTime.inputSize - TIME_IDS * textTime.timeIdSize : 0;
  if (textTime && pooled < 1) refuse(`"projection_class_embeddings_input_dim" of the UNet leaves ${pooled} channels to pooled text`, { pooled });
  if (text.length === 0 || isHalf(denoiser, text)) return;
  const width = text.reduce((total, { config }) => total + config.width, 0);
  if (width !== contextSize) {
    refuse(`text encoders give ${width} channels, the UNet attends to ${contextSize} (cross_attention_dim)`, { text: width, unet: contextSize });
  }
  if (!isDouble) return;
  const projection = text.at(-1)!.config.projection;
  if (projection !== pooled) {
    refuse(`the pooled text has ${projection ?? 'no'} channels, the UNet takes ${pooled}; refiners are not supported`, { projection, pooled });
  }
}

function textEncoder({ component, config, padding }: TextPart, isDouble: boolean, { clipSkip }: ModelChoices): TextEncoder {
  // Files of OpenCLIP H lack the last layer, which its models were trained without; it counts all the same.
  const absent = config.width === 1024 && config.layers === OPEN_CLIP_H_LAYERS - 1 ? 1 : 0;
  const usual = isDouble ? 2 : 1 + absent;
  const fromEnd = (clipSkip ?? usual) - absent;
  if (fromEnd < 1 || fromEnd > config.layers) {
    throw new UserError('model.clip-skip', `base.clipSkip is ${clipSkip}, but "${component}" has layers ${1 + absent} to ${config.layers + absent} counted from the end: choose one of them, or leave it out for ${usual}.`, { clipSkip, component });
  }
  return {
    component,
    tokenizer: component.replace('text_encoder', 'tokenizer'),
    tokenizerKind: 'clip-bpe',
    length: config.positions,
    vocabulary: config.vocabulary,
    padding,
    build: (g, ids, end) => {
      const { projected, outputOf } = clipText(g, config, ids, end, component);
      if (!isDouble) return { context: outputOf(fromEnd, true) };
      const context = outputOf(fromEnd, false);
      // Only the last encoder speaks for the whole prompt; an earlier one's projection, if any, is not used.
      const isLast = component === TEXT_COMPONENTS.at(-1);
      return isLast && projected ? { context, pooled: projected } : { context };
    },
  };
}

/** Compares every part that has weights with its configuration. Returns the number of the denoiser's parameters. */
function checkComponents(files: ModelFiles, parts: Parts): number {
  const check = (component: string, build: (g: Builder) => void): number => {
    const g = createBuilder();
    build(g);
    const { tensors } = files.get(component)!;
    if (tensors.size > 0) checkParameters(component, g.leaves, tensors);
    return [...g.leaves.values()].reduce((total, { leaf, shape }) => total + (leaf!.kind === 'weight' ? sizeOf(shape) : 0), 0);
  };
  const { unet: denoiser, vae, text } = parts;
  const count = denoiser ? check('unet', (g) => buildSmallest(g, denoiser)) : 0;
  if (vae) {
    check('vae', (g) => {
      const extent = 2 ** (vae.channels.length - 1);
      encodeMoments(g, vae, g.input('pixels', [1, vae.inChannels, extent, extent]));
      decodeLatents(g, vae, g.input('latents', [1, vae.latentChannels, 1, 1]));
    });
  }
  for (const { component, config } of text) check(component, (g) => buildText(g, component, config));
  return count;
}

const buildText = (g: Builder, component: string, config: ClipTextConfig): void =>
  void clipText(g, config, g.input('ids', [1, 1], 'i64'), g.input('end', [1], 'i64'), component);

/** Denoiser and text encoders of a published kind, without values; its autoencoder by its configuration alone. */
function publishedFiles(kind: Kind): ModelFiles {
  const text = kind.text.map(({ config }, i) => [TEXT_COMPONENTS[i]!, config] as const);
  const bare: ModelFiles = new Map([['unet', kind.unet] as const, ['vae', kind.vae] as const, ...text].map(([component, config]) => [component, { config, tensors: new Map() }]));
  const parts = readParts(bare);
  const shapes = (component: string, build: (g: Builder) => void): Component => {
    const g = createBuilder();
    build(g);
    const weights = [...g.leaves].filter(([, { leaf }]) => leaf!.kind === 'weight');
    return { config: bare.get(component)!.config, tensors: new Map(weights.map(([path, { shape }]) => [path.slice(component.length + 1), { dtype: 'f32', shape }])) };
  };
  return new Map([
    ['unet', shapes('unet', (g) => buildSmallest(g, parts.unet!))], ['vae', bare.get('vae')!],
    ...parts.text.map(({ component, config }) => [component, shapes(component, (g) => buildText(g, component, config))] as const),
  ]);
}

/** The UNet on the smallest inputs there are: parameters do not depend on them. */
function buildSmallest(g: Builder, config: UNetConfig): void {
  const { textTime } = config;
  const added = textTime && {
    pooled: g.input('pooled', [1, textTime.inputSize - TIME_IDS * textTime.timeIdSize]),
    timeIds: g.input('timeIds', [1, TIME_IDS]),
  };
  unet(g, config, {
    sample: g.input('sample', [1, config.inChannels, 1, 1]),
    timestep: g.input('timestep', [1]),
    context: g.input('context', [1, 1, config.contextSize]),
    ...added,
  });
}

function labelOf({ unet: denoiser, text }: Parts, count: number): string {
  if (!denoiser) return 'Stable Diffusion without a UNet';
  return `${kindOf(denoiser, text)}, ${showCount(count)} parameters`;
}

function kindOf(config: UNetConfig, text: readonly TextPart[]): string {
  const { textTime, contextSize } = config;
  if (textTime) return contextSize === XL_CONTEXT && (text.length !== 1 || isHalf(config, text)) ? 'Stable Diffusion XL' : 'Custom UNet';
  if (contextSize === 768) return 'Stable Diffusion 1.x';
  return contextSize === 1024 ? 'Stable Diffusion 2.x' : 'Custom UNet';
}

function knownAs({ textTime, contextSize }: UNetConfig, isVelocity: boolean): KnownAs {
  if (textTime) {
    return { architecture: 'stable-diffusion-xl-v1-base', implementation: 'https://github.com/Stability-AI/generative-models', kohyaVersion: 'sdxl_base_v1-0', isVersion2: false };
  }
  const isVersion2 = contextSize === 1024;
  const architecture = isVersion2 ? `stable-diffusion-v2-${isVelocity ? '768-v' : '512'}` : contextSize === 768 ? 'stable-diffusion-v1' : 'custom-unet';
  return { architecture, implementation: 'diffusers', kohyaVersion: isVersion2 ? 'sd_v2' : 'sd_v1', isVersion2 };
}

const showCount = (count: number): string => {
  const [size, unit] = count < 1e6 ? [count / 1e3, 'k'] : [count / 1e6, 'M'];
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${unit}`;
};

/** Of the denoiser and of the text encoders. */
const ATTENTION = /\.attn[12]\.to_(q|k|v|out\.0)$|\.self_attn\.(q|k|v|out)_proj$/;
const FEED_FORWARD = /\.ff\.net\.(0\.proj|2)$|\.mlp\.fc[12]$/;
/** Into and out of a transformer: 1x1 convolutions in Stable Diffusion 1.x, linear layers elsewhere. */
const PROJECTION = /\.attentions\.\d+\.proj_(in|out)$/;

const targets: Readonly<Record<string, Target>> = {
  attention: {
    label: 'Attention',
    help: 'Queries, keys, values and outputs of self- and cross-attention. The smallest files.',
    includes: (path) => ATTENTION.test(path),
  },
  'attention+feed-forward': {
    label: 'Attention and feed-forward',
    help: 'Everything inside the transformer blocks. A good choice for styles.',
    includes: (path) => ATTENTION.test(path) || FEED_FORWARD.test(path),
  },
  transformers: {
    label: 'Whole transformers',
    help: 'Attention, feed-forward and the projections around them: what kohya\'s scripts and ai-toolkit train.',
    includes: (path) => ATTENTION.test(path) || FEED_FORWARD.test(path) || PROJECTION.test(path),
  },
  linear: {
    label: 'All linear layers',
    help: 'Also projections around the transformers, where they are linear, and the time embedding.',
    includes: (_, kind) => kind === 'linear',
  },
  'linear+conv': {
    label: 'Linear and convolution layers',
    help: 'Every layer with a weight matrix. The largest files; learns textures best.',
    includes: () => true,
  },
};

// Stable Diffusion 1.x, 2.x, XL and every other model of the same parts: a UNet2DConditionModel, an AutoencoderKL and one
// or two CLIP text encoders. Read from folders in the diffusers layout; what is absent fails only when it is used.
import { UserError } from '../../base/errors.ts';
import { sizeOf } from '../../base/shape.ts';
import { createBuilder, type Builder } from '../../graph/builder.ts';
import { decodeLatents, encodeMoments, parseAutoencoderConfig, type AutoencoderConfig } from '../../nn/autoencoder-kl.ts';
import { checkParameters } from '../../nn/check-parameters.ts';
import { clipText, parseClipTextConfig, type ClipTextConfig } from '../../nn/clip-text.ts';
import { ConfigReader, type RawConfig } from '../../nn/config.ts';
import { parseUNetConfig, type UNetConfig } from '../../nn/unet-config.ts';
import { unet } from '../../nn/unet.ts';
import type { Component, Family, KnownAs, Latent, Model, ModelFiles, NoiseSettings, Target, TextEncoder } from '../define/family.ts';

const FAMILY = 'stable-diffusion';
const TIME_IDS = 6;
const TEXT_COMPONENTS = ['text_encoder', 'text_encoder_2'] as const;
const TEXT_CLASSES = ['CLIPTextModel', 'CLIPTextModelWithProjection'];

export const stableDiffusion: Family = {
  label: 'Stable Diffusion (UNet)',
  detect: (files) => (isMember(files) ? createModel(files) : null),
};

interface TextPart {
  readonly component: (typeof TEXT_COMPONENTS)[number];
  readonly config: ClipTextConfig;
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

function createModel(files: ModelFiles): Model {
  const parts = readParts(files);
  const need = <T>(part: T | null, folder: string): T => part ?? missing(folder);
  const isDouble = usesPenultimate(parts);
  if (parts.unet) checkWiring(parts.unet, parts, isDouble);
  const count = checkComponents(files, parts);
  const vaeOf = (): AutoencoderConfig => need(parts.vae, 'vae');
  const unetOf = (): UNetConfig => need(parts.unet, 'unet');
  const factorOf = (vae: AutoencoderConfig): number => 2 ** (vae.channels.length - 1);

  return {
    family: FAMILY,
    label: labelOf(parts, count),
    get knownAs(): KnownAs {
      return knownAs(unetOf(), files.get('scheduler')?.config['prediction_type'] === 'v_prediction');
    },
    denoiserComponent: 'unet',
    get latent(): Latent {
      const vae = vaeOf();
      return { channels: vae.latentChannels, factor: factorOf(vae), scale: vae.scale, shift: vae.shift };
    },
    get noise(): NoiseSettings {
      return readNoise(need(files.get('scheduler') ?? null, 'scheduler').config);
    },
    get textEncoders(): readonly TextEncoder[] {
      if (parts.text.length === 0) missing('text_encoder');
      return parts.text.map((part) => textEncoder(part, isDouble));
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

function missing(folder: string): never {
  throw new UserError(
    'model.missing-part',
    `The model has no folder "${folder}" with a config.json: choose a model folder that is complete.`,
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
    return [{ component, config: parseClipTextConfig(found.config, component) }];
  });
  return {
    unet: unetConfig ? parseUNetConfig(unetConfig) : null,
    vae: vae ? parseAutoencoderConfig(vae.config, 'vae', (key) => vae.tensors.has(key)) : null,
    text,
  };
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
  if (text.length === 0) return;
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

function textEncoder({ component, config }: TextPart, isDouble: boolean): TextEncoder {
  return {
    component,
    tokenizer: component.replace('text_encoder', 'tokenizer'),
    tokenizerKind: 'clip-bpe',
    length: config.positions,
    build: (g, ids, end) => {
      const { last, penultimate, projected } = clipText(g, config, ids, end, component);
      if (!isDouble) return { context: last };
      // Only the last encoder speaks for the whole prompt; an earlier one's projection, if any, is not used.
      const isLast = component === TEXT_COMPONENTS.at(-1);
      return isLast && projected ? { context: penultimate, pooled: projected } : { context: penultimate };
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
  for (const { component, config } of text) {
    check(component, (g) => clipText(g, config, g.input('ids', [1, 1], 'i64'), g.input('end', [1], 'i64'), component));
  }
  return count;
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

function kindOf({ textTime, contextSize }: UNetConfig, text: readonly TextPart[]): string {
  if (textTime) return contextSize === 2048 && text.length !== 1 ? 'Stable Diffusion XL' : 'Custom UNet';
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

/** Schedulers that differ in sampling only: all are trained on the noise schedule that their configuration states. */
const SCHEDULERS = [
  'DDPMScheduler', 'DDIMScheduler', 'PNDMScheduler', 'LMSDiscreteScheduler', 'EulerDiscreteScheduler',
  'EulerAncestralDiscreteScheduler', 'HeunDiscreteScheduler', 'DPMSolverMultistepScheduler', 'DPMSolverSinglestepScheduler',
  'DPMSolverSDEScheduler', 'KDPM2DiscreteScheduler', 'KDPM2AncestralDiscreteScheduler', 'DEISMultistepScheduler',
  'UniPCMultistepScheduler', 'LCMScheduler', 'TCDScheduler',
] as const;

/** Noise schedule of training from scheduler_config.json; defaults are those of the format, not of any model. */
function readNoise(raw: RawConfig): NoiseSettings {
  const config = new ConfigReader('scheduler', raw);
  config.choice('_class_name', SCHEDULERS, 'DDPMScheduler');
  config.only({ trained_betas: [], use_flow_sigmas: [false] });
  return {
    steps: config.int('num_train_timesteps', 1000),
    betaStart: config.number('beta_start', 0.0001),
    betaEnd: config.number('beta_end', 0.02),
    betaSchedule: config.choice('beta_schedule', ['linear', 'scaled_linear', 'squaredcos_cap_v2'], 'linear'),
    zeroTerminalSnr: config.flag('rescale_betas_zero_snr', false),
    prediction: config.choice('prediction_type', ['epsilon', 'v_prediction'], 'epsilon'),
  };
}

const ATTENTION = /\.attn[12]\.to_(q|k|v|out\.0)$/;
const FEED_FORWARD = /\.ff\.net\.(0\.proj|2)$/;

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

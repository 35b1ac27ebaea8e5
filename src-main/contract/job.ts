// The job: everything that decides what a run does, as one JSON or TOML file. Same job, same seed: same bytes.

import { z } from 'zod';

import type { Counts } from './counts.ts';
import { devices } from './devices.ts';
import { jobVersion } from './migrations.ts';

const positive = z.int().min(1);
const natural = z.int().min(0);
const fraction = z.number().min(0).max(1);
const imageSide = z.int().min(8).max(16384);

/** Which layers get an adapter. 'all' is every parameter of the model and works with full fine-tuning only. */
export const adapterTargets = ['attention', 'attention+feed-forward', 'transformers', 'linear', 'linear+conv', 'all'] as const;
export type AdapterTargets = (typeof adapterTargets)[number];

/** How noise becomes a picture where nothing else is said. */
export const defaultSampler = 'ddim';

export const consumers = ['comfyui', 'a1111', 'forge', 'invokeai', 'diffusers', 'all'] as const;
export type Consumer = (typeof consumers)[number];

/** Beside what a setting, or all of a part, counts; for its definition. */
const countsWith = (counts: Counts): { readonly counts: Counts } => ({ counts });
const DENOISER = { task: ['adapter', 'pretrain'] } as const;

/** A catalog choice: `kind` names the file in the catalog, the other keys are its settings. */
const choice = <Shape extends z.ZodRawShape>(kind: string, what: string, why: string, shape: Shape) =>
  z.object({ kind: z.string().min(1).default(kind).describe(what).meta({ why }), ...shape })
    .catchall(z.union([z.number(), z.string(), z.boolean()]));

const baseSchema = z.strictObject({
  model: z.string().min(1)
    .describe('Checkpoint (.safetensors), UNet alone (.safetensors), or model folder in the diffusers layout.'),
  vae: z.string().min(1).optional().describe("File with an autoencoder that is used instead of the model's own.").meta({ title: 'Autoencoder', why: 'Some checkpoints carry a broken or washed-out autoencoder; a good one sharpens previews and what is learnt.' }),
  textEncoders: z.array(z.string().min(1)).min(1).optional()
    .describe("Files with text encoders that are used instead of the model's own.").meta({ why: 'For files that hold the denoiser alone.' }),
  clipSkip: positive.max(64).optional()
    .describe('Layer of the text encoders, counted from the end, whose output is used: 1 is the last; '
      + 'what the kind of model was trained with if left out.')
    .meta({ title: 'CLIP skip', why: 'Models for drawings (NovelAI and its descendants) were trained with 2; others with 1. A wrong one weakens prompts.' }),
  prediction: z.enum(['auto', 'epsilon', 'v']).default('auto')
    .describe("What the model predicts; 'auto' reads it from the scheduler configuration or from marks in the checkpoint.")
    .meta({ why: 'Only for checkpoints without a mark: a model of the kind v that is trained as epsilon turns to noise.' }),
});

const folderSchema = z.strictObject({
  path: z.string().min(1).describe('Folder with images and caption files beside them.'),
  repeats: positive.max(10000).optional()
    .describe('How often each image counts in an epoch; a folder name such as 10_style says it too.'),
  regularization: z.boolean().default(false)
    .describe('Images of the general kind, for prior preservation: their loss is weighted by train.priorWeight.'),
});

const dataSchema = z.strictObject({
  folders: z.array(folderSchema).min(1),
  resolution: z.union([z.literal('auto'), imageSide, z.tuple([imageSide, imageSide])]).default('auto')
    .describe("Side of the training area in pixels, or [width, height]; 'auto' is the model's own size.")
    .meta({ why: "Lower saves memory and time with the square of it and loses fine detail; higher than the model's own invites doubled motifs.", unit: 'px' }),
  buckets: z.strictObject({
    enabled: z.boolean().default(true).describe('Keep aspect ratios by grouping images of like shape.')
      .meta({ why: 'Without it everything is cut to one shape, which cuts heads and edges off.' }),
    step: z.union([z.literal('auto'), positive]).default('auto').meta(countsWith({ 'data.buckets.enabled': true }))
      .describe("Bucket sides are multiples of this, in pixels; 'auto' is 64, or less for small resolutions.").meta({ why: 'Smaller cuts less off and makes more shapes, each of which is compiled and takes memory.' }),
    minAspect: z.number().min(0.1).max(1).default(0.5).meta(countsWith({ 'data.buckets.enabled': true })).describe('Narrowest bucket, width / height.').meta({ why: 'Lower for tall pictures that would lose head or feet.' }),
    maxAspect: z.number().min(1).max(10).default(2).meta(countsWith({ 'data.buckets.enabled': true })).describe('Widest bucket, width / height.').meta({ why: 'Higher for panoramas that would lose their sides.' }),
  }).prefault({}),
  crop: z.enum(['center', 'random']).default('center').describe('Where a picture that does not fit its bucket is cut; a centre of interest that was set wins.')
    .meta({ why: 'Random shows more of wide pictures over time; the centre is safer for portraits.' }),
  flip: z.boolean().default(false).describe('Also train on the mirrored image, half of the time.')
    .meta({ why: 'Doubles a small set, and is wrong where left and right matter: writing, faces with a parting, a signature side.' }),
  background: z.string().regex(/^#[0-9a-fA-F]{6}$/, 'must be a colour such as #ffffff').default('#ffffff')
    .describe('Colour under transparent pixels.').meta({ why: 'What the style shall see behind a figure that was cut out: white for drawings, the colour of the set for others.' }),
  caption: z.strictObject({
    prefix: z.string().default('').describe('Put before every caption; the place for a trigger word.')
      .meta({ why: 'A rare word lets a prompt call the style up or leave it out; without one the style is always there.' }),
    dropout: fraction.default(0).describe('Share of captions that are left empty, for classifier-free guidance.')
      .meta({ why: '0.05 to 0.15 makes the style show without words too; guidance at painting time needs it.' }),
    shuffle: z.boolean().default(false).describe('New order of the parts of a caption each time.')
      .meta({ why: 'For lists of tags: keeps the model from learning an order. Sentences fall apart by it.' }),
    keepTokens: natural.default(0).meta(countsWith({ 'data.caption.shuffle': true })).describe('That many parts at the start keep their place when shuffling.')
      .meta({ why: 'Protects a trigger word or a subject from being shuffled.' }),
    separator: z.string().min(1).default(',').describe('What separates the parts of a caption.').meta({ why: 'A full stop for captions in sentences, a comma for tags.' }),
    maxTokens: z.union([z.literal('auto'), positive.max(1000)]).default('auto')
      .describe("Tokens of a caption that are used; text encoders that take 75 get longer ones in pieces. 'auto' is up to three pieces.").meta({ why: 'Long captions cost time in every step; what is beyond is not read at all.' }),
  }).meta(countsWith(DENOISER)).prefault({}),
  selection: z.string().min(1).optional()
    .describe('File with what was decided by hand about single pictures; the studio writes it.'),
  holdout: z.union([fraction.max(0.5), z.string().min(1)]).default(0)
    .describe('Share of images, or a folder, that is never trained on and only measured.')
    .meta({ why: 'A loss on pictures that were never trained on shows overtraining before the eye does.' }),
});

const adapterSchema = choice('dora', 'Kind of adapter.', 'DoRA comes closest to full training at the size of a LoRA; LoRA where a program reads nothing else; full when disk and memory do not matter.', {
  targets: z.enum(adapterTargets).default('attention+feed-forward').describe("Layers that get an adapter; 'transformers' has the projections around attention and feed-forward too, as kohya's scripts do.")
    .meta({ why: 'Attention decides what is where; feed-forward and the other linear layers carry style; convolutions carry texture. More layers learn more and cost more.' }),
  textEncoder: z.boolean().default(false).describe('Adapt the text encoders too.')
    .meta({ why: 'Helps new words to a meaning and forgets old ones sooner; a style seldom needs it.' }),
  textEncoderLearningRate: z.number().min(0).max(10).optional().meta(countsWith({ 'adapter.textEncoder': true }))
    .describe("Learning rate of the text encoders; the optimizer's own if left out.")
    .meta({ why: "Text encoders overtrain early: a tenth to a half of the optimizer's rate." }),
  from: z.string().min(1).optional()
    .describe('Adapter file, of Adora or another program, that training goes on from; a new adapter if left out. '
      + 'A LoRA can become a DoRA, not the other way round; the axis must be that of the file, the rank at least its largest.').meta({ title: 'Go on from', why: 'To go on where another training ended, or to turn a LoRA into a DoRA.' }),
}).meta(countsWith({ task: 'adapter' }));

const objectiveSchema = z.strictObject({
  kind: z.string().min(1).default('auto').describe("What is learnt; 'auto' is what the base model predicts.").meta({ why: 'Only for models that were made for another: what is learnt for the wrong one paints noise.' }),
  weighting: z.enum(['none', 'min-snr', 'debiased']).default('none').describe('Weight of a timestep in the loss.')
    .meta({ why: "'min-snr' keeps easy, nearly clean timesteps from drowning the rest: steadier, quicker learning." }),
  minSnrGamma: z.number().min(0.1).max(100).default(5).meta(countsWith({ 'objective.weighting': 'min-snr' })).describe("Gamma of the weighting 'min-snr'.")
    .meta({ title: 'Min-SNR gamma', why: '5 is usual; lower looks less at detail, higher comes close to no weighting.' }),
  noiseOffset: z.number().min(0).max(1).default(0).describe('Strength of an added constant per channel of the noise.')
    .meta({ why: 'Lets a model learn very dark and very bright pictures; 0.05 to 0.1 is much.' }),
}).meta(countsWith(DENOISER));

const noiseSchema = z.strictObject({
  schedule: z.enum(['auto', 'linear', 'scaled_linear', 'squaredcos_cap_v2']).default('auto')
    .describe("Betas of the diffusion process; 'auto' is what the model's scheduler configuration says.").meta({ why: 'Only for models whose configuration is missing or wrong.' }),
  betaStart: z.number().min(0).max(1).optional().describe("First beta, the noise that the first timestep adds; the model's own if left out.").meta({ why: 'Only together with a schedule that was set by hand.' }),
  betaEnd: z.number().min(0).max(1).optional().describe("Last beta, the noise that the last timestep adds; the model's own if left out.").meta({ why: 'Only together with a schedule that was set by hand.' }),
  timesteps: positive.max(100000).optional().describe("Number of timesteps of the diffusion process; the model's own if left out.").meta({ why: 'Only for models that were made with another number than 1000.' }),
  zeroTerminalSnr: z.boolean().default(false)
    .describe('Rescale the schedule so that the last timestep is pure noise; wants v prediction.')
    .meta({ why: 'Real black and white; only for models that predict v and are sampled with the same schedule.' }),
  minTimestep: natural.default(0).describe('Smallest timestep that is trained.').meta({ why: 'Higher leaves fine detail as the base model has it.' }),
  maxTimestep: positive.optional().describe('Largest timestep that is trained; the last one if left out.').meta({ why: 'Lower leaves composition as the base model has it.' }),
}).meta(countsWith(DENOISER));

const optimizerSchema = choice('adamw', 'Kind of optimizer.', 'AdamW with the rates that recipes state; Prodigy when you do not know a rate; Adafactor for little memory; Lion for long runs at large batches.', {});

const scheduleSchema = choice('constant', 'Course of the learning rate.', 'Those that end low settle details; a constant one lets you stop whenever a sample pleases.', {
  warmup: natural.default(0).describe('Steps in which the learning rate rises from 0.')
    .meta({ why: 'The optimizer does not know the size of gradients at first; some careful steps avoid a bad start.', unit: 'steps' }),
}).meta(countsWith({ 'optimizer.relativeStep': [false, null] }));

const trainSchema = z.strictObject({
  steps: positive.max(100_000_000).default(1000).describe('Optimizer steps in all.')
    .meta({ why: 'Too few: the style is faint. Too many: every picture looks like one of yours. Look at samples and take an earlier checkpoint.', unit: 'steps' }),
  batch: positive.max(4096).default(1).describe('Images at once.')
    .meta({ why: 'More is steadier and needs memory; raise the learning rate a little with it.', unit: 'pictures' }),
  accumulate: positive.max(65536).default(1).describe('Batches whose gradients are averaged for one step.')
    .meta({ why: 'A larger batch without its memory, for as much time.', unit: 'batches' }),
  clip: z.number().min(0).default(1).describe('Largest L2 norm of the gradient; 0 does not clip.')
    .meta({ title: 'Gradient clipping', why: 'Keeps one odd picture from throwing everything over.' }),
  seed: z.int().min(0).default(0).describe('Start of all randomness: same job, same seed, same bytes.')
    .meta({ why: 'Change it to see how much of a result is chance.' }),
  ema: z.number().min(0).max(0.999999).default(0)
    .describe('Decay of the running average of the trained values; 0 keeps none.')
    .meta({ title: 'Running average', why: '0.99 to 0.999 smooths the last steps; needs a run that is long enough.' }),
  device: z.enum(devices).default('auto').describe("What computes; 'auto' is the best that the doctor found.").meta({ why: 'The processor when the graphics card has too little memory: slow, and it always works.' }),
  dtype: z.enum(['auto', 'f32', 'f16']).default('auto').describe('Number format of weights and activations.').meta({ title: 'Number format', why: 'f32 when losses are not finite; f16 halves memory where the device computes it.' }),
  checkpointing: z.boolean().default(true)
    .describe('Compute activations again in the backward pass in place of keeping them: less memory, more time.')
    .meta({ title: 'Gradient checkpointing', why: 'Off is about a third faster where memory allows.' }),
  saveEvery: natural.default(250).describe('Steps between checkpoints; 0 saves at the end only.')
    .meta({ why: 'The best checkpoint is often not the last: ten in a run are enough to choose from.', unit: 'steps' }),
  keep: positive.default(3).describe('Number of checkpoints that are kept.')
    .meta({ title: 'Checkpoints kept', why: 'Older ones are removed; keep as many as you want to compare.', unit: 'checkpoints' }),
  probeEvery: natural.default(50)
    .describe('Steps between measurements of the loss at fixed noise and timesteps; 0 measures at start and end.')
    .meta({ why: 'The loss of a step is mostly chance; this one compares like with like.', unit: 'steps' }),
  checkResources: z.boolean().default(true)
    .describe('Refuse to start when the forecast says that memory or disk do not suffice; false only warns.')
    .meta({ why: 'A run that breaks off in the night costs more than a refusal now.' }),
  priorWeight: z.number().min(0).max(100).default(1).meta(countsWith({ ...DENOISER, 'data.folders.regularization': true })).describe('Weight of regularization images in the loss.')
    .meta({ why: 'Higher holds the general kind more strongly and slows the style.' }),
});

const previewSchema = z.strictObject({
  every: natural.default(0).meta(countsWith(DENOISER)).describe('Steps between previews; 0 makes none while training.')
    .meta({ title: 'Preview every', why: 'Each one takes the time of painting; often enough to see the change, seldom enough not to wait.', unit: 'steps' }),
  prompts: z.array(z.string()).default([]).describe('One picture for each, from the same noise every time; without any, one of no prompt.')
    .meta({ why: 'One near your pictures and one far from them: the far one shows overtraining first.' }),
  negative: z.string().default('').describe('What previews shall not show.').meta({ why: 'Leave it empty to see what was learnt, and not what is kept out.' }),
  sampler: z.string().min(1).default(defaultSampler).describe('How previews are painted.').meta({ why: 'The one you will paint with, so that previews show what you will get.' }),
  steps: positive.max(1000).default(20).describe('Sampling steps of a preview.').meta({ why: 'More is finer and slower.', unit: 'steps' }),
  guidance: z.number().min(0).max(100).default(7).describe('How strictly previews follow their prompts.')
    .meta({ why: '4 to 8; judge a style at the strength you will paint with.' }),
  seed: z.int().min(0).default(0).describe('Noise that previews begin with.').meta({ why: 'Another one when the pictures of this noise happen to be poor ones.' }),
  width: imageSide.optional().describe("Of previews; the model's own size if left out.").meta({ why: 'Smaller is painted sooner; far from the size of the training it shows other pictures.', unit: 'px' }),
  height: imageSide.optional().describe("Of previews; the model's own size if left out.").meta({ why: 'As the width: tall for figures, wide for landscapes.', unit: 'px' }),
});

const outputSchema = z.strictObject({
  for: z.enum(consumers).default('all').describe('Program that shall read the adapter: decides layout and names.')
    .meta({ title: 'Program', why: "Programs read DoRA's magnitudes along different axes; the axis that is trained follows from it." }),
  dtype: z.enum(['f16', 'bf16', 'f32']).default('f16').describe('Number format of exported files.')
    .meta({ title: 'Number format', why: 'f16 is small and read by all; f32 for merging or going on.' }),
});

const autoencoderSchema = z.strictObject({
  part: z.enum(['all', 'decoder']).default('all')
    .describe("What is trained; with 'decoder' latents stay what they are, so that denoisers made for them go on working.").meta({ why: 'All only together with a denoiser that is trained anew.' }),
  loss: z.enum(['l1', 'l2']).default('l1').describe('How a reconstructed pixel is compared with the original.').meta({ why: 'l1 keeps edges sharper; l2 punishes large errors more.' }),
  klWeight: z.number().min(0).max(1).default(1e-6).describe('Weight of the pull of latents to a unit normal.').meta({ why: 'Higher makes latents easier to learn from and pictures less exact.' }),
}).meta(countsWith({ task: 'autoencoder' }));

export const jobSchema = z.strictObject({
  version: z.literal(jobVersion),
  name: z.string().min(1).max(200).default('untitled'),
  task: z.enum(['adapter', 'autoencoder', 'pretrain']).default('adapter')
    .describe("'adapter' trains adapter.kind on a base model; 'autoencoder' the image autoencoder; "
      + "'pretrain' denoiser and text encoder as a whole."),
  init: z.enum(['file', 'random']).default('file').meta(countsWith([{ task: ['autoencoder', 'pretrain'] }, { 'adapter.kind': 'full' }]))
    .describe("Start of the trained parts: the model's own weights, or random ones from its config.json."),
  base: baseSchema,
  data: dataSchema,
  adapter: adapterSchema.prefault({}),
  objective: objectiveSchema.prefault({}),
  noise: noiseSchema.prefault({}),
  optimizer: optimizerSchema.prefault({}),
  schedule: scheduleSchema.prefault({}),
  train: trainSchema.prefault({}),
  preview: previewSchema.prefault({}),
  output: outputSchema.prefault({}),
  autoencoder: autoencoderSchema.prefault({}),
});

/** A complete job: every default is filled in. */
export type Job = z.output<typeof jobSchema>;
/** A job as a person writes it. */
export type JobInput = z.input<typeof jobSchema>;

/** The sections of a job whose `kind` is a catalog file with own fields, and their keys that every kind has. */
export const choiceSections = {
  adapter: Object.keys(adapterSchema.shape),
  optimizer: Object.keys(optimizerSchema.shape),
  schedule: Object.keys(scheduleSchema.shape),
} as const;
export type ChoiceSection = keyof typeof choiceSections;

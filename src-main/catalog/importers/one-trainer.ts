// OneTrainer's JSON of a training. Names and defaults are those of modules/util/config/TrainConfig.py (version 11) and of
// optimizer_util.py: what is left out of the file counts with them.
import { say, type Text } from '../../contract/text.ts';
import { absentNote, elsewhereNote, epochsNote, given, type Imported, type Importer, optimizerKind, optimizerNotes, optimizerSection, type Raw, scheduleKind, type Section, Settings, unknownOptimizer, warmupNote } from '../define/imported-settings.ts';

export const oneTrainer: Importer = {
  label: 'OneTrainer', detect: (raw) => 'base_model_name' in raw || 'training_method' in raw,
  beside: (raw) => (Array.isArray(raw['concepts']) || typeof raw['concept_file_name'] !== 'string' ? null : raw['concept_file_name']),
  convert,
};

/** Names that say how the program works, not what is learnt. */
const ELSEWHERE = new RegExp(`^(?:${[
  '__version', 'debug_.*', 'workspace_dir', 'cache_dir', 'huggingface_cache_dir', 'offline_mode', 'tensorboard.*', 'validat.*', 'continue_last_backup', 'prevent_overwrites', 'include_train_config', 'multi_gpu', 'device_indexes', '.*gradient_reduce.*',
  'output_model_format', 'async_offloading', 'compile', 'concept_file_name', 'latent_caching', 'clear_cache_before_training', 'dataloader_threads', 'train_device', 'temp_device', '(?:fallback_)?train_dtype', 'enable_autocast_cache', 'only_cache',
  'frames', 'attention_mechanism', 'loss_scaler', '.*weight_dtype', 'gradient_checkpointing', 'layer_offload_fraction', 'enable_.*offloading', 'offload_fraction', 'activation_offloading', 'sample.*', 'non_ema_sampling', 'cloud', 'backup_.*', 'rolling_backup.*',
  'save_.*', 'optimizer_defaults', 'vae', 'prior', 'transformer', 'unconditional_transformer', 'effnet_encoder', 'decoder.*', 'text_encoder_[34].*', 'text_encoder(?:_2)?_sequence_length', 'embedding.*', 'additional_embeddings', 'bundle_additional_embeddings', 'preserve_embedding_norm',
  'quantization', 'oft_.*', 'lokr_.*', 'secrets', 'ema_update_step_interval', 'include', 'train_embedding', 'attention_mask', 'guidance_scale', 'lora_decompose_norm_epsilon', 'vb_loss_strength', 'custom_learning_rate_scheduler', 'scheduler_params', 'model_type',
  'unmasked_.*', 'normalize_masked_area_loss', 'masked_prior_preservation_weight', 'noising_.*', 'timestep_shift', 'huber_delta',
].join('|')})$`);

/** Machinery of the optimizers. */
const OPTIMIZER_ELSEWHERE = /^(?:__version|foreach|fused.*|maximize|capturable|differentiable|optim_bits|min_8bit_size|percentile_clipping|block_wise|is_paged|stochastic_rounding|fsdp_in_use|eps2?|decay_rate|adam_w_mode|quant_block_size|slice_p)$/;

/** Where OneTrainer differs from the libraries. */
const own = { adafactor: { scaleParameter: false, relativeStep: false } };

const FAMILIES = /^STABLE_DIFFUSION_(?:15|20|20_BASE|21|21_BASE|XL_10_BASE)$/;

const isRaw = (value: unknown): value is Raw => typeof value === 'object' && value !== null && !Array.isArray(value);

function convert(raw: Raw, beside: unknown): Imported {
  const all = new Settings(raw);
  const left: string[] = [];
  const notes: Text[] = [];
  const [method, peft] = [all.text('training_method') ?? 'FINE_TUNE', all.text('peft_type') ?? 'LORA'];
  if (method !== 'LORA' || peft !== 'LORA') left.push(`training_method = ${method}, peft_type = ${peft} (the job has a low-rank adapter)`);
  const model = all.text('model_type') ?? 'STABLE_DIFFUSION_15';
  if (!FAMILIES.test(model)) left.push(`model_type = ${model} (Adora does not train it so far)`);
  const isXl = model.startsWith('STABLE_DIFFUSION_XL');

  // Before version 1 the name stood by itself.
  const optimizer = new Settings(isRaw(raw['optimizer']) ? raw['optimizer'] : { optimizer: raw['optimizer'] });
  all.get('optimizer');
  const name = optimizer.text('optimizer') ?? 'ADAMW';
  const kind = optimizerKind(name);
  notes.push(...optimizerNotes(name, kind));

  const unet = new Settings(all.object('unet'));
  const texts = ['text_encoder', ...(isXl ? ['text_encoder_2'] : [])].map((part) => new Settings(all.object(part)));
  all.get('text_encoder_2');
  const general = all.number('learning_rate') ?? 3e-6;
  const ownRate = unet.number('learning_rate') ?? general;
  const unknown = kind === null ? unknownOptimizer('optimizer', name, ownRate) : null;
  if (unknown) left.push(unknown.left);
  if (all.get('learning_rate') === undefined) notes.push(absentNote('learning_rate', '3e-6', 'OneTrainer'));
  if (unet.get('train') === false) left.push('unet.train = false (the denoiser is trained too)');
  const trained = texts.map((text) => text.get('train') !== false);
  if (new Set(trained).size > 1) left.push('text_encoder.train and text_encoder_2.train differ (the job trains both)');
  const trainsText = trained.includes(true);
  const textRates = texts.map((text) => text.number('learning_rate') ?? general);
  if (trainsText && new Set(textRates).size > 1) notes.push(say('import.text-rates', `The text encoders have rates of their own (${textRates.join(', ')}); the job has the first for both.`, { rates: textRates }));
  for (const [i, part] of [unet, ...texts].entries()) {
    const [after, unit] = [part.number('stop_training_after'), part.text('stop_training_after_unit')];
    if (after && unit !== undefined && unit !== 'NEVER') left.push(`${['unet', 'text_encoder', 'text_encoder_2'][i]!}.stop_training_after = ${after} ${unit}`);
  }
  const skips = ['text_encoder_layer_skip', ...(isXl ? ['text_encoder_2_layer_skip'] : [])].map((each) => all.number(each) ?? 0);
  // Layers that are skipped beyond what the model was trained with: SDXL uses the last but one.
  const clipSkip = skips[0]! > 0 ? skips[0]! + (isXl ? 2 : 1) : undefined;
  if (new Set(skips).size > 1) left.push(`text_encoder_2_layer_skip = ${skips[1]} (the job has one setting for both)`);
  const drops = texts.map((text) => text.number('dropout_probability') ?? 0);
  if (new Set(drops).size > 1) notes.push(say('import.text-drops', `Captions are dropped for each text encoder by itself (${drops.join(', ')}); the job drops them for both at once.`, { drops }));

  const schedule = all.text('learning_rate_scheduler') ?? 'CONSTANT';
  if (scheduleKind(schedule) === null) left.push(`learning_rate_scheduler = ${schedule} (the job has a constant rate)`);
  const cycles = all.number('learning_rate_cycles') ?? 1;
  const least = all.number('learning_rate_min_factor');
  if (least) left.push(`learning_rate_min_factor = ${least}`);
  const accumulate = all.number('gradient_accumulation_steps') ?? 1;
  const warmup = all.number('learning_rate_warmup_steps') ?? 200;
  const isShare = warmup > 0 && warmup <= 1;
  if (isShare) notes.push(warmupNote(warmup));
  const scaler = all.text('learning_rate_scaler') ?? 'NONE';
  if (scaler !== 'NONE') left.push(`learning_rate_scaler = ${scaler} (multiplies the rates)`);
  notes.push(epochsNote(all.number('epochs') ?? 100, 'OneTrainer'));

  const loss = all.text('loss_weight_fn') ?? 'CONSTANT';
  const weighting = loss === 'MIN_SNR_GAMMA' ? 'min-snr' : loss === 'DEBIASED_ESTIMATION' ? 'debiased' : undefined;
  if (weighting === undefined && loss !== 'CONSTANT') left.push(`loss_weight_fn = ${loss}`);
  const strength = all.number('loss_weight_strength') ?? 5;
  if ((all.number('mse_strength') ?? 1) !== 1) left.push(`mse_strength = ${String(raw['mse_strength'])}`);
  const distribution = all.text('timestep_distribution') ?? 'UNIFORM';
  if (distribution !== 'UNIFORM') left.push(`timestep_distribution = ${distribution} (the job draws timesteps evenly)`);
  const [from, to] = [all.number('min_noising_strength') ?? 0, all.number('max_noising_strength') ?? 1];
  const ema = all.text('ema') ?? 'OFF';
  const decay = all.number('ema_decay') ?? 0.999;

  const isDora = all.flag('lora_decompose');
  const isOutput = all.flag('lora_decompose_output_axis');
  for (const [setting, value] of [['lora_rank', 16], ['lora_alpha', 1]] as const) if (all.get(setting) === undefined) notes.push(absentNote(setting, value, 'OneTrainer'));
  const [preset, filter] = [all.text('layer_filter_preset') ?? 'full', all.text('layer_filter')];
  if (filter !== undefined && preset === 'custom') left.push(`layer_filter = ${filter}`);
  all.get('layer_filter_regex');
  const targets = preset === 'attn-only' ? 'attention' : preset === 'attn-mlp' ? 'transformers' : 'linear+conv';
  if (!['full', 'attn-only', 'attn-mlp'].includes(preset)) left.push(`layer_filter_preset = ${preset} (the job has all linear and convolution layers)`);
  const output = all.text('output_dtype') ?? 'FLOAT_32';
  const destination = all.text('output_model_destination');
  const concepts = conceptsOf(Array.isArray(all.get('concepts')) ? raw['concepts'] : beside, left);
  if (concepts.folders.length === 0) notes.push(say('import.no-folders', 'The file names no folder with pictures (concepts): set data.folders.', { setting: 'concepts' }));
  const job = {
    version: 1, name: destination?.split(/[\\/]/).at(-1)?.replace(/\.\w+$/, '') || 'imported',
    base: given({ model: all.text('base_model_name') ?? 'model.safetensors', clipSkip, prediction: all.flag('force_v_prediction') ? 'v' : all.flag('force_epsilon_prediction') ? 'epsilon' : undefined }),
    data: given({
      folders: concepts.folders.length > 0 ? concepts.folders : [{ path: 'pictures' }], resolution: resolutionOf(all.text('resolution') ?? String(all.number('resolution') ?? 512), left), flip: concepts.flip || undefined,
      buckets: { enabled: all.get('aspect_ratio_bucketing') !== false }, caption: given({ dropout: drops[0] || undefined, ...concepts.caption }), holdout: concepts.holdout,
    }),
    adapter: given({
      kind: isDora ? 'dora' : 'lora', rank: all.number('lora_rank') ?? 16, alpha: all.number('lora_alpha') ?? 1, targets, axis: isDora ? (isOutput ? 'output' : 'input') : undefined,
      dropout: all.number('dropout_probability') || undefined, from: all.text('lora_model_name'), textEncoder: trainsText || undefined, textEncoderLearningRate: trainsText ? textRates[trained.indexOf(true)] : undefined,
    }),
    objective: given({ weighting, minSnrGamma: weighting === 'min-snr' ? strength : undefined, noiseOffset: all.number('offset_noise_weight') || undefined }),
    noise: given({ zeroTerminalSnr: all.flag('rescale_noise_scheduler_to_zero_terminal_snr') || undefined, minTimestep: Math.round(1000 * from) || undefined, maxTimestep: to < 1 ? Math.max(0, Math.round(1000 * to) - 1) : undefined }),
    optimizer: optimizerSection(kind ?? 'adamw', unknown ? unknown.rate : ownRate, optimizer, own),
    // Warm-up counts batches there and steps here.
    schedule: given({ kind: scheduleKind(schedule) ?? 'constant', warmup: isShare ? undefined : Math.floor(warmup / accumulate), cycles: scheduleKind(schedule) === 'cosine-restarts' ? cycles : undefined }),
    train: given({ batch: all.number('batch_size') ?? 1, accumulate, clip: all.get('clip_grad_norm') === null ? 0 : all.number('clip_grad_norm') ?? 1, ema: ema === 'OFF' ? undefined : decay }),
    output: { dtype: output === 'BFLOAT_16' ? 'bf16' : output === 'FLOAT_16' ? 'f16' : 'f32' },
  };
  const elsewhere = all.countElsewhere(ELSEWHERE) + optimizer.countElsewhere(OPTIMIZER_ELSEWHERE);
  return { job, notes: [...notes, ...elsewhereNote(elsewhere)], left: [...left, ...all.left('', ELSEWHERE), ...optimizer.left('optimizer.', OPTIMIZER_ELSEWHERE), ...unet.left('unet.', ELSEWHERE), ...texts.flatMap((text, i) => text.left(i === 0 ? 'text_encoder.' : 'text_encoder_2.', ELSEWHERE))] };
}

/** `512`, `512x768`, or several with commas. */
function resolutionOf(text: string, left: string[]): number | number[] | undefined {
  const [first, ...others] = text.split(',').map((part) => part.split('x').map(Number).filter((side) => side > 0)).filter((sides) => sides.length > 0);
  if (others.length > 0) left.push(`resolution = ${text} (the job has the first)`);
  return first === undefined ? undefined : first.length > 1 ? [first[0]!, first[1]!] : first[0];
}

interface Concepts {
  readonly folders: readonly Section[];
  readonly holdout: string | undefined;
  readonly flip: boolean;
  readonly caption: Section;
}

const CONCEPT_ELSEWHERE = /^(?:__version|name|seed|image_variations|text_variations|concept_stats|enabled|include_subdirectories|prompt_.*|random_.*_m.*|tag_dropout_(?:mode|special.*)|caps_randomize_(?:mode|lowercase)|resolution_override)$/;

function conceptsOf(value: unknown, left: string[]): Concepts {
  const concepts = (Array.isArray(value) ? value.filter(isRaw) : []).filter((each) => each['enabled'] !== false).map((each) => ({ raw: each, type: typeof each['type'] === 'string' ? each['type'] : 'STANDARD' }));
  const used = concepts.filter(({ type }) => type === 'STANDARD');
  const held = concepts.find(({ type }) => type === 'VALIDATION');
  const folders = used.flatMap(({ raw }) => {
    const concept = new Settings(raw);
    const path = concept.text('path');
    // "repeats" before version 1.
    const balance = concept.number('balancing') ?? concept.number('repeats') ?? 1;
    const isRepeats = (concept.text('balancing_strategy') ?? 'REPEATS') === 'REPEATS';
    concept.get('type');
    const [image, text] = [new Settings(concept.object('image')), new Settings(concept.object('text'))];
    for (const each of ['enable_random_flip', 'enable_crop_jitter']) image.get(each);
    for (const each of ['enable_tag_shuffling', 'tag_delimiter', 'keep_tags_count']) text.get(each);
    if (!isRepeats) left.push(`concepts balancing = ${balance} samples`);
    else if (balance % 1 !== 0) left.push(`concepts balancing = ${balance} (the job has ${Math.max(1, Math.round(balance))} repeats)`);
    if ((concept.number('loss_weight') ?? 1) !== 1) left.push(`concepts loss_weight = ${String(raw['loss_weight'])}`);
    left.push(...concept.left('concepts ', CONCEPT_ELSEWHERE), ...image.left('concepts image.', CONCEPT_ELSEWHERE), ...text.left('concepts text.', CONCEPT_ELSEWHERE));
    return path === undefined ? [] : [given({ path, repeats: isRepeats && balance >= 0.5 ? Math.max(1, Math.round(balance)) : undefined })];
  });
  for (const { raw, type } of concepts) if (type !== 'STANDARD' && type !== 'VALIDATION') left.push(`concepts type = ${type} ("${String(raw['path'])}")`);
  const [text, image] = [used[0]?.raw['text'], used[0]?.raw['image']].map((part) => new Settings(isRaw(part) ? part : {})) as [Settings, Settings];
  const shuffle = text.flag('enable_tag_shuffling');
  return {
    folders, holdout: held && new Settings(held.raw).text('path'), flip: image.flag('enable_random_flip'),
    caption: shuffle ? given({ shuffle, keepTokens: text.number('keep_tags_count') ?? 1, separator: text.text('tag_delimiter') }) : {},
  };
}

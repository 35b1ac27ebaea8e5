// Settings of kohya's scripts (`--config_file`, TOML) and of their window (JSON).
import { given, optimizerKind, scheduleKind, Settings, wordsOf, type Imported, type Importer, type Raw } from '../define/imported-settings.ts';

export const kohya: Importer = {
  label: 'kohya (scripts and window)',
  detect: (raw) => ['network_module', 'network_dim', 'pretrained_model_name_or_path', 'train_data_dir'].some((key) => key in flat(raw)),
  convert,
};

/** Sections of a TOML file have names of the user's choice. */
const flat = (raw: Raw): Raw => Object.fromEntries(Object.entries(raw).flatMap(([key, value]) => (typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : [[key, value]])));

function convert(raw: Raw): Imported {
  const all = new Settings(flat(raw));
  const notes: string[] = [];
  const left: string[] = [];
  const details = new Settings(wordsOf(all.get('network_args')));
  const rank = all.number('network_dim') ?? 4;
  const alpha = all.number('network_alpha') ?? 1;
  const isDora = details.flag('dora_wd');
  // LyCORIS changed its default to rows in 2025.
  const axis = details.get('wd_on_output') === undefined && details.get('wd_on_out') === undefined ? 'output' : details.flag('wd_on_output') || details.flag('wd_on_out') ? 'output' : 'input';
  if (isDora && details.get('wd_on_output') === undefined) notes.push('wd_on_output is not given: the magnitudes belong to rows (adapter.axis = "output"), as in LyCORIS since April 2025.');
  const module = all.text('network_module');
  const algo = details.text('algo');
  if (algo !== undefined && !['lora', 'locon'].includes(algo)) left.push(`network_args algo = ${algo} (the job has ${isDora ? 'DoRA' : 'LoRA'} instead)`);
  if (all.number('network_alpha') === undefined) notes.push('network_alpha is not given and counts as 1, as in the scripts.');
  const hasConv = details.number('conv_dim') !== undefined || module?.startsWith('lycoris') === true;
  if (details.number('conv_dim') !== undefined && details.number('conv_dim') !== rank) left.push(`network_args conv_dim = ${details.number('conv_dim')} (one rank holds for all layers)`);

  const optimizer = all.text('optimizer_type') ?? all.text('optimizer') ?? 'AdamW';
  const kind = optimizerKind(optimizer);
  if (kind === null) left.push(`optimizer_type = ${optimizer} (the job has AdamW: check the learning rate)`);
  else if (/8bit|paged/i.test(optimizer)) notes.push(`${optimizer} becomes ${kind} with states in full precision.`);
  const args = new Settings(wordsOf(all.get('optimizer_args')));
  const betas = (args.text('betas') ?? '').split(',').map((text) => Number(text.replaceAll(/[^\d.e-]/gi, ''))).filter((value) => value > 0);
  const isOnlyText = all.flag('network_train_text_encoder_only');
  if (isOnlyText) left.push('network_train_text_encoder_only = true (the denoiser is trained too)');
  const rate = all.number('unet_lr') ?? all.number('learning_rate');
  const textRate = all.number('text_encoder_lr') ?? all.number('learning_rate');
  const trainsText = !all.flag('network_train_unet_only') && textRate !== undefined && textRate > 0;

  const schedule = all.text('lr_scheduler') ?? 'constant';
  if (scheduleKind(schedule) === null) left.push(`lr_scheduler = ${schedule} (the job has a constant rate)`);
  const isV = all.flag('v_parameterization') || all.flag('v_pred');
  const resolution = all.get('resolution') ?? all.get('max_resolution');
  const sides = (typeof resolution === 'string' ? resolution.split(/[,x]/).map(Number) : Array.isArray(resolution) ? resolution.map(Number) : [Number(resolution)]).filter((side) => side > 0);
  const steps = all.number('max_train_steps');
  const epochs = all.number('max_train_epochs') ?? all.number('epoch');
  const train = given({
    steps: steps !== undefined && steps > 0 ? steps : undefined, batch: all.number('train_batch_size'), accumulate: all.number('gradient_accumulation_steps'),
    clip: all.number('max_grad_norm'), seed: all.number('seed'), saveEvery: all.number('save_every_n_steps') || undefined, checkpointing: all.get('gradient_checkpointing') === undefined ? undefined : all.flag('gradient_checkpointing'),
  });
  if (train['steps'] === undefined) notes.push(`The file gives ${epochs ?? 1} epochs and no number of steps. Steps = epochs × pictures × repeats / (batch × accumulate); the pictures are not known here, so set train.steps.`);
  else if (epochs !== undefined && all.number('max_train_epochs') !== undefined) notes.push('max_train_epochs replaces max_train_steps in the scripts: set train.steps = epochs × pictures × repeats / (batch × accumulate).');
  const gamma = all.number('min_snr_gamma');
  const debiased = all.flag('debiased_estimation_loss');
  const folder = all.text('train_data_dir');
  if (folder === undefined) notes.push('There is no folder with pictures (train_data_dir): set data.folders.');
  else notes.push('The scripts read repeats from the names of the folders inside train_data_dir (10_style): name those folders in data.folders if there is more than one.');
  const trigger = all.text('caption_prefix');
  const warmup = all.number('lr_warmup_steps');
  const isShare = warmup !== undefined && warmup > 0 && warmup < 1;
  if (isShare) left.push(`lr_warmup_steps = ${warmup} (a share of all steps: set schedule.warmup)`);
  const clipSkip = all.number('clip_skip');
  const job = {
    version: 1, name: all.text('output_name') ?? 'imported',
    base: given({ model: all.text('pretrained_model_name_or_path') ?? 'model.safetensors', vae: all.text('vae'), clipSkip: clipSkip || undefined, prediction: isV ? 'v' : undefined }),
    data: given({
      folders: [{ path: folder ?? 'pictures' }], resolution: sides.length > 1 ? [sides[0], sides[1]] : sides[0],
      flip: all.flag('flip_aug') || undefined, crop: all.flag('random_crop') ? 'random' : undefined,
      buckets: given({ enabled: all.get('enable_bucket') === undefined ? undefined : all.flag('enable_bucket'), step: all.number('bucket_reso_steps') }),
      caption: given({ prefix: trigger, dropout: all.number('caption_dropout_rate'), shuffle: all.flag('shuffle_caption') || undefined, keepTokens: all.number('keep_tokens') || undefined, separator: all.text('caption_separator') }),
    }),
    adapter: given({
      kind: isDora ? 'dora' : 'lora', rank, alpha, axis: isDora ? axis : undefined, targets: hasConv ? 'linear+conv' : 'attention+feed-forward', dropout: all.number('network_dropout') || undefined,
      rsLora: details.flag('rs_lora') || undefined, textEncoder: trainsText || undefined, textEncoderLearningRate: trainsText ? textRate : undefined,
    }),
    objective: given({ weighting: gamma ? 'min-snr' : debiased ? 'debiased' : undefined, minSnrGamma: gamma || undefined, noiseOffset: all.number('noise_offset') || undefined }),
    noise: given({ zeroTerminalSnr: all.flag('zero_terminal_snr') || undefined, minTimestep: all.number('min_timestep') || undefined }),
    optimizer: given({
      kind: kind ?? 'adamw', learningRate: rate, weightDecay: args.number('weight_decay'), ...(kind === 'adafactor' ? {
        relativeStep: args.get('relative_step') === undefined ? undefined : args.flag('relative_step'), scaleParameter: args.get('scale_parameter') === undefined ? undefined : args.flag('scale_parameter'),
      } : { beta1: betas[0], beta2: betas[1] }), ...(kind === 'prodigy' ? { distanceFactor: args.number('d_coef'), startDistance: args.number('d0'), decouple: args.get('decouple') === undefined ? undefined : args.flag('decouple') } : {}),
    }),
    schedule: given({ kind: scheduleKind(schedule) ?? 'constant', warmup: isShare ? undefined : warmup }),
    train,
  };
  return { job, notes, left: [...left, ...all.left(), ...details.left('network_args '), ...args.left('optimizer_args ')] };
}

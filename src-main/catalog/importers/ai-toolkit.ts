// ai-toolkit's configuration (YAML or JSON). Names and defaults are those of toolkit/config_modules.py and optimizer.py: what is
// left out of the file counts with them.
import { say, type Text } from '../../contract/text.ts';
import { absentNote, elsewhereNote, given, type Imported, type Importer, optimizerKind, optimizerNotes, optimizerSection, type Raw, scheduleKind, type Section, Settings, unknownOptimizer } from '../define/imported-settings.ts';

export const aiToolkit: Importer = { label: 'ai-toolkit', detect: (raw) => isRaw(raw['config']) && 'process' in raw['config'], convert };

const isRaw = (value: unknown): value is Raw => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Names that say how the program works, not what is learnt. */
const ELSEWHERE = new RegExp(`^(?:${[
  'type', 'training_folder', 'sqlite_db_path', 'device', 'performance_log_every', 'logging', 'push_to_hub', 'hf_.*', 'save_format', 'cache_.*', 'dtype', 'xformers', 'sdp', 'attention_backend', 'skip_first_sample', 'force_first_sample', 'disable_sampling',
  'caption_ext', 'quantize.*', 'qtype.*', 'low_vram', 'te_dtype', 'vae_dtype', '.*_device', 'unload_text_encoder', 'layer_offloading.*', 'auto_memory', 'compile.*', 'block_compile', 'num_workers', 'prefetch_factor', 'is_xl', 'is_v2', 'arch', 'noise_scheduler', 'transformer_only',
  'walk_seed', 'sample_start_step', 'fps', 'num_frames', 'format', 'sampler', 'train_unet', 'buckets', 'bucket_tolerance', 'meta', 'max_loss_debug', 'split_.*', 'merge_network_on_save.*',
].join('|')})$`);

const FAMILIES = new Set(['sd1', 'sd15', 'sd2', 'sdxl']);
/** Flags of models that Adora does not train so far. */
const OTHER_KINDS = ['is_flux', 'is_v3', 'is_pixart', 'is_pixart_sigma', 'is_auraflow', 'is_lumina2', 'is_ssd', 'is_vega'];

/** Where ai-toolkit differs from the libraries. */
const own = { adamw: { eps: 1e-6 }, prodigy: { eps: 1e-6 }, adafactor: { scaleParameter: false, relativeStep: false } };

function convert(raw: Raw): Imported {
  const config = new Settings(raw['config'] as Raw);
  const title = config.text('name') ?? 'imported';
  const processes = config.get('process');
  const [first, ...others] = Array.isArray(processes) ? processes.filter(isRaw) : [];
  const all = new Settings(named(first ?? {}, title));
  const [network, train, model, save, sample] = ['network', 'train', 'model', 'save', 'sample'].map((name) => new Settings(all.object(name))) as [Settings, Settings, Settings, Settings, Settings];
  const left: string[] = others.length > 0 ? [`config.process has ${others.length} more (the job has the first)`] : [];
  const notes: Text[] = [];
  const kinds = OTHER_KINDS.filter((name) => model.flag(name));
  const arch = model.text('arch');
  if (kinds.length > 0 || (arch !== undefined && !FAMILIES.has(arch.toLowerCase()))) left.push(`model ${kinds[0] ?? `arch = ${arch}`} (Adora does not train it so far)`);
  if (train.get('train_unet') === false) left.push('train.train_unet = false (the denoiser is trained too)');

  const optimizer = train.text('optimizer') ?? 'adamw';
  const kind = optimizerKind(optimizer);
  notes.push(...optimizerNotes(optimizer, kind));
  const details = new Settings(train.object('optimizer_params'));
  const ownRate = train.number('unet_lr') ?? train.number('lr');
  if (ownRate === undefined) notes.push(absentNote('train.lr', '1e-6', 'ai-toolkit'));
  // Rates below 0.1 are taken as a slip there.
  const isOwnRate = kind === 'prodigy' && (ownRate ?? 1e-6) < 0.1;
  if (isOwnRate) notes.push(say('import.own-rate', `train.lr = ${ownRate ?? 1e-6} counts as 1 with ${optimizer}, as in ai-toolkit.`, { rate: ownRate ?? 1e-6, optimizer }));
  const rate = isOwnRate ? 1 : ownRate ?? 1e-6;
  train.get('lr');
  const unknown = kind === null ? unknownOptimizer('train.optimizer', optimizer, rate) : null;
  if (unknown) left.push(unknown.left);
  const trainsText = train.flag('train_text_encoder');
  const textRate = train.number('text_encoder_lr') ?? train.number('lr') ?? 1e-6;

  const schedule = scheduleOf(train, left);
  const data = dataOf(all, left, notes);
  const net = networkOf(network, left, notes);
  const accumulate = Math.max(1, train.number('gradient_accumulation') ?? 1, train.number('gradient_accumulation_steps') ?? 1);
  if ((train.number('gradient_accumulation_steps') ?? 1) < 0) left.push('train.gradient_accumulation_steps = -1 (one step per epoch)');
  const gamma = train.number('min_snr_gamma') ?? train.number('snr_gamma');
  const [from, to] = [train.number('min_denoising_steps'), train.number('max_denoising_steps')];
  const timesteps = train.text('timestep_type');
  if (timesteps !== undefined && timesteps !== 'sigmoid' && timesteps !== 'linear') left.push(`train.timestep_type = ${timesteps}`);
  const bias = train.text('content_or_style') ?? 'balanced';
  if (bias !== 'balanced') left.push(`train.content_or_style = ${bias} (the job draws timesteps evenly)`);
  for (const [name, value] of [['loss_type', 'mse'], ['loss_target', 'noise']] as const) if (![undefined, value].includes(train.text(name) as never)) left.push(`train.${name} = ${train.text(name)}`);
  const ema = new Settings(train.object('ema_config'));
  const keepsAverage = ema.flag('use_ema');
  const job = {
    version: 1, name: title,
    base: given({ model: model.text('name_or_path') ?? 'model.safetensors', vae: model.text('vae_path'), prediction: model.flag('is_v_pred') ? 'v' : undefined }),
    data,
    adapter: given({ ...net, textEncoder: trainsText || undefined, textEncoderLearningRate: trainsText ? textRate : undefined }),
    objective: given({ weighting: gamma ? 'min-snr' : undefined, minSnrGamma: gamma || undefined, noiseOffset: train.number('noise_offset') || undefined }),
    noise: given({ minTimestep: from || undefined, maxTimestep: to !== undefined && to < 999 ? to : undefined }),
    optimizer: optimizerSection(kind ?? 'adamw', unknown ? unknown.rate : rate, details, own),
    schedule,
    train: given({
      steps: train.number('steps') ?? 1000, batch: train.number('batch_size') ?? 1, accumulate, clip: train.number('max_grad_norm') ?? 1,
      ema: keepsAverage ? ema.number('ema_decay') ?? 0.999 : undefined, checkpointing: train.get('gradient_checkpointing') === undefined ? undefined : train.flag('gradient_checkpointing'),
      saveEvery: save.number('save_every') ?? 1000, keep: save.number('max_step_saves_to_keep') ?? 5, priorWeight: train.number('reg_weight'),
    }),
    preview: previewOf(sample, all.text('trigger_word') ?? ''),
    output: { dtype: dtypeOf(save.text('dtype')) },
  };
  const parts: readonly (readonly [string, Settings])[] = [['', all], ['network.', network], ['train.', train], ['model.', model], ['save.', save], ['sample.', sample]];
  const elsewhere = parts.reduce((sum, [, settings]) => sum + settings.countElsewhere(ELSEWHERE), 0);
  return {
    job, notes: [...notes, ...elsewhereNote(elsewhere)],
    left: [...left, ...config.left('', ELSEWHERE), ...parts.flatMap(([prefix, settings]) => settings.left(prefix, ELSEWHERE)), ...details.left('train.optimizer_params '), ...(keepsAverage ? ema.left('train.ema_config ') : [])],
  };
}

/** `[name]` stands for the name of the job anywhere in the file. */
function named(raw: Raw, title: string): Raw {
  const inside = (value: unknown): unknown => {
    if (typeof value === 'string') return value.replaceAll('[name]', title);
    if (Array.isArray(value)) return value.map(inside);
    return isRaw(value) ? Object.fromEntries(Object.entries(value).map(([key, each]) => [key, inside(each)])) : value;
  };
  return inside(raw) as Raw;
}

function networkOf(network: Settings, left: string[], notes: Text[]): Section {
  const type = (network.text('type') ?? 'lora').toLowerCase();
  if (!['lora', 'locon', 'dora'].includes(type)) left.push(`network.type = ${type} (the job has LoRA)`);
  const rank = network.number('rank') ?? network.number('linear') ?? 4;
  network.get('linear');
  const alpha = network.number('linear_alpha') ?? network.number('alpha') ?? 1;
  network.get('alpha');
  if (network.get('rank') === undefined && network.get('linear') === undefined) notes.push(absentNote('network.linear', 4, 'ai-toolkit'));
  if (network.get('linear_alpha') === undefined && network.get('alpha') === undefined) notes.push(absentNote('network.linear_alpha', 1, 'ai-toolkit'));
  const conv = network.number('conv');
  const convAlpha = network.number('conv_alpha') ?? conv;
  if (conv && conv !== rank) left.push(`network.conv = ${conv} (one rank holds for all layers)`);
  if (conv && convAlpha! / conv !== alpha / rank) left.push(`network.conv_alpha = ${convAlpha} (one alpha holds for all layers)`);
  return given({ kind: type === 'dora' ? 'dora' : 'lora', rank, alpha, axis: type === 'dora' ? 'output' : undefined, targets: conv ? 'linear+conv' : 'transformers', dropout: network.number('dropout') || undefined, from: network.text('pretrained_lora_path') });
}

function scheduleOf(train: Settings, left: string[]): Section {
  const name = train.text('lr_scheduler') ?? 'constant';
  const details = new Settings(train.object('lr_scheduler_params'));
  const kind = scheduleKind(name);
  if (kind === null) left.push(`train.lr_scheduler = ${name} (the job has a constant rate)`);
  const warmup = details.number('num_warmup_steps') ?? (name === 'constant_with_warmup' ? 1000 : undefined);
  const section = given({ kind: kind ?? 'constant', warmup, cycles: kind === 'cosine-restarts' ? details.number('num_cycles') ?? 1 : undefined });
  left.push(...details.left('train.lr_scheduler_params '));
  return section;
}

function dataOf(all: Settings, left: string[], notes: Text[]): Section {
  const list = all.get('datasets');
  const sets = (Array.isArray(list) ? list.filter(isRaw) : []).map((each) => new Settings(each));
  const first = sets[0] ?? new Settings({});
  const folders = sets.map((set) => given({ path: set.text('folder_path') ?? set.text('dataset_path') ?? 'pictures', repeats: set.number('num_repeats'), regularization: set.flag('is_reg') || set.flag('prior_reg') || undefined }));
  if (folders.length === 0) notes.push(say('import.no-folders', 'The file names no folder with pictures (datasets): set data.folders.', { setting: 'datasets' }));
  const sides = sets.flatMap((set) => {
    const value = set.get('resolution') ?? 512;
    return (Array.isArray(value) ? value : [value]).map(Number).filter((side) => side > 0);
  });
  const distinct = [...new Set(sides)];
  if (distinct.length > 1) left.push(`datasets resolution = ${distinct.join(', ')} (the job has the largest)`);
  const prefix = all.text('trigger_word') ?? first.text('trigger_word');
  if (prefix !== undefined) notes.push(say('import.trigger', `The trigger word "${prefix}" is put before every caption; ai-toolkit leaves out captions that have it already, and puts it in place of [trigger].`, { prefix }));
  if (first.get('buckets') === false) notes.push(say('import.no-buckets', 'Buckets are off: pictures are cut to one shape.'));
  const captions = given({
    prefix, dropout: first.number('caption_dropout_rate') || undefined, shuffle: first.flag('shuffle_tokens') || undefined, keepTokens: first.number('keep_tokens') || undefined,
  });
  const data = given({
    folders: folders.length > 0 ? folders : [{ path: 'pictures' }], resolution: distinct.length > 0 ? Math.max(...distinct) : undefined, flip: first.flag('flip_x') || undefined,
    crop: first.flag('random_crop') ? 'random' : undefined, buckets: first.get('buckets') === false ? { enabled: false } : undefined, caption: captions,
  });
  for (const set of sets) for (const name of OF_FIRST) if (JSON.stringify(set.get(name)) !== JSON.stringify(first.get(name))) left.push(`datasets ${name} differs between folders (the job has that of the first)`);
  left.push(...new Set(sets.flatMap((set) => set.left('datasets.', ELSEWHERE))));
  return data;
}

/** What a job says once for all folders. */
const OF_FIRST = ['trigger_word', 'caption_dropout_rate', 'shuffle_tokens', 'keep_tokens', 'flip_x', 'random_crop'];

function previewOf(sample: Settings, trigger: string): Section {
  const items = sample.get('samples');
  const prompts = sample.get('prompts');
  const texts = [
    ...(Array.isArray(prompts) ? prompts : []), ...(Array.isArray(items) ? items.filter(isRaw).map((each) => each['prompt']) : []),
  ].filter((prompt): prompt is string => typeof prompt === 'string').map((prompt) => prompt.replaceAll('[trigger]', trigger).trim());
  return given({
    every: texts.length > 0 ? sample.number('sample_every') ?? 100 : undefined, prompts: texts.length > 0 ? texts : undefined, negative: sample.text('neg'), steps: sample.number('sample_steps'),
    guidance: sample.number('guidance_scale'), seed: sample.number('seed'), width: sample.number('width'), height: sample.number('height'),
  });
}

function dtypeOf(name: string | undefined): 'f16' | 'bf16' | 'f32' {
  if (name === 'bf16' || name === 'bfloat16') return 'bf16';
  return name === 'fp32' || name === 'float32' || name === 'float' ? 'f32' : 'f16';
}

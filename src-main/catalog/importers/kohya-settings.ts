// Settings of kohya's sd-scripts (`--config_file`, TOML, with its `dataset_config`) and of the window for them (JSON). Names,
// defaults and what zero means are those of train_network.py, library/config_util.py, networks/lora.py and kohya_gui/lora_gui.py.
import { say, type Text } from '../../contract/text.ts';
import { settingsOfWindow } from '../define/kohya-window.ts';
import { absentNote, elsewhereNote, epochsNote, given, type Imported, type Importer, optimizerKind, optimizerNotes, optimizerSection, type Raw, scheduleKind, type Section, Settings, unknownOptimizer, warmupNote, wordsOf } from '../define/imported-settings.ts';

export const kohya: Importer = {
  label: 'kohya (scripts and window)',
  detect: (raw) => ['network_module', 'network_dim', 'pretrained_model_name_or_path', 'train_data_dir', 'LoRA_type', 'dataset_config'].some((key) => key in flat(raw)) || hasSubsets(raw),
  beside: (raw) => {
    const named = flat(raw)['dataset_config'];
    return typeof named === 'string' && named !== '' ? named : null;
  },
  convert,
};

const isRaw = (value: unknown): value is Raw => typeof value === 'object' && value !== null && !Array.isArray(value);
const rawsIn = (value: unknown): Raw[] => (Array.isArray(value) ? value.filter(isRaw) : []);

const hasSubsets = (raw: Raw): boolean => rawsIn(raw['datasets']).some((dataset) => 'subsets' in dataset);

/** Sections of a TOML file have names of the user's choice. */
const flat = (raw: Raw): Raw => Object.fromEntries(Object.entries(raw).flatMap(([key, value]) => (isRaw(value) ? Object.entries(value) : [[key, value]])));

/** Names that say how the scripts work, not what is learnt. */
const ELSEWHERE = new RegExp(`^(?:${[
  'cache_.*', 'sdxl_cache_latents.*', 'vae_batch_size', '.*mixed_precision', 'save_precision', 'full_(?:bf|fp)16', 'fp8_base.*', '.*no_half_vae', 'xformers', 'sdpa', 'mem_eff_attn', 'lowram', 'highvram',
  'max_data_loader_n_workers', 'persistent_data_loader_workers', 'num_.*process.*', 'num_machines', 'multi_gpu', 'gpu_ids', 'main_process_port', 'dynamo_.*', 'extra_accelerate_launch_args',
  'output_dir', 'logging_dir', 'log_.*', 'use_wandb', 'wandb_.*', 'save_model_as', 'save_state.*', 'save_last_n_.*', 'save_every_n_epochs', 'save_n_epoch_ratio', 'save_as_bool', 'resume', 'model_list', 'training_comment', 'metadata_.*', 'no_metadata',
  'huggingface_.*', 'sample_.*', 'skip_cache_check', 'torch_compile', 'ddp_.*', 'console_log_.*', 'caption_extension', 'dataset_config', 'debug_dataset', 'num_cpu_threads_per_process', 'stop_text_encoder_training_pct', 'cpu_offload_checkpointing',
].join('|')})$`);

interface Network {
  readonly section: Section;
  readonly left: readonly string[];
  readonly notes: readonly Text[];
}

function convert(raw: Raw, beside: unknown): Imported {
  // Its page for whole models saves no LoRA_type.
  const [isAdapter, isWindow] = [!('additional_parameters' in raw) || 'LoRA_type' in raw, 'LoRA_type' in flat(raw) || 'additional_parameters' in raw];
  const window = isWindow ? settingsOfWindow(raw) : null;
  const all = new Settings(withoutIdle(window?.own ?? (hasSubsets(raw) ? {} : flat(raw))));
  const sets = datasets(isRaw(beside) ? beside : hasSubsets(raw) ? raw : null);
  const left: string[] = [...(window?.left ?? []), ...(isAdapter ? [] : ['training of the whole model (the job has a low-rank adapter)'])];
  const notes: Text[] = [];
  if (all.text('dataset_config') !== undefined && beside === null) notes.push(say('import.no-dataset-config', 'The file of dataset_config was not found beside this one: set data.folders, resolution and captions, or import again with it there.'));
  const network = networkOf(all, isWindow);

  const optimizer = all.text('optimizer_type') ?? all.text('optimizer') ?? 'AdamW';
  const kind = optimizerKind(optimizer);
  const args = new Settings(wordsOf(all.get('optimizer_args')));
  notes.push(...optimizerNotes(optimizer, kind));
  const rates = ratesOf(all, isWindow);
  const unknown = kind === null ? unknownOptimizer('optimizer_type', optimizer, rates.unet) : null;
  if (unknown) left.push(unknown.left);

  // A class of its own wins over the name.
  const [named, ownClass] = [all.text('lr_scheduler') ?? 'constant', all.text('lr_scheduler_type')];
  const schedule = ownClass ?? named;
  // Adafactor with rates of its own has a schedule of that name.
  if (scheduleKind(schedule) === null && !(kind === 'adafactor' && schedule.startsWith('adafactor'))) left.push(`${ownClass === undefined ? 'lr_scheduler' : 'lr_scheduler_type'} = ${schedule} (the job has a constant rate)`);
  const cycles = all.number('lr_scheduler_num_cycles');
  const steps = stepsOf(all, isWindow);
  const warmup = warmupOf(all, steps.steps, isWindow);
  const gamma = all.number('min_snr_gamma');
  const debiased = all.flag('debiased_estimation_loss');
  const isXl = all.flag('sdxl');
  const clipSkip = all.number('clip_skip');
  if (isXl && clipSkip && clipSkip > 1) left.push(`clip_skip = ${clipSkip} (the scripts leave it out for SDXL, and so does the job)`);
  const [from, to] = [all.number('min_timestep'), all.number('max_timestep')];
  const tokens = all.number('max_token_length');
  all.get('v2');
  if (all.flag('dim_from_weights')) left.push('dim_from_weights = true (set adapter.rank to that of the file)');
  const job = {
    version: 1, name: all.text('output_name') ?? 'imported',
    base: given({
      model: all.text('pretrained_model_name_or_path') ?? 'model.safetensors', vae: all.text('vae'), clipSkip: isXl ? undefined : clipSkip || undefined,
      prediction: all.flag('v_parameterization') || all.flag('v_pred') ? 'v' : undefined,
    }),
    data: { ...dataOf(all, sets, left, notes) as object, caption: captionOf(all, sets, tokens) },
    adapter: given({ ...network.section, from: all.text('network_weights') ?? all.text('lora_network_weights'), textEncoder: rates.text !== null || undefined, textEncoderLearningRate: rates.text ?? undefined }),
    objective: given({ weighting: gamma ? 'min-snr' : debiased ? 'debiased' : undefined, minSnrGamma: gamma || undefined, noiseOffset: all.number('noise_offset') || undefined }),
    noise: given({ zeroTerminalSnr: all.flag('zero_terminal_snr') || undefined, minTimestep: from || undefined, maxTimestep: to !== undefined && to < 1000 ? to - 1 : undefined }),
    optimizer: optimizerSection(kind ?? 'adamw', unknown ? unknown.rate : rates.unet, args, /dadapt/i.test(optimizer) ? { prodigy: { decouple: false } } : {}),
    schedule: given({ kind: scheduleKind(schedule) ?? 'constant', warmup: warmup.steps, cycles: scheduleKind(schedule) === 'cosine-restarts' ? cycles ?? 1 : undefined }),
    train: given({
      steps: steps.steps, batch: all.number('train_batch_size') ?? sets.batch ?? 1, accumulate: all.number('gradient_accumulation_steps'), clip: all.number('max_grad_norm') ?? 1, seed: all.number('seed') || undefined,
      saveEvery: all.number('save_every_n_steps') || undefined, checkpointing: all.get('gradient_checkpointing') === undefined ? undefined : all.flag('gradient_checkpointing'),
      priorWeight: all.number('prior_loss_weight'),
    }),
  };
  return {
    job,
    notes: [...notes, ...network.notes, ...rates.notes, ...steps.notes, ...warmup.notes, ...elsewhereNote(all.countElsewhere(ELSEWHERE))],
    left: [...left, ...network.left, ...all.left('', ELSEWHERE), ...args.left('optimizer_args '), ...sets.left],
  };
}

/** Without settings that change nothing: what belongs to another one that is off, and defaults of the scripts. */
function withoutIdle(raw: Raw): Raw {
  const off = (name: string): boolean => [undefined, null, '', 0, '0', false, 'False', 'false'].includes(raw[name] as never);
  const isL2 = raw['loss_type'] === undefined || raw['loss_type'] === 'l2';
  const idle = (name: string): boolean =>
    (isL2 && /^(?:loss_type|huber_(?:c|schedule|scale))$/.test(name)) || (name === 'lr_scheduler_power' && (Number(raw[name]) === 1 || raw['lr_scheduler'] !== 'polynomial'))
    || (name === 'multires_noise_discount' && off('multires_noise_iterations')) || (name === 'ip_noise_gamma_random_strength' && off('ip_noise_gamma'))
    || (/^(?:noise_offset_random_strength|adaptive_noise_scale)$/.test(name) && off('noise_offset')) || /^noise_offset_type$|^block_lr_zero_threshold$/.test(name) || (name === 'token_warmup_min' && off('token_warmup_step'));
  return Object.fromEntries(Object.entries(raw).filter(([name]) => !idle(name)));
}

const isLycoris = (all: Settings): boolean => /lycoris|locon|loha|lokr/i.test(`${all.text('LoRA_type') ?? ''} ${all.text('network_module') ?? ''}`);

/** The window has as settings of its own what the scripts take as `network_args`. */
function networkOf(all: Settings, isWindow: boolean): Network {
  const left: string[] = [];
  const notes: Text[] = [];
  const words = new Settings(wordsOf(all.get('network_args')));
  const module = all.text('network_module') ?? '';
  const type = all.text('LoRA_type') ?? '';
  const lycoris = isLycoris(all);
  const details = isWindow ? all : words;
  const usesDetails = !isWindow || lycoris;
  const algo = words.text('algo') ?? (/locon|lora$|standard/i.test(type) || type === '' ? undefined : type.split('/').at(-1)!.toLowerCase());
  const isDora = usesDetails && details.flag('dora_wd');
  if (algo !== undefined && !['lora', 'locon'].includes(algo)) left.push(`algo = ${algo} (the job has ${isDora ? 'DoRA' : 'LoRA'} instead)`);
  if (module !== '' && !['networks.lora', 'lycoris.kohya'].includes(module)) left.push(`network_module = ${module} (the job has ${isDora ? 'DoRA' : 'LoRA'})`);
  const rank = all.number('network_dim') ?? 4;
  const alpha = all.number('network_alpha') ?? 1;
  if (all.get('network_dim') === undefined) notes.push(absentNote('network_dim', 4, 'the scripts'));
  if (all.get('network_alpha') === undefined) notes.push(absentNote('network_alpha', 1, 'the scripts'));
  // LyCORIS changed its default to rows in 2025.
  const [onOutput, onOut] = [words.get('wd_on_output'), words.get('wd_on_out')];
  const axis = onOutput === undefined && onOut === undefined ? 'output' : words.flag('wd_on_output') || words.flag('wd_on_out') ? 'output' : 'input';
  if (isDora && onOutput === undefined && onOut === undefined) {
    notes.push(say('import.axis', 'wd_on_output is not given: the magnitudes belong to rows (adapter.axis = "output"), as in LyCORIS since April 2025. ComfyUI and A1111 read columns: "auto" takes what output.for needs.'));
  }
  // Without conv_dim the scripts' own LoRA leaves 3x3 convolutions alone; LyCORIS takes them with the rank of the rest.
  const conv = usesDetails ? details.number('conv_dim') : undefined;
  const convAlpha = usesDetails ? details.number('conv_alpha') : undefined;
  const preset = usesDetails ? details.text(isWindow ? 'LyCORIS_preset' : 'preset') : undefined;
  const targets = preset === 'attn-only' ? 'attention' : preset === 'attn-mlp' || preset === 'unet-transformer-only' ? 'transformers'
    : conv || (lycoris && module !== 'networks.lora') ? 'linear+conv' : 'transformers';
  if (conv && conv !== rank) left.push(`conv_dim = ${conv} (one rank holds for all layers)`);
  if (conv && convAlpha !== undefined && convAlpha / conv !== alpha / rank) left.push(`conv_alpha = ${convAlpha} (one alpha holds for all layers)`);
  const dropout = all.number('network_dropout') ?? words.number('dropout');
  return {
    section: given({ kind: isDora ? 'dora' : 'lora', rank, alpha, axis: isDora ? axis : undefined, targets, dropout: dropout || undefined, rsLora: words.flag('rs_lora') || undefined }),
    left: [...left, ...words.left('network_args ')], notes,
  };
}

/** Zero is "the general one" in the window, except where the other one is given; "none" in the scripts. */
function ratesOf(all: Settings, isWindow: boolean): { readonly unet: number | undefined; readonly text: number | null; readonly notes: readonly Text[] } {
  const notes: Text[] = [];
  const general = all.number('learning_rate') ?? 2e-6;
  const raw = all.get('text_encoder_lr');
  // A list has one rate per text encoder.
  const list = (Array.isArray(raw) ? raw : typeof raw === 'string' ? raw.split(/[\s,]+/).filter(Boolean) : raw === undefined || raw === null ? [] : [raw]).map(Number).filter(Number.isFinite);
  if (new Set(list).size > 1) notes.push(say('import.text-rates', `text_encoder_lr has one rate per text encoder (${list.join(', ')}); the job has the first for all of them.`, { rates: list }));
  const [text, unet] = [list[0], all.number('unet_lr')];
  const isUnetOnly = all.flag('network_train_unet_only') || all.flag('cache_text_encoder_outputs') || all.flag('sdxl_cache_text_encoder_outputs') || (isWindow && (text ?? 0) === 0 && (unet ?? 0) !== 0);
  const isTextOnly = all.flag('network_train_text_encoder_only') || (isWindow ? (text ?? 0) !== 0 && (unet ?? 0) === 0 : unet === 0);
  if (isTextOnly) notes.push(say('import.text-only', 'The settings train the text encoders only; the job trains the denoiser too: set its rate (optimizer.learningRate) to 0, or leave it.'));
  if (all.get('learning_rate') === undefined && unet === undefined) notes.push(say('import.no-rate', `No learning rate is given: it counts as ${general}, the scripts' default, which is meant for whole models. Set optimizer.learningRate.`, { rate: general }));
  const ownText = isWindow ? text || general : text ?? general;
  return { unet: unet || general, text: isUnetOnly || ownText === 0 ? null : ownText, notes };
}

function stepsOf(all: Settings, isWindow: boolean): { readonly steps: number | undefined; readonly notes: readonly Text[] } {
  const given = all.number('max_train_steps');
  // The number of epochs wins over that of steps, but for the window's own, which only counts without.
  const [most, ofWindow] = [all.number('max_train_epochs') || undefined, isWindow ? all.number('epoch') : undefined];
  const epochs = most ?? (given ? undefined : ofWindow);
  if (epochs !== undefined) return { steps: undefined, notes: [epochsNote(epochs)] };
  if (given) return { steps: given, notes: [] };
  return isWindow ? { steps: undefined, notes: [epochsNote(1)] } : { steps: 1600, notes: [say('import.no-steps', 'Neither steps nor epochs are given: train.steps is 1600, the default of the scripts.', { steps: 1600 })] };
}

/** The window has a share in percent, the scripts take shares below 1. */
function warmupOf(all: Settings, steps: number | undefined, isWindow: boolean): { readonly steps: number | undefined; readonly notes: readonly Text[] } {
  const given = all.number('lr_warmup_steps');
  const percent = isWindow ? all.number('lr_warmup') : undefined;
  const share = given !== undefined && given > 0 && given < 1 ? given : !given && percent ? percent / 100 : null;
  if (share === null) return { steps: given || undefined, notes: [] };
  if (steps !== undefined) return { steps: Math.round(share * steps), notes: [] };
  return { steps: undefined, notes: [warmupNote(share)] };
}

interface Datasets {
  readonly general: Settings;
  /** The first data set, and its first part. */
  readonly first: Settings;
  readonly part: Settings;
  readonly folders: readonly Section[];
  readonly resolution: unknown;
  readonly batch: number | undefined;
  readonly left: readonly string[];
}

/** What a job says once for all folders. */
const SAID_ONCE = ['caption_prefix', 'caption_dropout_rate', 'shuffle_caption', 'keep_tokens', 'caption_separator', 'flip_aug', 'random_crop', 'enable_bucket', 'bucket_reso_steps', 'batch_size'];

/** `dataset_config`: parts take what they do not say from their data set, and that from [general]. */
function datasets(raw: Raw | null): Datasets {
  const general = new Settings(isRaw(raw?.['general']) ? raw['general'] : {});
  const sets = rawsIn(raw?.['datasets']).map((each) => ({ set: new Settings(each), parts: rawsIn(each['subsets']).map((part) => new Settings(part)) }));
  const [one] = sets;
  const folders = sets.flatMap(({ set, parts }) => parts.flatMap((part) => {
    const path = part.text('image_dir');
    const repeats = part.number('num_repeats') ?? set.number('num_repeats') ?? general.number('num_repeats');
    return path === undefined ? [] : [given({ path, repeats, regularization: part.flag('is_reg') || undefined })];
  }));
  const sides = sets.map(({ set }) => set.get('resolution') ?? general.get('resolution'));
  const others = sides.filter((side) => JSON.stringify(side) !== JSON.stringify(sides[0]));
  const first = one?.set ?? new Settings({});
  const part = one?.parts[0] ?? new Settings({});
  for (const { set } of sets) set.get('subsets');
  const differing = new Set(sets.flatMap(({ set, parts }) => parts.flatMap((each) => SAID_ONCE.filter((name) => {
    const [own, ofFirst] = [[each, set, general], [part, first, general]].map((places) => places.map((place) => place.get(name)).find((value) => value !== undefined));
    return JSON.stringify(own) !== JSON.stringify(ofFirst);
  }))));
  const batch = first.number('batch_size') ?? general.number('batch_size');
  return {
    general, first, part, folders, resolution: sides[0], batch,
    get left() {
      return [
        ...(others.length > 0 ? [`datasets resolution = ${JSON.stringify(others)} (the job has the first for all folders)`] : []),
        ...[...differing].map((name) => `subsets ${name} differs between folders (the job has that of the first)`),
        ...general.left('general ', ELSEWHERE), ...sets.flatMap(({ set, parts }) => [...set.left('datasets ', ELSEWHERE), ...parts.flatMap((each) => each.left('subsets ', ELSEWHERE))]),
      ];
    },
  };
}

/** A setting of captions, buckets or crops, in the part, its data set, [general], or the file itself. */
function find(all: Settings, { part, first, general }: Datasets, name: string): Settings {
  // A data set's own word stands in for that of the file, which then counts nowhere.
  all.get(name);
  return [part, first, general].find((each) => each.get(name) !== undefined) ?? all;
}

function dataOf(all: Settings, sets: Datasets, left: string[], notes: Text[]): Section {
  const [own, ofWindow] = [all.get('resolution'), all.get('max_resolution')];
  const resolution = sets.resolution ?? own ?? ofWindow;
  const sides = (typeof resolution === 'string' ? resolution.split(/[,x]/).map(Number) : Array.isArray(resolution) ? resolution.map(Number) : [Number(resolution)]).filter((side) => side > 0);
  const folder = all.text('train_data_dir');
  const regular = all.text('reg_data_dir');
  const folders = [...sets.folders, ...(folder === undefined ? [] : [{ path: folder }]), ...(regular === undefined ? [] : [{ path: regular, regularization: true }])];
  if (folders.length === 0) notes.push(say('import.no-folders', 'There is no folder with pictures (train_data_dir, or image_dir of a dataset_config): set data.folders.', { setting: 'train_data_dir' }));
  const buckets = find(all, sets, 'enable_bucket');
  const isOn = buckets.flag('enable_bucket');
  if (!isOn) notes.push(say('import.no-buckets', 'enable_bucket is off, as it is by default: pictures are cut to one shape.'));
  for (const name of ['min_bucket_reso', 'max_bucket_reso'] as const) {
    const value = find(all, sets, name).number(name);
    if (isOn && value !== undefined) left.push(`${name} = ${value} (data.buckets has aspect ratios in its place)`);
  }
  return given({
    folders: folders.length > 0 ? folders : [{ path: 'pictures' }], resolution: sides.length > 1 && sides[0] !== sides[1] ? [sides[0], sides[1]] : sides[0],
    flip: find(all, sets, 'flip_aug').flag('flip_aug') || undefined, crop: find(all, sets, 'random_crop').flag('random_crop') ? 'random' : undefined,
    buckets: given({ enabled: isOn, step: find(all, sets, 'bucket_reso_steps').number('bucket_reso_steps') }),
  });
}

function captionOf(all: Settings, sets: Datasets, tokens: number | undefined): Section {
  const text = (name: string): string | undefined => find(all, sets, name).text(name);
  const number = (name: string): number | undefined => find(all, sets, name).number(name);
  return given({
    prefix: text('caption_prefix'), dropout: number('caption_dropout_rate') || undefined, shuffle: find(all, sets, 'shuffle_caption').flag('shuffle_caption') || undefined,
    keepTokens: number('keep_tokens') || undefined, separator: text('caption_separator'), maxTokens: tokens || 75,
  });
}

// ai-toolkit's configuration, as JSON.
import { given, optimizerKind, scheduleKind, Settings, type Imported, type Importer, type Raw } from '../define/imported-settings.ts';

export const aiToolkit: Importer = { label: 'ai-toolkit', detect: (raw) => typeof raw['config'] === 'object' && raw['config'] !== null && 'process' in raw['config'], convert };

function convert(raw: Raw): Imported {
  const config = new Settings(raw['config'] as Raw);
  const processes = config.get('process');
  const all = new Settings(Array.isArray(processes) ? (processes[0] as Raw) : {});
  const [network, train, model, save] = ['network', 'train', 'model', 'save'].map((name) => new Settings(all.object(name))) as [Settings, Settings, Settings, Settings];
  const left: string[] = [];
  const notes: string[] = [];
  const rank = network.number('linear') ?? network.number('rank') ?? 16;
  const type = network.text('type') ?? 'lora';
  if (!['lora', 'locon', 'dora'].includes(type)) left.push(`network.type = ${type} (the job has LoRA)`);
  const name = train.text('optimizer') ?? 'adamw';
  const kind = optimizerKind(name);
  if (kind === null) left.push(`train.optimizer = ${name} (the job has AdamW: check the learning rate)`);
  const schedule = train.text('lr_scheduler') ?? 'constant';
  if (scheduleKind(schedule) === null) left.push(`train.lr_scheduler = ${schedule}`);
  const datasets = all.get('datasets');
  const sets = (Array.isArray(datasets) ? (datasets as Raw[]) : []).map((each) => new Settings(each));
  const folders = sets.map((set) => given({ path: set.text('folder_path') ?? 'pictures', repeats: set.number('num_repeats') }));
  const first = sets[0];
  const resolution = first?.get('resolution');
  const sides = Array.isArray(resolution) ? resolution.map(Number) : resolution === undefined ? [] : [Number(resolution)];
  if (sides.length > 1) left.push(`datasets resolution = ${sides.join(', ')} (the job has the largest)`);
  if (folders.length === 0) notes.push('The file names no folder with pictures (datasets): set data.folders.');
  const job = {
    version: 1, name: config.text('name') ?? 'imported', base: given({ model: model.text('name_or_path') ?? 'model.safetensors', prediction: model.flag('is_v_pred') ? 'v' : undefined }),
    data: given({
      folders: folders.length > 0 ? folders : [{ path: 'pictures' }], resolution: sides.length > 0 ? Math.max(...sides) : undefined,
      caption: given({ prefix: all.text('trigger_word'), dropout: first?.number('caption_dropout_rate'), shuffle: first?.flag('shuffle_tokens') || undefined }),
    }),
    adapter: given({ kind: type === 'dora' ? 'dora' : 'lora', rank, alpha: network.number('linear_alpha') ?? network.number('alpha') ?? 1, axis: type === 'dora' ? 'output' : undefined, textEncoder: train.flag('train_text_encoder') || undefined }),
    objective: given({ weighting: train.number('min_snr_gamma') ? 'min-snr' : undefined, minSnrGamma: train.number('min_snr_gamma'), noiseOffset: train.number('noise_offset') || undefined }),
    optimizer: given({ kind: kind ?? 'adamw', learningRate: train.number('lr'), weightDecay: new Settings(train.object('optimizer_params')).number('weight_decay') }),
    schedule: { kind: scheduleKind(schedule) ?? 'constant' },
    train: given({ steps: train.number('steps'), batch: train.number('batch_size'), accumulate: train.number('gradient_accumulation_steps') ?? train.number('gradient_accumulation'), saveEvery: save.number('save_every') }),
  };
  if (network.number('linear_alpha') === undefined && network.number('alpha') === undefined) notes.push('network.linear_alpha is not given and counts as 1.');
  return { job, notes, left: [...left, ...config.left(), ...all.left(), ...network.left('network.'), ...train.left('train.'), ...model.left('model.'), ...save.left('save.'), ...sets.flatMap((set) => set.left('datasets.'))] };
}

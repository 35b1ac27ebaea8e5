// OneTrainer's JSON of a training.
import { given, optimizerKind, scheduleKind, Settings, type Imported, type Importer, type Raw } from '../define/imported-settings.ts';

export const oneTrainer: Importer = { label: 'OneTrainer', detect: (raw) => 'base_model_name' in raw || 'training_method' in raw, convert };

function convert(raw: Raw): Imported {
  const all = new Settings(raw);
  const left: string[] = [];
  const notes: string[] = [];
  const method = all.text('training_method') ?? 'LORA';
  if (method !== 'LORA' || (all.text('peft_type') ?? 'LORA') !== 'LORA') left.push(`training_method = ${method}, peft_type = ${String(all.get('peft_type'))} (the job has a low-rank adapter)`);
  const isDora = all.flag('lora_decompose');
  const optimizer = new Settings(all.object('optimizer'));
  const name = optimizer.text('optimizer') ?? 'ADAMW';
  const kind = optimizerKind(name);
  if (kind === null) left.push(`optimizer = ${name} (the job has AdamW: check the learning rate)`);
  const schedule = all.text('learning_rate_scheduler') ?? 'CONSTANT';
  if (scheduleKind(schedule) === null) left.push(`learning_rate_scheduler = ${schedule} (the job has a constant rate)`);
  const text = new Settings(all.object('text_encoder'));
  const unet = new Settings(all.object('unet'));
  const trainsText = text.flag('train');
  const rate = unet.number('learning_rate') ?? all.number('learning_rate');
  const loss = all.text('loss_weight_fn') ?? 'CONSTANT';
  const weighting = loss === 'MIN_SNR_GAMMA' ? 'min-snr' : loss === 'DEBIASED_ESTIMATION' ? 'debiased' : undefined;
  if (weighting === undefined && loss !== 'CONSTANT') left.push(`loss_weight_fn = ${loss}`);
  notes.push(`OneTrainer counts ${all.number('epochs') ?? 100} epochs. Steps = epochs × pictures × repeats / (batch × accumulate); the pictures are not known here, so set train.steps.`);
  const concepts = all.get('concepts');
  const folders = Array.isArray(concepts) ? concepts.flatMap((each: Raw) => (typeof each['path'] === 'string' ? [given({ path: each['path'], repeats: typeof each['balancing'] === 'number' && each['balancing'] >= 1 ? Math.round(each['balancing']) : undefined })] : [])) : [];
  if (folders.length === 0) notes.push('The file names no folder with pictures (concepts): set data.folders.');
  const job = {
    version: 1, name: 'imported', base: { model: all.text('base_model_name') ?? 'model.safetensors' },
    data: given({ folders: folders.length > 0 ? folders : [{ path: 'pictures' }], resolution: all.number('resolution'), buckets: { enabled: all.flag('aspect_ratio_bucketing') } }),
    adapter: given({
      kind: isDora ? 'dora' : 'lora', rank: all.number('lora_rank') ?? 16, alpha: all.number('lora_alpha') ?? 1,
      axis: isDora ? (all.flag('lora_decompose_output_axis') ? 'output' : 'input') : undefined,
      dropout: all.number('dropout_probability') || undefined, textEncoder: trainsText || undefined, textEncoderLearningRate: trainsText ? text.number('learning_rate') : undefined,
    }),
    objective: given({ weighting, minSnrGamma: weighting === 'min-snr' ? all.number('loss_weight_strength') : undefined, noiseOffset: all.number('offset_noise_weight') || undefined }),
    noise: given({ zeroTerminalSnr: all.flag('rescale_noise_scheduler_to_zero_terminal_snr') || undefined }),
    optimizer: given({ kind: kind ?? 'adamw', learningRate: rate, weightDecay: optimizer.number('weight_decay'), ...(kind === 'adafactor' ? {} : { beta1: optimizer.number('beta1'), beta2: optimizer.number('beta2') }) }),
    schedule: given({ kind: scheduleKind(schedule) ?? 'constant', warmup: all.number('learning_rate_warmup_steps') }),
    train: given({ batch: all.number('batch_size'), accumulate: all.number('gradient_accumulation_steps'), clip: all.number('clip_grad_norm') }),
  };
  return { job, notes, left: [...left, ...all.left(), ...optimizer.left('optimizer.'), ...text.left('text_encoder.'), ...unet.left('unet.')] };
}

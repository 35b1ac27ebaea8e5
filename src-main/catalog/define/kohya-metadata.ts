// The `ss_*` texts of kohya's scripts, which A1111, Forge and sites that share adapters show. Values are what Python's str()
// gives; what has more parts is JSON.
import { commonMetadata, type AdapterFacts, type DataFacts } from './format.ts';

/** Tags of a folder that are kept, the most frequent first: the header of a file has to stay small. */
const MOST_TAGS = 1000;

const python = (value: number | boolean | null): string => (value === null ? 'None' : value === true ? 'True' : value === false ? 'False' : String(value));

export function kohyaMetadata(facts: AdapterFacts): Record<string, string> {
  const { base, axis, training, data } = facts;
  const details = axis === null ? {} : { algo: 'locon', dora_wd: 'True', wd_on_output: axis === 'output' ? 'True' : 'False' };
  return {
    ...commonMetadata(facts),
    ss_v2: python(base.isVersion2),
    ss_base_model_version: base.kohyaVersion,
    ss_network_module: axis === null ? 'networks.lora' : 'lycoris.kohya',
    ss_network_dim: String(facts.rank),
    // Folded into the weights, so that alpha = rank.
    ss_network_alpha: String(facts.rank),
    ss_network_args: JSON.stringify(details),
    ss_output_name: facts.title,
    ...(base.name ? { ss_sd_model_name: base.name } : {}),
    ...(base.fileHash === null ? {} : { ss_new_sd_model_hash: base.fileHash }),
    ...(training ? trainingTexts(training, data) : {}),
    ...(data ? dataTexts(data) : {}),
    ...(facts.note ? { ss_training_comment: facts.note } : {}),
    sshs_model_hash: facts.hash,
  };
}

function trainingTexts(training: NonNullable<AdapterFacts['training']>, data: DataFacts | null): Record<string, string> {
  const perEpoch = data === null ? null : Math.max(1, Math.ceil(data.draws / (training.batch * training.accumulate)));
  const epochs = (steps: number): Record<string, string> => (perEpoch === null ? {} : { ss_epoch: String(Math.ceil(steps / perEpoch)), ss_num_epochs: String(Math.ceil(training.totalSteps / perEpoch)) });
  return {
    ss_steps: String(training.steps),
    ss_max_train_steps: String(training.totalSteps),
    ...epochs(training.steps),
    ss_seed: String(training.seed),
    ss_learning_rate: String(training.learningRate),
    ss_unet_lr: String(training.learningRate),
    ss_text_encoder_lr: python(training.textLearningRate),
    ss_optimizer: training.optimizer,
    ss_lr_scheduler: training.schedule,
    ss_lr_warmup_steps: String(training.warmup),
    ss_batch_size_per_device: String(training.batch),
    ss_gradient_accumulation_steps: String(training.accumulate),
    ss_gradient_checkpointing: python(training.checkpointing),
    ss_network_dropout: python(training.dropout === 0 ? null : training.dropout),
    ss_noise_offset: python(training.noiseOffset === 0 ? null : training.noiseOffset),
    ss_min_snr_gamma: python(training.minSnrGamma),
    ss_clip_skip: python(training.clipSkip),
  };
}

function dataTexts({ folders, buckets, draws, regularization, width, height }: DataFacts): Record<string, string> {
  const tags = folders.map(({ name, tags: counts }) => [name, Object.fromEntries([...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, MOST_TAGS))]);
  return {
    ss_resolution: `(${width}, ${height})`,
    ss_num_train_images: String(draws),
    ss_num_reg_images: String(regularization),
    ss_dataset_dirs: JSON.stringify(Object.fromEntries(folders.map(({ name, repeats, pictures }) => [name, { n_repeats: repeats, img_count: pictures }]))),
    ss_tag_frequency: JSON.stringify(Object.fromEntries(tags)),
    ss_enable_bucket: python(buckets.length > 1),
    ss_bucket_info: JSON.stringify({ buckets: Object.fromEntries(buckets.map((bucket, i) => [i, { resolution: [bucket.width, bucket.height], count: bucket.count }])) }),
  };
}

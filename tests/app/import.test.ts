// Settings of other trainers, in the shape in which those write them, become jobs; what has no counterpart is listed.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { importCommand, importSettings } from '../../src-main/app/import-command.ts';
import { readJobFile } from '../../src-main/app/job-file.ts';
import { catalogFields } from '../../src-main/catalog/index.ts';
import { refusalOf, temporaryFolder } from '../files/temporary.ts';

const textsOf = (notes: readonly { readonly text: string }[]): string => notes.map(({ text }) => text).join('\n');

const folder = join(import.meta.dirname, 'imports');
const fields = catalogFields();
const read = async (name: string) => importSettings(join(folder, name), fields);

describe('kohya', () => {
  test('a configuration of the scripts with its data sets', async () => {
    const { label, job, left, notes, isValid } = await read('kohya-scripts.toml');
    expect([label, isValid]).toEqual(['kohya (scripts and window)', true]);
    expect(job).toMatchObject({
      name: 'ink', base: { model: 'models/illustrious.safetensors' },
      data: {
        folders: [{ path: 'pictures/ink', repeats: 4 }, { path: 'pictures/general', regularization: true }], resolution: 1024, buckets: { enabled: true },
        caption: { dropout: 0.04, shuffle: true, keepTokens: 1, maxTokens: 225 },
      },
      adapter: { kind: 'dora', rank: 24, alpha: 12, axis: 'input', targets: 'transformers', textEncoder: true, textEncoderLearningRate: 5e-5 },
      objective: { weighting: 'min-snr', minSnrGamma: 5, noiseOffset: 0.03 }, noise: { maxTimestep: 899 },
      optimizer: { kind: 'adamw', learningRate: 3e-4, weightDecay: 0.05, beta1: 0.9, beta2: 0.98, eps: 1e-8 },
      schedule: { kind: 'cosine-restarts', cycles: 3, warmup: 100 },
      train: { steps: 2000, batch: 2, accumulate: 4, clip: 0.5, seed: 42 },
    });
    expect(left).toEqual([
      'conv_dim = 8 (one rank holds for all layers)', 'network_args rank_dropout = "0.1"', 'ip_noise_gamma = 0.05', 'scale_weight_norms = 9', 'an_option_from_the_future = "yes"', 'optimizer_args amsgrad = "True"',
      'subsets caption_dropout_rate differs between folders (the job has that of the first)', 'datasets bucket_no_upscale = true', 'subsets class_tokens = "drawing"',
    ]);
    expect(textsOf(notes)).toMatch(/0\.00005, 2e-?5|0\.00005, 0\.00002/);
    expect(textsOf(notes)).toMatch(/AdamW8bit becomes adamw[^]*\d settings about caches/);
  });

  test('of its window: zero is the general rate, and settings of other kinds of adapters do not count', async () => {
    const { job, left, notes, isValid } = await read('kohya-window.json');
    expect(isValid).toBe(true);
    expect(job).toMatchObject({
      name: 'window', base: { model: 'models/sd15.safetensors', clipSkip: 2 },
      data: { folders: [{ path: 'pictures/img' }, { path: 'pictures/reg', regularization: true }], resolution: [512, 640], buckets: { enabled: false }, caption: { dropout: 0.05, maxTokens: 75 } },
      // "dora_wd" and "conv_dim" stand in every such file; a standard LoRA does not look at them.
      adapter: { kind: 'lora', rank: 32, alpha: 16, targets: 'transformers', dropout: 0.1 },
      optimizer: { kind: 'adafactor', learningRate: 1e-4, scaleParameter: false, relativeStep: false, relativeWarmup: false, weightDecay: 0 },
      schedule: { kind: 'constant' }, train: { batch: 3, clip: 0, seed: 1234, priorWeight: 0.7 },
    });
    expect(job['adapter']).not.toHaveProperty('textEncoder');
    expect(job['train']).not.toHaveProperty('steps');
    expect(left).toEqual(['lr_scheduler = polynomial (the job has a constant rate)', 'bucket_no_upscale = true', 'multires_noise_iterations = 6']);
    expect(textsOf(notes)).toMatch(/counts 8 epochs[^]*rises over 10 % of all steps/);
  });

  const convert = async (settings: object) => {
    const file = join(temporaryFolder(), 'a.json');
    writeFileSync(file, JSON.stringify(settings));
    return importSettings(file, fields);
  };

  test('what is left out counts as in the scripts: rank 4, alpha 1, 1600 steps, one shape', async () => {
    const { job, notes } = await convert({ network_module: 'networks.lora', pretrained_model_name_or_path: 'a.safetensors', train_data_dir: 'x', learning_rate: 1e-4 });
    expect(job).toMatchObject({ adapter: { kind: 'lora', rank: 4, alpha: 1, textEncoder: true, textEncoderLearningRate: 1e-4 }, train: { steps: 1600, batch: 1, clip: 1 }, data: { buckets: { enabled: false } } });
    expect(textsOf(notes)).toMatch(/network_dim is not given[^]*network_alpha is not given and counts as 1[^]*1600, the default/);
  });
  test.each([[{ network_train_unet_only: true }], [{ text_encoder_lr: 0 }], [{ cache_text_encoder_outputs: true }]])('the text encoders stay as they are with %j', async (more) => {
    const { job } = await convert({ network_module: 'networks.lora', network_dim: 8, learning_rate: 1e-4, ...more });
    expect(job['adapter']).not.toHaveProperty('textEncoder');
  });
  test('DoRA without a word about its axis has that of LyCORIS today', async () => {
    const { job, notes } = await convert({ network_module: 'lycoris.kohya', network_dim: 8, network_args: 'dora_wd=True algo=lora' });
    expect(job['adapter']).toMatchObject({ kind: 'dora', axis: 'output', alpha: 1, targets: 'linear+conv' });
    expect(textsOf(notes)).toContain('since April 2025');
  });
  test('Prodigy keeps its own arguments, and the defaults of its library', async () => {
    const { job, left } = await convert({ network_module: 'networks.lora', unet_lr: 1, optimizer_type: 'Prodigy', optimizer_args: ['decouple=True', 'weight_decay=0.5', 'betas=0.9,0.99', 'use_bias_correction=True', 'd_coef=2', 'growth_rate=1.02'] });
    expect(job['optimizer']).toEqual({ kind: 'prodigy', learningRate: 1, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0.5, decouple: true, biasCorrection: true, safeguardWarmup: false, startDistance: 1e-6, distanceFactor: 2 });
    expect(left).toEqual(['optimizer_args growth_rate = "1.02"']);
  });
  test('what the window saves beyond what it hands to the scripts does not count', async () => {
    const fields = { sdxl: true, pretrained_model_name_or_path: 'm.safetensors', train_data_dir: 'nowhere', unet_lr: 0, text_encoder_lr: 0, learning_rate: 1e-4, network_dim: 8, network_alpha: 4, enable_bucket: true, max_train_steps: 100 };
    const idle = {
      anima_sigmoid_scale: 1, hunyuan_sigmoid_scale: 1, lumina_ae: 'x', t5xxl_max_token_length: 512, guidance_scale: 1, discrete_flow_shift: 3, logit_std: 1, weighting_scheme: 'logit_normal', train_blocks: 'all', blocks_to_swap: 4, flux1_cache_text_encoder_outputs: true, anima_checkbox: false,
      loss_type: 'l2', huber_c: 0.1, huber_schedule: 'snr', huber_scale: 1, lr_scheduler_power: 1, clip_skip: 1, unit: 1, factor: -1, train_on_input: true, multires_noise_discount: 0.3, multires_noise_iterations: 6, noise_offset_type: 'Original', epoch: 5, conv_dim: 4, LyCORIS_preset: 'full', block_lr_zero_threshold: 0.1,
    };
    const { job, left } = await convert({ LoRA_type: 'Standard', ...fields, ...idle, noise_offset: 0.03 });
    expect(left).toEqual([]);
    expect(job).toMatchObject({ objective: { noiseOffset: 0.03 }, adapter: { targets: 'transformers', textEncoder: true, textEncoderLearningRate: 1e-4 }, train: { steps: 100 } });
    const multires = await convert({ LoRA_type: 'Standard', ...fields, noise_offset: 0.03, noise_offset_type: 'Multires', multires_noise_discount: 0.3, multires_noise_iterations: 6 });
    expect(multires.left).toEqual(['multires_noise_discount = 0.3', 'multires_noise_iterations = 6']);
    expect(multires.job['objective']).toEqual({});
    // Weights of blocks and dropouts of a standard LoRA do count.
    expect((await convert({ LoRA_type: 'Standard', ...fields, down_lr_weight: '1,0', block_lr_zero_threshold: 0.1, rank_dropout: 0.1, loss_type: 'huber', huber_c: 0.1 })).left).toEqual(expect.arrayContaining(['down_lr_weight = "1,0"', 'rank_dropout = 0.1', 'huber_c = 0.1', 'loss_type = "huber"']));
    expect((await convert({ LoRA_type: 'Flux1', ...fields, flux1_checkbox: true })).left[0]).toBe('flux1_checkbox (FLUX.1, which Adora does not train so far)');
  });
  test('quotation marks around arguments, and what is typed in for the command line, as in published presets', async () => {
    const { job, left } = await convert({
      LoRA_type: 'Standard', learning_rate: 1, text_encoder_lr: 1, unet_lr: 1, optimizer: 'DAdaptAdam', optimizer_args: '"decouple=True" "weight_decay=0.2" "betas=0.9,0.99"', lr_scheduler: 'cosine_with_restarts', lr_scheduler_num_cycles: '', epoch: 3, max_grad_norm: 1,
      additional_parameters: '--network_train_unet_only --max_grad_norm=0 --lr_scheduler_type "some.module.RexAnnealing" --lr_scheduler_args "a=1" "b=2" --ip_noise_gamma 0.05', train_data_dir: 'nowhere', lora_network_weights: 'start.safetensors', dim_from_weights: true,
    });
    expect(job).toMatchObject({ optimizer: { kind: 'prodigy', learningRate: 1, weightDecay: 0.2, decouple: true, beta1: 0.9, beta2: 0.99 }, train: { clip: 0 }, schedule: { kind: 'rex' }, adapter: { from: 'start.safetensors' } });
    expect(job['adapter']).not.toHaveProperty('textEncoder');
    expect(left).toEqual(['dim_from_weights = true (set adapter.rank to that of the file)', 'lr_scheduler_args = ["a=1","b=2"]', 'ip_noise_gamma = "0.05"']);
    expect((await convert({ LoRA_type: 'Standard', learning_rate: 1e-4, lr_scheduler: 'cosine_with_restarts', lr_scheduler_num_cycles: '', epoch: 3 })).job['schedule']).toEqual({ kind: 'cosine-restarts', cycles: 3 });
  });
  test('a rate of 1 for an optimizer that is not known does not become the rate of AdamW', async () => {
    const { job, left } = await convert({ network_module: 'networks.lora', learning_rate: 1, optimizer_type: 'somewhere.optim.Automagic' });
    expect(left[0]).toBe('optimizer_type = somewhere.optim.Automagic (the job has AdamW at its usual rate in place of 1)');
    expect(job['optimizer']).not.toHaveProperty('learningRate');
    expect((await convert({ network_module: 'networks.lora', learning_rate: 7e-5, optimizer_type: 'pytorch_optimizer.CAME' })).job['optimizer']).toMatchObject({ kind: 'adamw', learningRate: 7e-5 });
    expect((await convert({ network_module: 'networks.lora', learning_rate: 1e-4, optimizer_type: 'bitsandbytes.optim.PagedAdamW8bit' })).left).toEqual([]);
  });
  test('what the parts of a data set say alike is said once, what differs is listed', async () => {
    const part = (more: object) => ({ num_repeats: 2, keep_tokens: 1, shuffle_caption: true, ...more });
    const { job, left } = await convert({ general: { enable_bucket: true }, datasets: [{ resolution: 512, batch_size: 2, subsets: [part({ image_dir: 'a' }), part({ image_dir: 'b' })] }, { resolution: 512, batch_size: 2, subsets: [part({ image_dir: 'c', keep_tokens: 2 })] }] });
    expect(job['data']).toMatchObject({ folders: [{ path: 'a' }, { path: 'b' }, { path: 'c' }], caption: { keepTokens: 1, shuffle: true } });
    expect(left).toEqual(['subsets keep_tokens differs between folders (the job has that of the first)']);
  });
  test('epochs become steps where the pictures are there, by the repeats in the names of folders', async () => {
    const place = temporaryFolder();
    for (const [name, count] of [['set/4_ink', 3], ['set/1_more', 5], ['reg/1_drawing', 2]] as const) {
      mkdirSync(join(place, name), { recursive: true });
      for (let i = 0; i < count; i++) await sharp({ create: { width: 8, height: 8, channels: 3, background: '#888' } }).png().toFile(join(place, name, `${i}.png`));
    }
    const settings = { LoRA_type: 'Standard', learning_rate: 1e-4, train_data_dir: 'set', epoch: 10, train_batch_size: 2, gradient_accumulation_steps: 2, lr_scheduler: 'cosine', lr_warmup: 10 };
    const importFrom = async (more: object) => {
      writeFileSync(join(place, 'a.json'), JSON.stringify({ ...settings, ...more }));
      return importSettings(join(place, 'a.json'), fields);
    };
    // (4·3 + 5) / 2 → 9 batches, 5 steps, 10 times; with regularization pictures as many again.
    const { job, notes } = await importFrom({});
    expect(job).toMatchObject({ train: { steps: 50 }, schedule: { warmup: 5 } });
    expect(textsOf(notes)).toContain('10 epochs of 17 pictures');
    expect(textsOf(notes)).not.toMatch(/set train\.steps|schedule\.warmup once/);
    expect((await importFrom({ reg_data_dir: 'reg' })).job).toMatchObject({ train: { steps: 90 } });
    expect(textsOf((await importFrom({ train_data_dir: 'gone' })).notes)).toContain('set train.steps');
  });
  test('the page of the window for whole models, and what a data set says in place of the file', async () => {
    const whole = await convert({ additional_parameters: '', pretrained_model_name_or_path: 'm.safetensors', train_data_dir: 'nowhere', learning_rate: 1e-5, learning_rate_te1: 1e-6, t5xxl_max_token_length: 512, timestep_sampling: 'sigma', epoch: 1, max_train_steps: 10 });
    expect(whole.left).toEqual(['training of the whole model (the job has a low-rank adapter)', 'learning_rate_te1 = 0.000001']);
    const place = temporaryFolder();
    writeFileSync(join(place, 'set.json'), JSON.stringify({ general: { keep_tokens: 2 }, datasets: [{ resolution: 768, subsets: [{ image_dir: 'a', enable_bucket: true }] }] }));
    writeFileSync(join(place, 'a.json'), JSON.stringify({ network_module: 'networks.lora', dataset_config: 'set.json', resolution: '512,512', max_resolution: '640,640', enable_bucket: 'yes', keep_tokens: 1 }));
    const { job, left } = await importSettings(join(place, 'a.json'), fields);
    expect([job['data'], left]).toMatchObject([{ resolution: 768, buckets: { enabled: true }, caption: { keepTokens: 2 } }, []]);
  });
  test('a model by its name on Hugging Face is told to be no file', async () => {
    const said = async (model: string) => textsOf((await convert({ network_module: 'networks.lora', pretrained_model_name_or_path: model })).notes).includes('Hugging Face');
    expect([await said('stabilityai/stable-diffusion-xl-base-1.0'), await said('models/m.safetensors'), await said('D:/models/m')]).toEqual([true, false, false]);
  });
  test('a data set by itself is a job without the rest', async () => {
    const { job, isValid } = await read('kohya-dataset.toml');
    expect([isValid, job['data']]).toMatchObject([true, { folders: [{ path: 'pictures/ink' }, {}] }]);
  });
  test('a data set that is not there is told', async () => {
    const file = join(temporaryFolder(), 'a.toml');
    copyFileSync(join(folder, 'kohya-scripts.toml'), file);
    expect(textsOf((await importSettings(file, fields)).notes)).toMatch(/dataset_config was not found/);
  });
});

describe('OneTrainer', () => {
  test('a training with its concepts', async () => {
    const { label, job, left, notes, isValid } = await read('one-trainer.json');
    expect([label, isValid]).toEqual(['OneTrainer', true]);
    expect(job).toMatchObject({
      name: 'water', base: { model: 'models/sdxl.safetensors', clipSkip: 3, prediction: 'v' },
      data: { folders: [{ path: 'pictures/water', repeats: 3 }], resolution: 1024, flip: true, buckets: { enabled: true }, holdout: 'pictures/held', caption: { dropout: 0.1, shuffle: true, keepTokens: 2, separator: ',' } },
      // lora_alpha is 1 where it is not given.
      adapter: { kind: 'dora', rank: 16, alpha: 1, axis: 'input', targets: 'transformers', textEncoder: true, textEncoderLearningRate: 5e-5 },
      objective: { weighting: 'min-snr', minSnrGamma: 4, noiseOffset: 0.02 }, noise: { zeroTerminalSnr: true, maxTimestep: 899 },
      optimizer: { kind: 'prodigy', learningRate: 2e-4, beta2: 0.99, weightDecay: 0.02, distanceFactor: 2, biasCorrection: true, safeguardWarmup: true, decouple: true },
      // Warm-up is in batches there.
      schedule: { kind: 'cosine', warmup: 100 }, train: { batch: 4, accumulate: 2, clip: 0, ema: 0.998 }, output: { dtype: 'bf16' },
    });
    expect(left).toEqual([
      'text_encoder.train and text_encoder_2.train differ (the job trains both)', 'text_encoder.stop_training_after = 30 EPOCH', 'learning_rate_min_factor = 0.1', 'timestep_distribution = LOGIT_NORMAL (the job draws timesteps evenly)',
      'concepts image.enable_random_rotate = true', 'concepts type = PRIOR_PREDICTION ("pictures/prior")', 'resolution = 1024,1280 (the job has the first)',
      'mae_strength = 0.2', 'perturbation_noise_weight = 0.1', 'masked_training = true', 'an_option_from_the_future = 3', 'optimizer.growth_rate = 1.02',
    ]);
    expect(textsOf(notes)).toMatch(/lora_alpha is not given and counts as 1[^]*|counts 40 epochs/);
  });

  test("a preset, which leaves most out, counts with OneTrainer's defaults", async () => {
    const file = join(temporaryFolder(), 'preset.json');
    writeFileSync(file, JSON.stringify({ base_model_name: 'a/b', batch_size: 4, layer_filter_preset: 'attn-mlp', learning_rate: 0.0003, model_type: 'STABLE_DIFFUSION_15', resolution: '512', training_method: 'LORA', unet: { weight_dtype: 'FLOAT_16' }, text_encoder: { weight_dtype: 'FLOAT_16' } }));
    const { job, left } = await importSettings(file, fields);
    expect(job).toMatchObject({
      adapter: { kind: 'lora', rank: 16, alpha: 1, textEncoder: true, textEncoderLearningRate: 3e-4 }, data: { resolution: 512, buckets: { enabled: true } },
      optimizer: { kind: 'adamw', learningRate: 3e-4, weightDecay: 0.01 }, schedule: { kind: 'constant', warmup: 200 }, train: { clip: 1 }, output: { dtype: 'f32' },
    });
    expect(left).toEqual([]);
  });
});

describe('ai-toolkit', () => {
  test('a configuration in YAML', async () => {
    const { label, job, left, notes, isValid } = await read('ai-toolkit.yaml');
    expect([label, isValid]).toEqual(['ai-toolkit', true]);
    expect(job).toMatchObject({
      name: 'paper', base: { model: 'models/sdxl.safetensors' },
      data: { folders: [{ path: '/pictures/paper', repeats: 2 }], resolution: 768, caption: { prefix: 'in paper', dropout: 0.05 } },
      adapter: { kind: 'lora', rank: 32, alpha: 16, targets: 'linear+conv' },
      objective: { weighting: 'min-snr', minSnrGamma: 5 }, optimizer: { kind: 'prodigy', learningRate: 1, weightDecay: 0.01, eps: 1e-6 },
      schedule: { kind: 'constant', warmup: 1000 }, train: { steps: 2000, batch: 2, accumulate: 4, ema: 0.99, saveEvery: 250, keep: 4 },
      preview: { every: 250, prompts: ['paper of a tree'], negative: 'blurry', seed: 42, guidance: 6, steps: 25, width: 1024, height: 1024 }, output: { dtype: 'bf16' },
    });
    expect(left).toEqual([
      'datasets resolution = 512, 768 (the job has the largest)', 'datasets.mask_path = "/masks"', 'network.conv = 16 (one rank holds for all layers)', 'network.conv_alpha = 16 (one alpha holds for all layers)',
      'train.content_or_style = style (the job draws timesteps evenly)', 'train.an_option_from_the_future = [1,2]',
    ]);
    expect(textsOf(notes)).toMatch(/counts as 1 with prodigy/);
  });

  test("what is left out counts with ai-toolkit's defaults: rank 4, alpha 1", async () => {
    const file = join(temporaryFolder(), 'a.yml');
    writeFileSync(file, 'job: extension\nconfig:\n  name: x\n  process:\n    - network: {type: lora}\n      model: {name_or_path: black-forest-labs/FLUX.1-dev, is_flux: true}\n');
    const { job, left } = await importSettings(file, fields);
    expect(job).toMatchObject({ adapter: { rank: 4, alpha: 1, targets: 'transformers' }, optimizer: { kind: 'adamw', learningRate: 1e-6, eps: 1e-6, weightDecay: 0.01 }, train: { steps: 1000, saveEvery: 1000 } });
    expect(left).toEqual(['model is_flux (Adora does not train it so far)']);
  });
});

describe('adora import', () => {
  test.each(readdirSync(folder).filter((name) => !/concepts/.test(name)))('%s becomes a job file that can be read again', async (name) => {
    const to = join(temporaryFolder(), 'job.toml');
    const { text, data } = await importCommand({ file: join(folder, name), to }, fields);
    expect(text).toContain('a job from settings of');
    const { job } = await readJobFile(to, fields);
    expect(job.adapter).toMatchObject((data as { job: { adapter: object } }).job.adapter);
    const { left } = data as { left: string[] };
    for (const line of left) expect(readFileSync(to, 'utf8')).toContain(`#   ${line}`);
  });
  test('a job file that is there is replaced when that is asked for, and only then', async () => {
    const to = join(temporaryFolder(), 'job.toml');
    writeFileSync(to, 'mine');
    const file = join(folder, 'ai-toolkit.yaml');
    await refusalOf('files.is-there', () => importCommand({ file, to }, fields));
    expect(readFileSync(to, 'utf8')).toBe('mine');
    await importCommand({ file, to, force: true }, fields);
    expect(readFileSync(to, 'utf8')).toContain('paper');
  });
  test('a file that is missing, a folder, and the place of a mistake are said in words', async () => {
    const place = temporaryFolder();
    expect((await refusalOf('files.not-found', () => importSettings(join(place, 'gone.toml'), fields))).message).toContain('does not exist');
    await refusalOf('files.not-found', () => importSettings(join(place, 'gone'), fields));
    expect((await refusalOf('files.is-a-folder', () => importSettings(place, fields))).message).toContain('is a folder');
    const wrong = async (name: string, text: string) => {
      writeFileSync(join(place, name), text);
      return (await refusalOf('import.syntax', () => importSettings(join(place, name), fields))).message;
    };
    expect(await wrong('a.yaml', 'a: [1\nb: 2\n')).toMatch(/line 2, column 1\. Save/);
    expect(await wrong('a.toml', 'a = 1\nb = [1\nc = 2\n')).toMatch(/\(line 3\)\. Save/);
  });
  test.each(['adamw8bit', 'adamw8', 'adam8bit'])('%s of ai-toolkit becomes AdamW with a note', async (optimizer) => {
    const file = join(temporaryFolder(), 'a.yaml');
    writeFileSync(file, `config:\n  name: x\n  process:\n    - network: {type: lora, linear: 4, linear_alpha: 4}\n      train: {optimizer: ${optimizer}, lr: 1e-4}\n`);
    const { job, notes } = await importSettings(file, fields);
    expect(job['optimizer']).toMatchObject({ kind: 'adamw', learningRate: 1e-4 });
    expect(textsOf(notes)).toContain(`${optimizer} becomes adamw with states in full precision`);
  });
  test('prints the job where no file is named', async () => {
    const { text, data } = await importCommand({ file: join(folder, 'ai-toolkit.yaml') }, fields);
    expect(text).toMatch(/^# Imported from settings of ai-toolkit\.[^]*\nrank = 32/);
    expect(data).toMatchObject({ out: null, from: 'ai-toolkit', isValid: true });
  });
  test.each([
    ['a.yaml', 'a: [1', /not valid YAML/], ['a.yaml', '- 1\n- 2', /no settings of/], ['a.json', '{"x": 1}', /no settings of/], ['a.toml', 'x = ', /not valid TOML/], ['a.txt', '', /must end in/],
    ['a.yaml', `a: &a [x]\n${'bcdefghij'.split('').map((name, i) => `${name}: &${name} [${Array(10).fill(`*${'abcdefghij'[i]}`).join(', ')}]`).join('\n')}`, /no settings of|not valid YAML/],
  ])('refuses %s with %j', async (name, text, message) => {
    const file = join(temporaryFolder(), name);
    writeFileSync(file, text);
    await expect(importSettings(file, fields)).rejects.toThrow(message);
  });
});

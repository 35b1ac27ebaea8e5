import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { UserError } from '../../src-main/base/errors.ts';
import { sizeOf } from '../../src-main/base/shape.ts';
import type { Component, Model, ModelFiles } from '../../src-main/catalog/define/family.ts';
import { detectModel, families } from '../../src-main/catalog/families/index.ts';
import { createBuilder, type Builder } from '../../src-main/graph/builder.ts';
import { verify } from '../../src-main/graph/verify.ts';
import { buildCondition } from '../../src-main/train/condition.ts';
import { readConfig, readGolden } from '../nn/golden.ts';
import { filesOf, stableDiffusion15, stableDiffusion21, stableDiffusionXl } from './families-configs.ts';

const GOLDEN_FILES: Readonly<Record<string, string>> = { text_encoder: 'model.safetensors' };

/** A component with weights, from the golden folder `<topic>/<case>/<component>`. */
function golden(topic: string, name: string, component: string): Component {
  const weights = readGolden(topic, name, component, GOLDEN_FILES[component] ?? 'diffusion_pytorch_model.safetensors');
  return {
    config: readConfig(topic, name, component, 'config.json'),
    tensors: new Map(weights.names.map((key) => [key, { dtype: 'f32', shape: weights.shape(key) }])),
  };
}

function errorOf(work: () => unknown): UserError {
  try {
    work();
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const parameters = (build: (g: Builder) => void): number => {
  const g = createBuilder();
  build(g);
  return [...g.leaves.values()].reduce((total, { leaf, shape }) => total + (leaf!.kind === 'weight' ? sizeOf(shape) : 0), 0);
};

function denoiseOnce(model: Model, g: Builder, height = 8, width = 8) {
  const types = model.condition(77);
  return model.denoise(g, {
    sample: g.input('sample', [1, 4, height, width], g.compute),
    timestep: g.input('timestep', [1]),
    context: g.input('context', [1, ...types.context]),
    ...(types.pooled ? { pooled: g.input('pooled', [1, ...types.pooled]), timeIds: g.input('timeIds', [1, ...types.timeIds!]) } : {}),
  });
}

describe('published models', () => {
  const cases = [
    { name: '1.5', configs: stableDiffusion15, label: 'Stable Diffusion 1.x, 860 M parameters', unet: 859_520_964, context: [77, 768] },
    { name: '2.1', configs: stableDiffusion21, label: 'Stable Diffusion 2.x, 866 M parameters', unet: 865_910_724, context: [77, 1024] },
    { name: 'XL', configs: stableDiffusionXl, label: 'Stable Diffusion XL, 2567 M parameters', unet: 2_567_463_684, context: [77, 2048] },
  ];

  it.each(cases)('$name: size and label', ({ configs, label, unet, context }) => {
    const model = detectModel(filesOf(configs));
    expect(model.label).toBe(label);
    expect(parameters((g) => denoiseOnce(model, g))).toBe(unet);
    expect(model.condition(77).context).toEqual(context);
    expect(model.pixelStep).toBe(8);
  });

  it('1.5: latent, noise, text', () => {
    const model = detectModel(filesOf(stableDiffusion15));
    expect(model.latent).toEqual({ channels: 4, factor: 8, scale: 0.18215, shift: 0 });
    expect(model.noise).toEqual({
      steps: 1000, betaStart: 0.00085, betaEnd: 0.012, betaSchedule: 'scaled_linear', zeroTerminalSnr: false, prediction: 'epsilon',
    });
    const [encoder] = model.textEncoders;
    expect(encoder).toMatchObject({ component: 'text_encoder', tokenizer: 'tokenizer', length: 77 });
    const count = parameters((g) => encoder!.build(g, g.input('ids', [1, 77], 'i64'), g.input('end', [1], 'i64')));
    expect(count).toBe(123_060_480);
    expect(parameters((g) => model.encode(g, g.input('x', [1, 3, 64, 64])))).toBe(34_163_664);
    expect(parameters((g) => model.decode(g, g.input('z', [1, 4, 8, 8])))).toBe(49_490_199);
  });

  it('2.1: v-prediction and zero terminal SNR', () => {
    expect(detectModel(filesOf(stableDiffusion21)).noise).toMatchObject({ prediction: 'v_prediction', zeroTerminalSnr: true });
  });

  it('XL: two encoders side by side, pooled text from the second', () => {
    const model = detectModel(filesOf(stableDiffusionXl));
    expect(model.condition(77)).toEqual({ context: [77, 2048], pooled: [1280], timeIds: [6] });
    expect(model.textEncoders.map(({ tokenizer }) => tokenizer)).toEqual(['tokenizer', 'tokenizer_2']);
    const g = createBuilder();
    const { context, pooled } = buildCondition(g, model, 2);
    expect([context.shape, pooled?.shape]).toEqual([[2, 77, 2048], [2, 1280]]);
    const needed = verify(g.graph({ context })).nodes.flatMap(({ leaf }) => leaf?.name ?? []);
    const lastLayers = ['text_encoder.text_model.encoder.layers.11.', 'text_encoder_2.text_model.encoder.layers.31.'];
    expect(needed.filter((name) => lastLayers.some((layer) => name.startsWith(layer)))).toEqual([]);
    expect(needed).toContain('text_encoder.text_model.encoder.layers.10.mlp.fc2.bias');
    expect(needed).toContain('text_encoder_2.text_model.encoder.layers.30.mlp.fc2.bias');
  });

  it.each([
    ['1.5', stableDiffusion15, undefined, ['text_encoder.text_model.encoder.layers.11.'], []],
    ['1.5', stableDiffusion15, 1, ['text_encoder.text_model.encoder.layers.11.'], []],
    ['1.5', stableDiffusion15, 2, ['text_encoder.text_model.encoder.layers.10.', 'text_encoder.text_model.final_layer_norm.'], ['text_encoder.text_model.encoder.layers.11.']],
    ['2.1', stableDiffusion21, 2, ['text_encoder.text_model.encoder.layers.22.'], []],
    ['2.1', stableDiffusion21, 3, ['text_encoder.text_model.encoder.layers.21.', 'text_encoder.text_model.final_layer_norm.'], ['text_encoder.text_model.encoder.layers.22.']],
    ['XL', stableDiffusionXl, 2, ['text_encoder.text_model.encoder.layers.10.', 'text_encoder_2.text_model.encoder.layers.30.'], ['text_encoder.text_model.encoder.layers.11.', 'text_encoder_2.text_model.encoder.layers.31.', 'final_layer_norm']],
    ['XL', stableDiffusionXl, 1, ['text_encoder.text_model.encoder.layers.11.', 'text_encoder_2.text_model.encoder.layers.31.'], ['final_layer_norm']],
    ['XL', stableDiffusionXl, 3, ['text_encoder_2.text_model.encoder.layers.29.'], ['text_encoder_2.text_model.encoder.layers.30.']],
  ] as const)('%s: clip skip %s%s', (...[, configs, clipSkip, used, unused]) => {
    const model = detectModel(filesOf(configs), clipSkip === undefined ? {} : { clipSkip });
    const g = createBuilder();
    const { context } = buildCondition(g, model, 1);
    const needed = verify(g.graph({ context: g.mul(context, 1) })).nodes.flatMap(({ leaf }) => leaf?.name ?? []);
    for (const name of used) expect(needed.some((path) => path.includes(name)), name).toBe(true);
    for (const name of unused) expect(needed.filter((path) => path.includes(name))).toEqual([]);
  });

  it('a clip skip beyond the layers is refused', () => {
    for (const [configs, clipSkip] of [[stableDiffusion15, 13], [stableDiffusion21, 1], [stableDiffusion21, 25]] as const) {
      const error = errorOf(() => detectModel(filesOf(configs), { clipSkip }).textEncoders);
      expect([error.code, error.message.includes('base.clipSkip')]).toEqual(['model.clip-skip', true]);
    }
  });

  it('graphs in f16 keep norms and softmax of text in f32', () => {
    const g = createBuilder({ compute: 'f16', storedDType: () => 'f16' });
    const model = detectModel(filesOf(stableDiffusion21));
    const noise = denoiseOnce(model, g);
    const states = model.textEncoders[0]!.build(g, g.input('ids', [1, 77], 'i64'), g.input('end', [1], 'i64'));
    const { nodes } = verify(g.graph({ noise, context: states.context }));
    const types = (op: string): unknown[] => [...new Set(nodes.filter((node) => node.op === op).map(({ dtype }) => dtype))];
    expect([noise.dtype, types('groupNorm'), types('layerNorm'), types('softmax'), types('attention')]).toEqual([
      'f16', ['f32'], ['f32'], ['f32'], ['f32'],
    ]);
    expect([types('conv2d'), types('linear'), types('silu')]).toEqual([['f16'], ['f16'], ['f16']]);
  });

  it('latents of odd extents come back with the same extents', () => {
    const g = createBuilder();
    expect(denoiseOnce(detectModel(filesOf(stableDiffusion15)), g, 9, 15).shape).toEqual([1, 4, 9, 15]);
  });
});

describe('targets', () => {
  const model = detectModel(filesOf(stableDiffusionXl));
  const layers = (name: string): string[] => {
    const found: string[] = [];
    const g = createBuilder({
      transform: (_, layer) => {
        if (model.targets[name]!.includes(layer.path, layer.kind)) found.push(layer.path);
        return null;
      },
    });
    denoiseOnce(model, g);
    return found;
  };

  it('have the known number of layers', () => {
    // 70 transformer blocks of 8 attention and 2 feed-forward layers; 11 transformers with linear projections in and
    // out; 17 resnet blocks with a time projection; 2 + 2 layers of the embeddings.
    expect(layers('attention')).toHaveLength(560);
    expect(layers('attention+feed-forward')).toHaveLength(700);
    expect(layers('transformers')).toHaveLength(700 + 22);
    expect(layers('linear')).toHaveLength(700 + 22 + 17 + 4);
    // 34 convolutions of the resnet blocks, 11 shortcuts, 2 + 2 resamplers, in and out.
    expect(layers('linear+conv')).toHaveLength(743 + 34 + 11 + 4 + 2);
  });

  it('are nested', () => {
    const sets = ['attention', 'attention+feed-forward', 'transformers', 'linear', 'linear+conv'].map((name) => new Set(layers(name)));
    sets.slice(1).forEach((set, i) => expect([...sets[i]!].filter((path) => !set.has(path))).toEqual([]));
  });
});

describe('incomplete and broken models', () => {
  it('a UNet alone is enough for the denoiser', () => {
    const part = golden('unet', 'sd1', 'unet');
    const model = detectModel(new Map([['unet', part]]));
    const count = [...part.tensors.values()].reduce((total, { shape }) => total + sizeOf(shape), 0);
    expect(model.label).toBe(`Custom UNet, ${Math.round(count / 1e3)} k parameters`);
    expect(errorOf(() => model.latent).data).toEqual({ folder: 'vae' });
    expect(errorOf(() => model.noise).message).toContain('"scheduler"');
    expect(errorOf(() => model.textEncoders).message).toContain('"text_encoder"');
  });

  it('other parts alone are enough for themselves', () => {
    const model = detectModel(new Map([['vae', golden('vae', 'sd', 'vae')], ['text_encoder', golden('clip', 'sd2_gelu', 'text_encoder')]]));
    expect(model.latent).toEqual({ channels: 4, factor: 4, scale: 0.18215, shift: 0 });
    expect(model.textEncoders[0]!.length).toBe(9);
    expect(errorOf(() => model.condition(77)).data).toEqual({ folder: 'unet' });
  });

  it('missing, misshapen and unknown weights are named', () => {
    const { config, tensors } = golden('unet', 'sd1', 'unet');
    const changed = new Map(tensors);
    changed.delete('conv_in.bias');
    changed.set('conv_out.bias', { dtype: 'f32', shape: [5] });
    changed.set('surplus.weight', { dtype: 'f32', shape: [2, 3] });
    changed.set('x.position_ids', { dtype: 'i64', shape: [1, 77] });
    const error = errorOf(() => detectModel(new Map([['unet', { config, tensors: changed }]])));
    expect(error.code).toBe('model.parameters');
    expect(error.data).toEqual({
      part: 'unet', missing: ['conv_in.bias [8]'], wrong: ['conv_out.bias is [5] instead of [4]'], unknown: ['surplus.weight [2,3]'],
    });
    expect(error.message).toContain('surplus.weight [2,3]');
  });

  it('autoencoders with the attention names of the first versions load', () => {
    const { config, tensors } = golden('vae', 'sd', 'vae');
    const old: Readonly<Record<string, string>> = { to_q: 'query', to_k: 'key', to_v: 'value', 'to_out.0': 'proj_attn' };
    const renamed = new Map([...tensors].map(([key, type]) => [key.replace(/to_([qkv]|out\.0)/, (name) => old[name]!), type]));
    expect(renamed.has('encoder.mid_block.attentions.0.query.bias')).toBe(true);
    const model = detectModel(new Map([['vae', { config, tensors: renamed }]]));
    expect(parameters((g) => model.decode(g, g.input('z', [1, 4, 2, 2])))).toBeGreaterThan(0);
  });

  it.each([
    ['unet', { act_fn: 'mish' }, 'act_fn', 'mish'],
    ['unet', { down_block_types: ['SimpleCrossAttnDownBlock2D'] }, 'down_block_types', 'SimpleCrossAttn'],
    ['unet', { class_embed_type: 'projection' }, 'class_embed_type', 'projection'],
    ['unet', { attention_head_dim: 7 }, 'attention_head_dim', '7'],
    ['unet', { norm_num_groups: null }, 'norm_num_groups', 'null'],
    ['unet', { time_cond_proj_dim: 256 }, 'time_cond_proj_dim', '256'],
    ['unet', { transformer_layers_per_block: [[1, 1], [1, 1], [1, 2], [1, 1]] }, 'transformer_layers_per_block', '[[1,1]'],
    ['vae', { _class_name: 'AutoencoderTiny' }, '_class_name', 'AutoencoderTiny'],
    ['vae', { latents_mean: [0, 0, 0, 0] }, 'latents_mean', '[0,0,0,0]'],
    ['text_encoder', { hidden_act: 'relu' }, 'hidden_act', 'relu'],
    ['text_encoder', { architectures: ['T5EncoderModel'] }, 'architectures', 'T5EncoderModel'],
    ['scheduler', { _class_name: 'FlowMatchEulerDiscreteScheduler' }, '_class_name', 'FlowMatch'],
    ['scheduler', { prediction_type: 'sample' }, 'prediction_type', 'sample'],
    ['scheduler', { beta_schedule: 'sigmoid' }, 'beta_schedule', 'sigmoid'],
  ])('%s: an unknown value is named: %j', (part, change, key, value) => {
    const configs = { ...stableDiffusion15, [part]: { ...stableDiffusion15[part], ...change } };
    const error = errorOf(() => detectModel(filesOf(configs)).noise);
    expect(error.code).toBe('model.config');
    expect(error.message).toContain(`${part}/config.json: "${key}" is`);
    expect(error.message).toContain(value);
  });

  it.each([
    ['unet', { in_channels: 9 }, 'inpainting'],
    ['vae', { latent_channels: 16 }, '16 channels'],
    ['text_encoder', { hidden_size: 1020 }, '1020'],
  ])('%s: parts that do not fit each other are refused: %j', (part, change, text) => {
    const configs = { ...stableDiffusion15, [part]: { ...stableDiffusion15[part], ...change } };
    const error = errorOf(() => detectModel(filesOf(configs)));
    expect([error.code, error.message.includes(text)]).toEqual(['model.parts-do-not-fit', true]);
  });

  it('a refiner is refused', () => {
    const { text_encoder: _, ...rest } = stableDiffusionXl;
    const unet = { ...stableDiffusionXl['unet'], cross_attention_dim: 1280, projection_class_embeddings_input_dim: 2560 };
    expect(errorOf(() => detectModel(filesOf({ ...rest, unet }))).message).toContain('refiners');
  });

  it('other models are unknown', () => {
    const flux = { transformer: { _class_name: 'FluxTransformer2DModel' }, vae: stableDiffusion15['vae']!, text_encoder: stableDiffusion15['text_encoder']! };
    for (const files of [filesOf(flux), filesOf({ unet: { _class_name: 'UNet3DConditionModel' } }), new Map() as ModelFiles]) {
      expect(errorOf(() => detectModel(files)).code).toBe('model.unknown');
    }
    expect(errorOf(() => detectModel(filesOf(flux))).message).toContain('transformer (FluxTransformer2DModel)');
  });
});

describe('the list', () => {
  it('has every file of the folder', () => {
    const folder = fileURLToPath(new URL('../../src-main/catalog/families', import.meta.url));
    const files = readdirSync(folder).filter((name) => name !== 'index.ts').map((name) => name.replace('.ts', ''));
    expect(Object.keys(families).sort()).toEqual(files.sort());
  });
});

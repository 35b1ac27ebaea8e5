import { describe, expect, it } from 'vitest';
import { rng } from '../../src-main/base/rng.ts';
import { initialValues } from '../../src-main/nn/init.ts';

const valuesOf = (path: string, shape: readonly number[], weightShape?: readonly number[]): Float32Array =>
  initialValues(path, shape, rng(3, 'init', path), weightShape);
const spread = (values: Float32Array): number => Math.sqrt(values.reduce((total, v) => total + v * v, 0) / values.length);
const largest = (values: Float32Array): number => values.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
const isAll = (values: Float32Array, wanted: number): boolean => values.every((v) => v === wanted);

describe('start values', () => {
  it.each([
    'unet.down_blocks.0.resnets.0.norm1', 'unet.conv_norm_out', 'unet.mid_block.attentions.0.norm',
    'unet.up_blocks.1.attentions.0.transformer_blocks.0.norm3', 'vae.encoder.mid_block.attentions.0.group_norm',
    'text_encoder.text_model.final_layer_norm', 'text_encoder.text_model.encoder.layers.0.layer_norm1',
  ])('norm %s is the identity', (path) => {
    expect(isAll(valuesOf(`${path}.weight`, [64]), 1)).toBe(true);
    expect(isAll(valuesOf(`${path}.bias`, [64]), 0)).toBe(true);
  });

  it.each(['unet.conv_out', 'unet.mid_block.attentions.0.proj_out', 'unet.mid_block.resnets.1.conv2'])('%s is zero', (path) => {
    expect(isAll(valuesOf(`${path}.weight`, [8, 4, 3, 3]), 0)).toBe(true);
  });

  it.each([
    ['unet.mid_block.resnets.1.conv1', [32, 16, 3, 3], 1 / 12],
    ['unet.conv_in', [64, 4, 3, 3], 1 / 6],
    ['vae.decoder.conv_out', [3, 64, 3, 3], 1 / 24],
    ['vae.encoder.mid_block.resnets.0.conv2', [32, 16, 3, 3], 1 / 12],
    ['unet.time_embedding.linear_1', [64, 100], 1 / 10],
    ['unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_out.0', [25, 25], 1 / 5],
  ])('%s is uniform as in PyTorch', (path, shape, bound) => {
    const weight = valuesOf(`${path}.weight`, shape);
    expect(largest(weight)).toBeLessThanOrEqual(Math.fround(bound));
    expect(spread(weight) / (bound / Math.sqrt(3))).toBeCloseTo(1, 1);
    const bias = valuesOf(`${path}.bias`, [shape[0]!], shape);
    expect(largest(bias)).toBeLessThanOrEqual(Math.fround(bound));
    expect(largest(bias)).toBeGreaterThan(0);
  });

  it('text encoders are normal with deviation 0.02', () => {
    for (const name of ['text_model.embeddings.token_embedding', 'text_model.encoder.layers.0.mlp.fc1', 'text_projection']) {
      expect(spread(valuesOf(`text_encoder.${name}.weight`, [80, 50])) / 0.02).toBeCloseTo(1, 1);
    }
    expect(isAll(valuesOf('text_encoder.text_model.encoder.layers.0.mlp.fc1.bias', [80], [80, 50]), 0)).toBe(true);
  });

  it('refuses a parameter that it has no rule for', () => {
    expect(() => valuesOf('unet.scale.weight', [4])).toThrow('unet.scale.weight');
  });
});

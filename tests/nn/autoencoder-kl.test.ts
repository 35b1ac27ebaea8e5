import { describe, expect, it } from 'vitest';
import { createBuilder, type Builder } from '../../src-main/graph/builder.ts';
import type { Value } from '../../src-main/graph/types.ts';
import { decodeLatents, encodeMoments, parseAutoencoderConfig } from '../../src-main/nn/autoencoder-kl.ts';
import { checkParameters } from '../../src-main/nn/check-parameters.ts';
import { expectClose, expectGradient, gradientOutputs, readConfig, readGolden, run, type GoldenTensors } from './golden.ts';

const load = (name: string) => ({
  config: parseAutoencoderConfig(readConfig('vae', name, 'vae', 'config.json')),
  weights: readGolden('vae', name, 'vae', 'diffusion_pytorch_model.safetensors'),
  io: readGolden('vae', name, 'io.safetensors'),
});

const ALL = { axes: [0, 1, 2, 3], keep: false };

/** Reconstruction error + 1e-3 · KL divergence, as the golden script writes it. */
function objective(g: Builder, config: ReturnType<typeof load>['config'], io: GoldenTensors): Record<string, Value> {
  const input = (name: string): Value => g.input(name, io.shape(name));
  const moments = encodeMoments(g, config, input('image'));
  const [batch, channels, height, width] = io.shape('z') as [number, number, number, number];
  const sizes = [batch, channels, height, width];
  const mean = g.slice(moments, { starts: [0, 0, 0, 0], sizes });
  const logVariance = g.slice(moments, { starts: [0, channels, 0, 0], sizes });
  const z = g.add(mean, g.mul(g.exp(g.mul(logVariance, 0.5)), input('noise')));
  const difference = g.sub(decodeLatents(g, config, z), input('target'));
  const mse = g.mean(g.mul(difference, difference), ALL);
  const terms = g.sub(g.sub(g.add(g.mul(mean, mean), g.exp(logVariance)), 1), logVariance);
  const kl = g.mul(g.reduceSum(terms, ALL), 0.5 / batch);
  return { moments, mse, kl, loss: g.add(mse, g.mul(kl, 1e-3)) };
}

const feedsOf = (io: GoldenTensors) =>
  Object.fromEntries(['image', 'noise', 'target', 'latent'].map((name) => [name, io.data(name)]));

describe.each(['sd', 'two_levels'])('autoencoder %s', (name) => {
  const { config, weights, io } = load(name);

  it('encodes and decodes as diffusers does', () => {
    const g = createBuilder();
    const decoded = decodeLatents(g, config, g.input('latent', io.shape('latent')));
    const outputs: Record<string, Value> = { decoded, ...objective(g, config, io) };
    const results = run(g, outputs, 'vae', weights, feedsOf(io));
    for (const output of Object.keys(outputs)) expectClose(results.get(output), io.data(output), output);
  });

  it('has exactly the parameters of the file', () => {
    const g = createBuilder();
    objective(g, config, io);
    checkParameters('vae', g.leaves, new Map(weights.names.map((key) => [key, { dtype: 'f32', shape: weights.shape(key) }])));
  });

  it('has the gradients of PyTorch', () => {
    const full = readGolden('vae', name, 'full.io.safetensors');
    const g = createBuilder({ trains: () => true });
    const outputs = gradientOutputs(g, objective(g, config, io)['loss']!, 'vae');
    const results = run(g, outputs, 'vae', weights, feedsOf(io));
    expect([...results.keys()].sort()).toEqual(full.names.filter((key) => key.startsWith('grad.')).sort());
    for (const [key, gradient] of results) expectGradient(gradient, full.data(key), key);
  });
});

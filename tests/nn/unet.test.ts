import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { createBuilder, type Builder } from '../../src-main/graph/builder.ts';
import { evaluate } from '../../src-main/graph/evaluate.ts';
import type { Value } from '../../src-main/graph/types.ts';
import { checkParameters } from '../../src-main/nn/check-parameters.ts';
import { parseUNetConfig } from '../../src-main/nn/unet-config.ts';
import { unet, type UNetInputs } from '../../src-main/nn/unet.ts';
import { expectClose, expectGradient, gradientOutputs, readConfig, readGolden, run, type GoldenTensors } from './golden.ts';

const FEEDS = ['sample', 'timestep', 'encoder_hidden_states', 'text_embeds', 'time_ids', 'target'];

const load = (name: string) => ({
  config: parseUNetConfig(readConfig('unet', name, 'unet', 'config.json')),
  weights: readGolden('unet', name, 'unet', 'diffusion_pytorch_model.safetensors'),
  io: readGolden('unet', name, 'io.safetensors'),
});

function inputsOf(g: Builder, io: GoldenTensors): UNetInputs {
  const input = (name: string): Value => g.input(name, io.shape(name));
  return {
    sample: input('sample'),
    timestep: input('timestep'),
    context: input('encoder_hidden_states'),
    ...(io.has('text_embeds') ? { pooled: input('text_embeds'), timeIds: input('time_ids') } : {}),
  };
}

const feedsOf = (io: GoldenTensors) =>
  Object.fromEntries(FEEDS.filter((name) => io.has(name)).map((name) => [name, io.data(name)]));

function meanSquare(g: Builder, prediction: Value, io: GoldenTensors): Value {
  const difference = g.sub(prediction, g.input('target', io.shape('target')));
  return g.mean(g.mul(difference, difference), { axes: [0, 1, 2, 3], keep: false });
}

describe.each(['sd1', 'sd1_conv', 'sd2', 'sdxl', 'scale_shift'])('UNet %s', (name) => {
  const { config, weights, io } = load(name);

  it('predicts what diffusers predicts', () => {
    const g = createBuilder();
    const prediction = unet(g, config, inputsOf(g, io));
    const results = run(g, { prediction, loss: meanSquare(g, prediction, io) }, 'unet', weights, feedsOf(io));
    expectClose(results.get('prediction'), io.data('prediction'), 'prediction');
    expectClose(results.get('loss'), io.data('loss'), 'loss');
  });

  it('has exactly the parameters of the file', () => {
    const g = createBuilder();
    unet(g, config, inputsOf(g, io));
    const tensors = new Map(weights.names.map((key) => [key, { dtype: 'f32' as const, shape: weights.shape(key) }]));
    checkParameters('unet', g.leaves, tensors);
    const names = [...g.leaves.values()].filter((leaf) => leaf.leaf!.kind === 'weight').map((leaf) => leaf.leaf!.name);
    expect(names.sort()).toEqual(weights.names.map((key) => `unet.${key}`).sort());
  });
});

describe('gradients of the UNet', () => {
  it('equal PyTorch for every weight', () => {
    const { config, weights, io } = load('sd1');
    const full = readGolden('unet', 'sd1', 'full.io.safetensors');
    const g = createBuilder({ trains: () => true });
    const loss = meanSquare(g, unet(g, config, inputsOf(g, io)), io);
    const outputs = gradientOutputs(g, loss, 'unet');
    const results = run(g, outputs, 'unet', weights, feedsOf(io));
    expect([...results.keys()].sort()).toEqual(full.names.filter((name) => name.startsWith('grad.')).sort());
    for (const [name, gradient] of results) expectGradient(gradient, full.data(name), name);
  });
});

describe('an unusual UNet on a latent of odd extents', () => {
  const file = openSafetensors(fileURLToPath(new URL('unusual-unet.safetensors', import.meta.url)));
  const config = parseUNetConfig(JSON.parse(file.metadata.get('config')!) as Record<string, unknown>);

  it('predicts what diffusers predicts', () => {
    const g = createBuilder();
    const input = (name: string): Value => g.input(name, file.tensors.get(name)!.shape);
    const prediction = unet(g, config, { sample: input('sample'), timestep: input('timestep'), context: input('context') });
    const stored = [...file.tensors.keys()].filter((key) => key.startsWith('unet.'));
    const built = [...g.leaves.values()].flatMap(({ leaf }) => (leaf!.kind === 'weight' ? [leaf!.name] : []));
    expect(built.sort()).toEqual(stored.sort());
    const feeds = new Map([...file.tensors.keys()].map((key) => [key, file.readF32(key)]));
    expectClose(evaluate(g.graph({ prediction }), feeds).get('prediction')!.data, file.readF32('prediction'), 'prediction');
  });
});

describe('the schedule', () => {
  it('never returns to a region', () => {
    const { config, io } = load('sdxl');
    const g = createBuilder();
    const { nodes } = g.graph({ y: unet(g, config, inputsOf(g, io)) });
    const regions = nodes.filter((node) => node.op !== 'leaf').map((node) => node.region);
    const runs = regions.filter((region, i) => region !== regions[i - 1]);
    expect(runs).toEqual([...new Set(runs)]);
    expect(runs[0]).toBe('unet.in');
    expect(runs.at(-1)).toBe('unet.out');
  });
});

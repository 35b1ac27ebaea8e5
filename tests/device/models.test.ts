// Autoencoder and text encoder on the WebGPU provider (software adapter): what the CPU gives, and for the text encoder the
// gradient of every weight too.
import { describe, expect, test } from 'vitest';
import { gradients } from '../../src-main/graph/autodiff.ts';
import { createBuilder } from '../../src-main/graph/builder.ts';
import type { Value } from '../../src-main/graph/types.ts';
import { decodeLatents, encodeMoments, parseAutoencoderConfig } from '../../src-main/nn/autoencoder-kl.ts';
import { clipText, parseClipTextConfig } from '../../src-main/nn/clip-text.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import { readConfig, readGolden, type GoldenTensors } from '../nn/golden.ts';
import { weighted } from '../ops/oracle.ts';
import { relativeError, runOn } from '../ops/run-graph.ts';
import { missingWebGpu, useSwiftShader } from './swiftshader.ts';

useSwiftShader();
const gpu = createOnnxRuntime({ device: 'webgpu' });
const cpu = createOnnxRuntime({ device: 'cpu', threads: 1 });

const weightsOf = (part: string, file: GoldenTensors): [string, Float64Array][] => file.names.map((name) => [`${part}.${name}`, file.data(name)]);

describe.skipIf(missingWebGpu !== null)(missingWebGpu ?? 'webgpu', { timeout: 300_000 }, () => {
  test('autoencoder', async () => {
    const io = readGolden('vae', 'two_levels', 'io.safetensors');
    const config = parseAutoencoderConfig(readConfig('vae', 'two_levels', 'vae', 'config.json'));
    const g = createBuilder();
    const moments = encodeMoments(g, config, g.input('image', io.shape('image')));
    const decoded = decodeLatents(g, config, g.input('latent', io.shape('latent')));
    const weights = weightsOf('vae', readGolden('vae', 'two_levels', 'vae', 'diffusion_pytorch_model.safetensors'));
    const results = await runOn(gpu, g.graph({ moments, decoded }), new Map([...weights, ['image', io.data('image')], ['latent', io.data('latent')]]));
    for (const key of ['moments', 'decoded']) expect(relativeError(results.get(key)!, io.data(key)), key).toBeLessThan(1e-4);
  });

  test('text encoder, trained as a whole', async () => {
    const io = readGolden('clip', 'sdxl_projection', 'io.safetensors');
    const config = parseClipTextConfig(readConfig('clip', 'sdxl_projection', 'text_encoder', 'config.json'));
    const g = createBuilder({ trains: () => true });
    const { last, projected } = clipText(g, config, g.input('ids', io.shape('input_ids'), 'i64'), g.input('end', [2], 'i64'));
    const loss = g.add(weighted(g, last), weighted(g, projected!));
    const trained = [...g.leaves.values()].filter(({ leaf }) => leaf!.kind === 'trainable');
    const found = gradients(g, loss, trained);
    const outputs: Record<string, Value> = { last_hidden_state: last, text_embeds: projected! };
    // A bias of the keys has no influence: its gradient is rounding alone.
    trained.forEach(({ leaf }, i) => void (leaf!.name.endsWith('k_proj.bias') || (outputs[leaf!.name] = found[i]!)));
    const graph = g.graph(Object.fromEntries(Object.entries(outputs).map(([name, value]) => [`out.${name}`, value.op === 'leaf' ? g.mul(value, 1) : value])));
    const feeds = new Map<string, ArrayLike<number>>([...weightsOf('text_encoder', readGolden('clip', 'sdxl_projection', 'text_encoder', 'model.safetensors')), ['ids', io.data('input_ids')], ['end', [4, 1]]]);
    const [actual, expected] = [await runOn(gpu, graph, feeds), await runOn(cpu, graph, feeds)];
    for (const key of ['last_hidden_state', 'text_embeds']) expect(relativeError(actual.get(`out.${key}`)!, io.data(key)), key).toBeLessThan(1e-4);
    expect(expected.size).toBeGreaterThan(20);
    for (const [name, data] of expected) expect(relativeError(actual.get(name)!, data), name).toBeLessThan(2e-4);
  });
});

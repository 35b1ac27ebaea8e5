// The same models through ONNX Runtime: what training runs on, in f32.
import { describe, expect, it } from 'vitest';
import { createBuilder, type Builder } from '../../src-main/graph/builder.ts';
import type { Value } from '../../src-main/graph/types.ts';
import { decodeLatents, encodeMoments, parseAutoencoderConfig } from '../../src-main/nn/autoencoder-kl.ts';
import { clipText, parseClipTextConfig } from '../../src-main/nn/clip-text.ts';
import { parseUNetConfig } from '../../src-main/nn/unet-config.ts';
import { unet } from '../../src-main/nn/unet.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import { f32, i64 } from '../../src-main/runtime/runtime.ts';
import { expectClose, readConfig, readGolden, type GoldenTensors } from './golden.ts';

const runtime = createOnnxRuntime({ device: 'cpu', threads: 1 });

async function compute(
  g: Builder, outputs: Record<string, Value>, part: string, weights: GoldenTensors, inputs: Record<string, ArrayLike<number>>,
): Promise<Map<string, Float32Array>> {
  const graph = g.graph(outputs);
  const program = await runtime.compile(graph, {
    name: part,
    weights: (path) => ({ kind: 'memory', data: Float32Array.from(weights.data(path.slice(part.length + 1))) }),
  });
  const feeds = graph.nodes.filter(({ leaf }) => leaf?.kind === 'input').map(({ leaf, dtype, shape }) => {
    const data = inputs[leaf!.name]!;
    return [leaf!.name, runtime.upload(dtype === 'i64' ? i64(data, shape) : f32(Float32Array.from(data), shape))] as const;
  });
  const results = await program.run(new Map(feeds));
  const read = new Map<string, Float32Array>();
  for (const [name, tensor] of results) {
    read.set(name, (await tensor.read()) as Float32Array);
    tensor.dispose();
  }
  await program.dispose();
  return read;
}

describe('through ONNX Runtime', () => {
  it.each(['sd1', 'sd2', 'sdxl', 'scale_shift'])('UNet %s', async (name) => {
    const io = readGolden('unet', name, 'io.safetensors');
    const g = createBuilder();
    const input = (key: string): Value => g.input(key, io.shape(key));
    const prediction = unet(g, parseUNetConfig(readConfig('unet', name, 'unet', 'config.json')), {
      sample: input('sample'), timestep: input('timestep'), context: input('encoder_hidden_states'),
      ...(io.has('text_embeds') ? { pooled: input('text_embeds'), timeIds: input('time_ids') } : {}),
    });
    const feeds = Object.fromEntries(io.names.map((key) => [key, io.data(key)]));
    const weights = readGolden('unet', name, 'unet', 'diffusion_pytorch_model.safetensors');
    const results = await compute(g, { prediction }, 'unet', weights, feeds);
    expectClose(results.get('prediction'), io.data('prediction'), 'prediction');
  });

  it.each(['sd', 'two_levels'])('autoencoder %s', async (name) => {
    const io = readGolden('vae', name, 'io.safetensors');
    const config = parseAutoencoderConfig(readConfig('vae', name, 'vae', 'config.json'));
    const g = createBuilder();
    const moments = encodeMoments(g, config, g.input('image', io.shape('image')));
    const decoded = decodeLatents(g, config, g.input('latent', io.shape('latent')));
    const weights = readGolden('vae', name, 'vae', 'diffusion_pytorch_model.safetensors');
    const feeds = { image: io.data('image'), latent: io.data('latent') };
    const results = await compute(g, { moments, decoded }, 'vae', weights, feeds);
    for (const key of ['moments', 'decoded']) expectClose(results.get(key), io.data(key), key);
  });

  it('CLIP text encoder', async () => {
    const io = readGolden('clip', 'sdxl_projection', 'io.safetensors');
    const config = parseClipTextConfig(readConfig('clip', 'sdxl_projection', 'text_encoder', 'config.json'));
    const g = createBuilder();
    const ids = g.input('ids', io.shape('input_ids'), 'i64');
    const { last, penultimate, projected } = clipText(g, config, ids, g.input('end', [2], 'i64'));
    expect(projected).not.toBeNull();
    const outputs = { last_hidden_state: last, penultimate, text_embeds: projected! };
    const weights = readGolden('clip', 'sdxl_projection', 'text_encoder', 'model.safetensors');
    const results = await compute(g, outputs, 'text_encoder', weights, { ids: io.data('input_ids'), end: [4, 1] });
    for (const key of Object.keys(outputs)) expectClose(results.get(key), io.data(key), key);
  });
});

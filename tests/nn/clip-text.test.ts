import { describe, expect, it } from 'vitest';
import { createBuilder, type Builder } from '../../src-main/graph/builder.ts';
import type { Value } from '../../src-main/graph/types.ts';
import { checkParameters } from '../../src-main/nn/check-parameters.ts';
import { clipText, parseClipTextConfig } from '../../src-main/nn/clip-text.ts';
import { expectClose, expectGradient, gradientOutputs, readConfig, readGolden, run, type GoldenTensors } from './golden.ts';

const load = (name: string) => ({
  raw: readConfig('clip', name, 'text_encoder', 'config.json'),
  config: parseClipTextConfig(readConfig('clip', name, 'text_encoder', 'config.json')),
  weights: readGolden('clip', name, 'text_encoder', 'model.safetensors'),
  io: readGolden('clip', name, 'io.safetensors'),
});

/** The first end token of each row: what a tokenizer tells the encoder. Old configurations (2) mean the highest id. */
function endsOf(io: GoldenTensors, eos: unknown): number[] {
  const [batch, tokens] = io.shape('input_ids') as [number, number];
  const ids = [...io.data('input_ids')];
  return Array.from({ length: batch }, (_, b) => {
    const row = ids.slice(b * tokens, (b + 1) * tokens);
    return row.indexOf(eos === 2 ? Math.max(...row) : (eos as number));
  });
}

function build(g: Builder, name: string): { outputs: Record<string, Value>; feeds: Record<string, ArrayLike<number>> } {
  const { raw, config, io } = load(name);
  const end = endsOf(io, raw['eos_token_id']);
  const states = clipText(g, config, g.input('ids', io.shape('input_ids'), 'i64'), g.input('end', [end.length], 'i64'));
  const outputs: Record<string, Value> = { last_hidden_state: states.last, penultimate: states.penultimate, pooled: states.pooled };
  if (states.projected) outputs['text_embeds'] = states.projected;
  return { outputs, feeds: { ids: io.data('input_ids'), end } };
}

describe.each(['sd1_quick_gelu', 'sd2_gelu', 'sdxl_projection', 'modern_eos'])('CLIP text encoder %s', (name) => {
  const { weights, io } = load(name);

  it('gives the states of transformers', () => {
    const g = createBuilder();
    const { outputs, feeds } = build(g, name);
    const results = run(g, outputs, 'text_encoder', weights, feeds);
    for (const output of Object.keys(outputs)) expectClose(results.get(output), io.data(output), output);
    expect(io.has('text_embeds')).toBe('text_embeds' in outputs);
  });

  it('gives the output of any layer counted from the end, with the final norm or without', () => {
    const { raw, config } = load(name);
    const g = createBuilder();
    const end = endsOf(io, raw['eos_token_id']);
    const states = clipText(g, config, g.input('ids', io.shape('input_ids'), 'i64'), g.input('end', [end.length], 'i64'));
    const layers = Array.from({ length: config.layers }, (_, i) => i + 1);
    const outputs = Object.fromEntries(layers.flatMap((fromEnd) => [true, false].map((isNormalised) => [`${fromEnd} ${isNormalised}`, g.mul(states.outputOf(fromEnd, isNormalised), 1)])));
    const results = run(g, outputs, 'text_encoder', weights, { ids: io.data('input_ids'), end });
    for (const fromEnd of layers) {
      const state = io.data(`hidden_states.${config.layers + 1 - fromEnd}`);
      expectClose(results.get(`${fromEnd} false`), state, `layer ${fromEnd}`);
      expectClose(results.get(`${fromEnd} true`), normalised(state, config.width, config.eps), `layer ${fromEnd}, normalised`);
    }

    function normalised(values: Float64Array, width: number, eps: number): Float64Array {
      const [scale, shift] = ['weight', 'bias'].map((part) => weights.data(`text_model.final_layer_norm.${part}`)) as [Float64Array, Float64Array];
      return values.map((value, i) => {
        const row = values.subarray(i - (i % width), i - (i % width) + width);
        const mean = row.reduce((a, b) => a + b) / width;
        const variance = row.reduce((a, b) => a + (b - mean) ** 2, 0) / width;
        return ((value - mean) / Math.sqrt(variance + eps)) * scale[i % width]! + shift[i % width]!;
      });
    }
  });

  it('has exactly the parameters of the file', () => {
    const g = createBuilder();
    build(g, name);
    checkParameters('text_encoder', g.leaves, new Map(weights.names.map((key) => [key, { dtype: 'f32', shape: weights.shape(key) }])));
  });

  it('has the gradients of PyTorch', () => {
    const full = readGolden('clip', name, 'full.io.safetensors');
    const g = createBuilder({ trains: () => true });
    const { outputs, feeds } = build(g, name);
    const weighted = (output: string, by: string): Value => {
      const value = outputs[output]!;
      const product = g.mul(value, g.input(by, value.shape));
      return g.mean(product, { axes: value.shape.map((_, axis) => axis), keep: false });
    };
    const head = weighted('text_embeds' in outputs ? 'text_embeds' : 'pooled', 'weight_pooled');
    const loss = g.add(g.add(weighted('last_hidden_state', 'weight_last'), weighted('penultimate', 'weight_penultimate')), head);
    const gradients = gradientOutputs(g, loss, 'text_encoder');
    const given = Object.fromEntries(['weight_last', 'weight_penultimate', 'weight_pooled'].map((by) => [by, full.data(by)]));
    const results = run(g, { ...gradients, loss }, 'text_encoder', weights, { ...feeds, ...given });
    expect([...results.keys()].sort()).toEqual(full.names.filter((key) => key.startsWith('grad.') || key === 'loss').sort());
    for (const [key, gradient] of results) expectGradient(gradient, full.data(key), key);
  });
});

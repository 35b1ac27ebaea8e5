// What the catalog says that programs compute, against their rules written down a second time: element by element with the
// broadcasting of tensors, as their sources have it.
import { describe, expect, test } from 'vitest';
import { rng } from '../../src-main/base/rng.ts';
import { sizeOf, type Shape } from '../../src-main/base/shape.ts';
import { consumers } from '../../src-main/catalog/consumers/index.ts';
import { formats } from '../../src-main/catalog/formats/index.ts';
import type { WrittenLayer } from '../../src-main/catalog/define/consumer.ts';
import type { NamedModel, Program } from '../../src-main/catalog/define/format.ts';
import { consumers as names } from '../../src-main/contract/job.ts';
import { jobAt } from '../train/run.ts';

/** A tensor as a function of its index, which broadcasts. */
interface Tensor { readonly shape: Shape; readonly values: readonly number[] }

const indicesOf = (shape: Shape): number[][] => Array.from({ length: sizeOf(shape) }, (_, at) => {
  const index: number[] = [];
  for (let axis = shape.length - 1, rest = at; axis >= 0; rest = Math.floor(rest / shape[axis]!), axis--) index.unshift(rest % shape[axis]!);
  return index;
});

function at({ shape, values }: Tensor, index: readonly number[]): number {
  const own = index.slice(index.length - shape.length);
  return values[shape.reduce((flat, extent, axis) => flat * extent + (extent === 1 ? 0 : own[axis]!), 0)]!;
}

/** Like NumPy: null where shapes do not go together. */
function combine(a: Tensor, b: Tensor, f: (x: number, y: number) => number): Tensor | null {
  const rank = Math.max(a.shape.length, b.shape.length);
  const [x, y] = [a, b].map(({ shape }) => [...new Array<number>(rank - shape.length).fill(1), ...shape]) as [number[], number[]];
  if (x.some((extent, axis) => extent !== y[axis] && extent !== 1 && y[axis] !== 1)) return null;
  const shape = x.map((extent, axis) => Math.max(extent, y[axis]!));
  return { shape, values: indicesOf(shape).map((index) => f(at(a, index), at(b, index))) };
}

/** √Σ² over every axis but one, which stays; the others become 1. */
function normAlong(tensor: Tensor, kept: number): Tensor {
  const shape = tensor.shape.map((extent, axis) => (axis === kept ? extent : 1));
  const squares = new Array<number>(tensor.shape[kept]!).fill(0);
  for (const index of indicesOf(tensor.shape)) squares[index[kept]!]! += at(tensor, index) ** 2;
  return { shape, values: squares.map(Math.sqrt) };
}

interface File { readonly base: Tensor; readonly up: readonly number[][]; readonly down: readonly number[][]; readonly alpha: number | null; readonly scale: Tensor | null }

function deltaOf({ base, up, down }: File, factor: number): Tensor {
  const width = base.values.length / base.shape[0]!;
  return { shape: base.shape, values: base.values.map((_, i) => factor * down.reduce((sum, row, k) => sum + up[Math.floor(i / width)]![k]! * row[i % width]!, 0)) };
}

const plus = (a: Tensor, b: Tensor): Tensor => combine(a, b, (x, y) => x + y)!;
const between = (a: Tensor, b: Tensor, strength: number): Tensor => combine(a, b, (x, y) => x + strength * (y - x))!;

/** comfy/weight_adapter/base.py, weight_decompose. */
function comfy(file: File, strength: number): Tensor | null {
  const { base, alpha, scale, down } = file;
  const calc = plus(base, deltaOf(file, alpha === null ? 1 : alpha / down.length));
  if (!scale) return between(base, calc, strength);
  const norm = scale.shape[0] === base.shape[0] ? normAlong(base, 0) : normAlong(calc, 1);
  const factors = combine(scale, { ...norm, values: norm.values.map((value) => value + 1.1920928955078125e-7) }, (m, n) => m / n);
  const weight = factors && combine(calc, factors, (w, f) => w * f);
  if (!weight || String(weight.shape) !== String(base.shape)) return null;
  return between(base, weight, strength);
}

/** extensions-builtin/Lora/network.py, apply_weight_decompose and finalize_updown. */
function webui(file: File, strength: number): Tensor | null {
  const { base, alpha, scale, down } = file;
  const merged = plus(base, deltaOf(file, alpha === null ? 1 : alpha / down.length));
  if (!scale) return between(base, merged, strength);
  const factors = combine(scale, normAlong(merged, 1), (m, n) => m / n);
  const weight = factors && combine(merged, factors, (w, f) => w * f);
  if (!weight || String(weight.shape) !== String(base.shape)) return null;
  return between(base, weight, strength);
}

/** peft/tuners/lora/dora.py: the strength is in the scaling of B·A. */
function peft(file: File, strength: number): Tensor | null {
  const merged = plus(file.base, deltaOf(file, strength));
  if (!file.scale) return merged;
  const magnitude = { shape: file.base.shape.map((extent, axis) => (axis === 0 ? extent : 1)), values: file.scale.values };
  return combine(merged, combine(magnitude, normAlong(merged, 0), (m, n) => m / n)!, (w, f) => w * f);
}

const rules: Readonly<Record<Program, (file: File, strength: number) => Tensor | null>> = { comfyui: comfy, forge: comfy, a1111: webui, invokeai: webui, diffusers: peft };
const programs = Object.keys(rules) as Program[];

test('the catalog has the programs that jobs can name', () => {
  expect(Object.keys(consumers).sort()).toEqual(names.filter((name) => name !== 'all').sort());
});

describe.each(programs)('%s', (program) => {
  const random = (name: string, length: number): number[] => Array.from(rng(9, name, length).fillNormal(new Float32Array(length)));
  const rank = 3;

  function files(shape: Shape, magnitude: Shape | null, alpha: number | null): { file: File; layer: WrittenLayer } {
    const [rows, channels, ...rest] = shape as [number, number, ...number[]];
    const kernel = sizeOf(rest);
    const width = channels * kernel;
    const [base, up, down] = [random('base', rows * width), random('up', rows * rank), random('down', rank * width)];
    const scale = magnitude && { shape: magnitude, values: random('m', sizeOf(magnitude)).map((value) => 1 + Math.abs(value)) };
    const file: File = {
      alpha, scale, base: { shape, values: base }, up: Array.from({ length: rows }, (_, i) => up.slice(i * rank, (i + 1) * rank)),
      down: Array.from({ length: rank }, (_, k) => down.slice(k * width, (k + 1) * width)),
    };
    return {
      file,
      layer: {
        shape, rows, channels, kernel, rank, alpha, base: Float64Array.from(base), product: Float64Array.from(deltaOf(file, 1).values),
        magnitude: scale && { shape: scale.shape, values: Float64Array.from(scale.values) },
      },
    };
  }

  const shapes: readonly Shape[] = [[6, 9], [8, 8], [9, 4], [5, 7, 3, 3], [6, 6, 3, 3], [6, 4, 1, 1]];
  const magnitudesOf = (shape: Shape): (Shape | null)[] => [null, ...[0, 1].map((kept) => shape.map((extent, axis) => (axis === kept ? extent : 1)))];

  test.each(shapes.flatMap((shape) => magnitudesOf(shape).flatMap((magnitude) => [1, 0.4, 0].map((strength) => ({ shape, magnitude, strength })))))(
    'weights $shape with magnitudes $magnitude at strength $strength', ({ shape, magnitude, strength }) => {
      // PEFT takes vectors of outputs only, and has no alpha.
      const isPeft = program === 'diffusers';
      if (isPeft && magnitude && sizeOf(magnitude) !== shape[0]) return;
      const { file, layer } = files(shape, magnitude, isPeft ? null : 2);
      const wanted = rules[program](file, strength);
      const found = consumers[program].weight(layer, strength);
      expect(found === null).toBe(wanted === null);
      if (found) found.forEach((value, i) => expect(Math.abs(value - wanted!.values[i]!)).toBeLessThan(1e-9));
    });

  test('magnitudes as plain vectors: an outer product where the weight is square, nothing else where it is not', () => {
    if (program === 'diffusers') return;
    for (const [shape, length] of [[[8, 8], 8], [[6, 9], 9], [[6, 9], 6], [[5, 7, 3, 3], 7]] as const) {
      const { file, layer } = files(shape, [length], 3);
      const [wanted, found] = [rules[program](file, 1), consumers[program].weight(layer, 1)];
      expect(found === null, `${shape} ${length}`).toBe(wanted === null);
      if (found) found.forEach((value, i) => expect(value).toBeCloseTo(wanted!.values[i]!, 9));
    }
  });

  test('layers are left as they were', () => {
    const { layer } = files([6, 9], null, null);
    const before = layer.base.slice();
    consumers[program].weight(layer, 0.5);
    expect(layer.base).toEqual(before);
  });
});

describe('names', () => {
  const block = 'unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k';
  const layers = (extra: Readonly<Record<string, Shape>> = {}): NamedModel['layers'] => new Map(Object.entries({
    ...Object.fromEntries(['0.resnets.0', '0.resnets.1', '1.resnets.0', '1.resnets.1'].map((name) => [`unet.down_blocks.${name}.conv1`, [8, 8, 3, 3]])), [block]: [640, 768], ...extra,
  }));
  const sd1: NamedModel = { denoiser: 'unet', textEncoders: ['text_encoder'], layers: layers() };
  const xl: NamedModel = { denoiser: 'unet', textEncoders: ['text_encoder', 'text_encoder_2'], layers: layers({ 'unet.add_embedding.linear_1': [8, 8], 'unet.up_blocks.0.attentions.0.proj_in': [8, 8] }) };
  const text = 'text_model.encoder.layers.0.mlp.fc1';

  test('each program finds what its layout writes, in models with one text encoder and with two', () => {
    for (const model of [sd1, xl]) {
      for (const [program, { modulesOf, naming }] of Object.entries(consumers)) {
        const format = Object.values(formats).find((one) => one.naming === naming)!;
        for (const path of [block, `text_encoder.${text}`, ...(model === xl ? [`text_encoder_2.${text}`] : [])]) {
          expect(modulesOf(path, model), `${program} ${path}`).toContain(format.modulesOf(path, model)[0]);
        }
      }
    }
  });

  test('queries, keys and values of PEFT files are not found by ComfyUI, other layers are', () => {
    expect(consumers.comfyui.modulesOf(block, sd1)).not.toContain(block);
    const other = 'unet.down_blocks.1.attentions.0.transformer_blocks.0.ff.net.2';
    expect(consumers.comfyui.modulesOf(other, sd1)).toContain(other);
  });

  test('the first upsampler of SDXL is known to A1111 by its original name alone', () => {
    const path = 'unet.up_blocks.0.upsamplers.0.conv';
    expect(consumers.a1111.modulesOf(path, xl)).toEqual(['lora_unet_output_blocks_2_2_conv']);
    expect(consumers.a1111.modulesOf(path, sd1)).toContain('lora_unet_up_blocks_0_upsamplers_0_conv');
  });

  describe('A1111 has queries, keys and values of OpenCLIP in one matrix', () => {
    const text = (component: string): string[] => ['q', 'k', 'v', 'out'].map((part) => `${component}.text_model.encoder.layers.0.self_attn.${part}_proj`);
    const modelOf = (names: readonly string[], textEncoders: readonly string[], linear: boolean): NamedModel => ({
      denoiser: 'unet', textEncoders, layers: new Map<string, Shape>([...names.map((name): [string, Shape] => [name, [4, 4]]), ['unet.down_blocks.0.attentions.0.proj_in', linear ? [4, 4] : [4, 4, 1, 1]]]),
    });
    const refusal = (model: NamedModel, paths: readonly string[]): string | null => consumers.a1111.refuses!(paths.map((path) => consumers.a1111.modulesOf(path, model)[0]!), model);
    const sdxl = modelOf(['unet.add_embedding.linear_1', ...text('text_encoder'), ...text('text_encoder_2')], ['text_encoder', 'text_encoder_2'], true);
    const sd2 = modelOf(text('text_encoder'), ['text_encoder'], true);
    const sd1 = modelOf(text('text_encoder'), ['text_encoder'], false);

    test('so that it changes all of them with the output, or none', () => {
      for (const [model, component] of [[sdxl, 'text_encoder_2'], [sd2, 'text_encoder']] as const) {
        expect(refusal(model, text(component))).toBeNull();
        expect(refusal(model, [`${component}.text_model.encoder.layers.0.mlp.fc1`])).toBeNull();
        expect(refusal(model, text(component).filter((_, i) => i === 0 || i === 2))).toMatch(/lacks k_proj, out_proj/);
        expect(refusal(model, text(component).slice(3))).toMatch(/lacks q_proj, k_proj, v_proj/);
      }
    });

    test('which CLIP-L has not', () => {
      for (const model of [sd1, sdxl]) expect(refusal(model, text('text_encoder').slice(0, 1))).toBeNull();
    });

    test('and differences of some of their parameters are not taken', () => {
      const reads = (model: NamedModel, layer: string, part: 'weight' | 'bias', isNorm = false): boolean => consumers.a1111.readsDifference!(layer, part, isNorm, model);
      const layer = 'text_encoder.text_model.encoder.layers.0';
      expect([reads(sd1, `${layer}.self_attn.q_proj`, 'bias'), reads(sd1, `${layer}.layer_norm1`, 'weight', true), reads(sd1, 'text_encoder.text_model.final_layer_norm', 'weight', true)]).toEqual([true, true, false]);
      expect([reads(sd2, `${layer}.self_attn.q_proj`, 'bias'), reads(sd2, `${layer}.self_attn.q_proj`, 'weight'), reads(sd2, `${layer}.self_attn.out_proj`, 'bias'), reads(sd2, `${layer}.layer_norm1`, 'weight', true)]).toEqual([false, true, true, false]);
      expect([reads(sdxl, 'text_encoder_2.text_projection', 'weight'), reads(sdxl, 'unet.conv_norm_out', 'weight', true), reads(sd1, 'unet.conv_norm_out', 'weight', true)]).toEqual([false, true, false]);
    });
  });

  test('ComfyUI finds differences of all of a denoiser, and of text encoders what adapters have', () => {
    const model: NamedModel = { denoiser: 'unet', textEncoders: ['text_encoder'], layers: new Map() };
    for (const program of ['comfyui', 'forge'] as const) {
      const reads = (layer: string, isNorm: boolean): boolean => consumers[program].readsDifference!(layer, 'weight', isNorm, model);
      expect([reads('unet.conv_norm_out', true), reads('text_encoder.text_model.encoder.layers.0.mlp.fc1', false), reads('text_encoder.text_model.encoder.layers.0.layer_norm1', true), reads('text_encoder.text_model.final_layer_norm', true)]).toEqual([true, true, false, false]);
    }
  });

  test('InvokeAI refuses mixed names, and files that do not tell their base', () => {
    const { refuses } = consumers.invokeai;
    const [original] = consumers.invokeai.modulesOf(block, xl);
    expect(refuses!([original!, 'lora_unet_conv_in'], xl)).toMatch(/mix/);
    expect(refuses!([original!], xl)).toBeNull();
    expect(refuses!(['lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q'], sd1)).toMatch(/cross-attention/);
  });
});

describe('the axis of a job', () => {
  const place = { folder: '', model: 'm', pictures: 'p', cache: '' };
  const axisFor = (target: string, axis?: string): unknown =>
    (jobAt(place, { adapter: { kind: 'dora', targets: 'attention', ...(axis ? { axis } : {}) }, output: { for: target as Program } }).adapter as Record<string, unknown>)['axis'];

  test('follows the program unless it is given', () => {
    for (const program of programs) expect(axisFor(program)).toBe(consumers[program].axis);
    expect(axisFor('all')).toBe('input');
    expect(axisFor('comfyui', 'output')).toBe('output');
    expect(axisFor('diffusers', 'auto')).toBe('output');
  });
});

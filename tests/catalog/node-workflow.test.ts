// Workflows against what ComfyUI declares of its nodes: classes, inputs with their types and choices, types of outputs.
import { expect, test } from 'vitest';
import type { BesideFacts, ModelFileNames, PictureRecipe } from '../../src-main/catalog/define/beside.ts';
import { nodeWorkflow } from '../../src-main/catalog/define/node-workflow.ts';
import { levelNames } from '../../src-main/catalog/define/sampler.ts';
import { timestepsOf } from '../../src-main/catalog/define/timesteps.ts';
import { samplers } from '../../src-main/catalog/samplers/index.ts';
import { infoText } from '../../src-main/train/picture.ts';

const SAMPLERS = ['euler', 'euler_ancestral', 'heun', 'dpm_2', 'dpm_2_ancestral', 'lms', 'dpmpp_2s_ancestral', 'dpmpp_sde', 'dpmpp_2m', 'dpmpp_2m_sde', 'dpmpp_3m_sde', 'ddpm', 'lcm', 'ddim', 'uni_pc'];
const SCHEDULERS = ['normal', 'karras', 'exponential', 'sgm_uniform', 'simple', 'ddim_uniform', 'beta'];

/** Inputs: an upper-case word is a type that a wire brings, a list its choices. */
type Declared = { readonly inputs: Readonly<Record<string, string | readonly string[]>>; readonly outputs: readonly string[] };
/** As `INPUT_TYPES` and `RETURN_TYPES` of nodes.py and comfy_extras/nodes_model_advanced.py have them. */
const NODES: Readonly<Record<string, Declared>> = {
  CheckpointLoaderSimple: { inputs: { ckpt_name: 'file' }, outputs: ['MODEL', 'CLIP', 'VAE'] },
  DiffusersLoader: { inputs: { model_path: 'file' }, outputs: ['MODEL', 'CLIP', 'VAE'] },
  UNETLoader: { inputs: { unet_name: 'file', weight_dtype: ['default', 'fp8_e4m3fn', 'fp8_e4m3fn_fast', 'fp8_e5m2'] }, outputs: ['MODEL'] },
  CLIPLoader: { inputs: { clip_name: 'file', type: ['stable_diffusion', 'stable_cascade', 'sd3', 'stable_audio', 'mochi', 'ltxv', 'pixart', 'cosmos', 'lumina2', 'wan', 'hidream', 'chroma', 'ace', 'omnigen2', 'qwen_image', 'hunyuan_image'] }, outputs: ['CLIP'] },
  DualCLIPLoader: { inputs: { clip_name1: 'file', clip_name2: 'file', type: ['sdxl', 'sd3', 'flux', 'hunyuan_video', 'hidream', 'hunyuan_image'] }, outputs: ['CLIP'] },
  VAELoader: { inputs: { vae_name: 'file' }, outputs: ['VAE'] },
  LoraLoader: { inputs: { model: 'MODEL', clip: 'CLIP', lora_name: 'file', strength_model: 'number', strength_clip: 'number' }, outputs: ['MODEL', 'CLIP'] },
  ModelSamplingDiscrete: { inputs: { model: 'MODEL', sampling: ['eps', 'v_prediction', 'lcm', 'x0', 'img_to_img'], zsnr: 'boolean' }, outputs: ['MODEL'] },
  CLIPSetLastLayer: { inputs: { clip: 'CLIP', stop_at_clip_layer: 'number' }, outputs: ['CLIP'] },
  CLIPTextEncode: { inputs: { text: 'text', clip: 'CLIP' }, outputs: ['CONDITIONING'] },
  EmptyLatentImage: { inputs: { width: 'number', height: 'number', batch_size: 'number' }, outputs: ['LATENT'] },
  KSampler: {
    inputs: { model: 'MODEL', seed: 'number', steps: 'number', cfg: 'number', sampler_name: SAMPLERS, scheduler: SCHEDULERS, positive: 'CONDITIONING', negative: 'CONDITIONING', latent_image: 'LATENT', denoise: 'number' },
    outputs: ['LATENT'],
  },
  VAEDecode: { inputs: { samples: 'LATENT', vae: 'VAE' }, outputs: ['IMAGE'] },
  SaveImage: { inputs: { images: 'IMAGE', filename_prefix: 'text' }, outputs: [] },
};

interface Node { readonly class_type: string; readonly inputs: Readonly<Record<string, unknown>> }
type Nodes = Readonly<Record<string, Node>>;

const single = { kind: 'checkpoint', name: 'base.safetensors', vae: null, textEncoders: [] } as const;
const facts = (picture: Partial<PictureRecipe> = {}, changes: Partial<BesideFacts> = {}): BesideFacts => ({
  adapters: [{ file: 'ink-kohya.safetensors', strength: 1 }], stem: 'ink-kohya', title: 'ink', trigger: 'in ink', note: '', base: { isVersion2: false, kohyaVersion: 'sd_v1' },
  picture: {
    prompt: 'a cat', negative: 'blue', seed: 5, steps: 20, guidance: 7.5, width: 512, height: 768, sampler: 'euler', scheduler: 'normal',
    clipSkip: null, noise: { prediction: 'epsilon', zeroTerminalSnr: false }, loads: single, ...picture,
  }, ...changes,
});

/** Every node is one that ComfyUI has, with all of its inputs and no other, and wires bring what is asked for. */
function check(text: string): Nodes {
  const nodes = JSON.parse(text) as Nodes;
  for (const [id, { class_type, inputs }] of Object.entries(nodes)) {
    const declared = NODES[class_type];
    expect(declared, class_type).toBeDefined();
    expect(Object.keys(inputs).sort(), class_type).toEqual(Object.keys(declared!.inputs).sort());
    for (const [name, value] of Object.entries(inputs)) {
      const type = declared!.inputs[name]!;
      const what = `${id} ${class_type}.${name}`;
      if (Array.isArray(type)) expect(type, what).toContain(value);
      else if (type === 'number' || type === 'boolean') expect(typeof value, what).toBe(type);
      else if (type === 'text' || type === 'file') expect(typeof value, what).toBe('string');
      else {
        const [from, output] = value as [string, number];
        expect(NODES[nodes[from]!.class_type]!.outputs[output], what).toBe(type);
      }
    }
  }
  return nodes;
}

const workflow = (told: BesideFacts): Nodes => check(nodeWorkflow(told)!.text);
const only = (nodes: Nodes, type: string): Node => {
  const found = Object.values(nodes).filter(({ class_type }) => class_type === type);
  expect(found, type).toHaveLength(1);
  return found[0]!;
};
const has = (nodes: Nodes, type: string): boolean => Object.values(nodes).some(({ class_type }) => class_type === type);
/** Classes on the way from an input back to a loader. */
function way(nodes: Nodes, node: Node, input: string): string[] {
  const wire = node.inputs[input];
  if (!Array.isArray(wire)) return [];
  const before = nodes[String(wire[0])]!;
  return [before.class_type, ...way(nodes, before, input)];
}

test.each<[string, ModelFileNames, string, string, string, string]>([
  ['a checkpoint', single, 'sd_v1', 'CheckpointLoaderSimple', 'CheckpointLoaderSimple', 'CheckpointLoaderSimple'],
  ['a folder', { ...single, kind: 'folder', name: 'model' }, 'sd_v1', 'DiffusersLoader', 'DiffusersLoader', 'DiffusersLoader'],
  ['a checkpoint with another autoencoder', { ...single, vae: 'vae.safetensors' }, 'sd_v1', 'CheckpointLoaderSimple', 'CheckpointLoaderSimple', 'VAELoader'],
  ['split files with one text encoder', { kind: 'denoiser', name: 'unet.safetensors', vae: 'vae.safetensors', textEncoders: ['clip_l.safetensors'] }, 'sd_v1', 'UNETLoader', 'CLIPLoader', 'VAELoader'],
  ['split files with two', { kind: 'denoiser', name: 'unet.safetensors', vae: 'vae.safetensors', textEncoders: ['clip_l.safetensors', 'clip_g.safetensors'] }, 'sdxl_base_v1-0', 'UNETLoader', 'DualCLIPLoader', 'VAELoader'],
])('%s is loaded with the nodes for it', (_, loads, kohyaVersion, model, clip, vae) => {
  const nodes = workflow(facts({ loads }, { base: { isVersion2: false, kohyaVersion } }));
  expect(way(nodes, only(nodes, 'KSampler'), 'model')).toEqual(['LoraLoader', model]);
  for (const node of Object.values(nodes).filter(({ class_type }) => class_type === 'CLIPTextEncode')) expect(way(nodes, node, 'clip')).toEqual(['LoraLoader', clip]);
  expect(way(nodes, only(nodes, 'VAEDecode'), 'vae')).toEqual([vae]);
  expect(JSON.stringify(nodes)).toContain(loads.name);
  for (const name of [loads.vae, ...loads.textEncoders]) if (name !== null) expect(JSON.stringify(nodes)).toContain(name);
});

test('nothing is written for a denoiser whose other parts are not known', () => {
  expect(nodeWorkflow(facts({ loads: { ...single, kind: 'denoiser' } }))).toBeNull();
  expect(nodeWorkflow(facts({ loads: { ...single, kind: 'denoiser', vae: 'vae.safetensors' } }))).toBeNull();
  expect(nodeWorkflow(facts({}, { picture: null }))).toBeNull();
});

test.each([
  ['v_prediction', false, { sampling: 'v_prediction', zsnr: false }],
  ['v_prediction', true, { sampling: 'v_prediction', zsnr: true }],
  ['epsilon', true, { sampling: 'eps', zsnr: true }],
] as const)('a model for %s (zero terminal SNR: %s) is told so between adapter and sampler', (prediction, zeroTerminalSnr, expected) => {
  const nodes = workflow(facts({ noise: { prediction, zeroTerminalSnr } }));
  expect(only(nodes, 'ModelSamplingDiscrete').inputs).toMatchObject(expected);
  expect(way(nodes, only(nodes, 'KSampler'), 'model')).toEqual(['ModelSamplingDiscrete', 'LoraLoader', 'CheckpointLoaderSimple']);
});

test('a plain model is told nothing, and keeps its own layer of the text encoders', () => {
  const nodes = workflow(facts());
  expect([has(nodes, 'ModelSamplingDiscrete'), has(nodes, 'CLIPSetLastLayer')]).toEqual([false, false]);
});

test('clip skip holds for both prompts, behind the adapter', () => {
  const nodes = workflow(facts({ clipSkip: 2 }));
  expect(only(nodes, 'CLIPSetLastLayer').inputs['stop_at_clip_layer']).toBe(-2);
  for (const node of Object.values(nodes).filter(({ class_type }) => class_type === 'CLIPTextEncode')) expect(way(nodes, node, 'clip')).toEqual(['CLIPSetLastLayer', 'LoraLoader', 'CheckpointLoaderSimple']);
});

test('adapters come one behind the other, each with its strength; A1111 is not asked for what it would not show', () => {
  const nodes = workflow(facts({}, { adapters: [{ file: 'ink.safetensors', strength: 0.7 }, { file: 'light.safetensors', strength: -0.5 }] }));
  expect(way(nodes, only(nodes, 'KSampler'), 'model')).toEqual(['LoraLoader', 'LoraLoader', 'CheckpointLoaderSimple']);
  const loaded = Object.values(nodes).filter(({ class_type }) => class_type === 'LoraLoader').map(({ inputs }) => [inputs['lora_name'], inputs['strength_model'], inputs['strength_clip']]);
  expect(loaded).toEqual([['ink.safetensors', 0.7, 0.7], ['light.safetensors', -0.5, -0.5]]);
  const settings = { prompt: 'a cat', negative: '', sampler: 'euler', steps: 9, guidance: 7, seed: 3, width: 64, height: 32 };
  const adapters = [{ name: 'ink', strength: 0.7, isForWebui: true }, { name: 'rows', strength: 1, isForWebui: false }, { name: 'light', strength: -0.5, isForWebui: true }];
  expect(parseInfoText(infoText(settings, { adapters }))).toMatchObject({ prompt: 'a cat <lora:ink:0.7> <lora:light:-0.5>', Adapters: 'rows:1' });
});

test('a merged model is loaded without an adapter', () => {
  const nodes = workflow(facts({ loads: { ...single, name: 'ink-merged.safetensors' } }, { adapters: [], stem: 'ink-merged' }));
  expect(has(nodes, 'LoraLoader')).toBe(false);
  expect(way(nodes, only(nodes, 'KSampler'), 'model')).toEqual(['CheckpointLoaderSimple']);
  expect(only(nodes, 'SaveImage').inputs['filename_prefix']).toBe('ink-merged');
});

/** What ComfyUI takes a prompt for: escaped parentheses are text, others change weights. */
function textOf(prompt: string): { text: string; isWeighted: boolean } {
  const hidden = prompt.replaceAll('\\)', '\u0001').replaceAll('\\(', '\u0002');
  return { text: hidden.replaceAll('\u0001', ')').replaceAll('\u0002', '('), isWeighted: /[()]/.test(hidden) };
}

test.each(['saber (fate), night', 'saber \\(fate\\)', '((very)) big', 'a smile :)', 'no brackets', 'ends with \\'])('the prompt %j is taken as it is written', (prompt) => {
  const nodes = workflow(facts({ prompt, negative: prompt }));
  for (const { inputs } of Object.values(nodes).filter(({ class_type }) => class_type === 'CLIPTextEncode')) expect(textOf(String(inputs['text']))).toEqual({ text: prompt, isWeighted: false });
});

test('every sampler of ours has names there', () => {
  for (const { elsewhere: { node, levels, infotext } } of Object.values(samplers)) {
    for (const zeroTerminalSnr of [false, true]) {
      const nodes = workflow(facts({ sampler: node, scheduler: levelNames(levels, { zeroTerminalSnr }).node }));
      expect(has(nodes, 'KSampler')).toBe(true);
    }
    expect(['DDIM', 'Euler', 'Euler a', 'DPM++ 2M']).toContain(infotext);
  }
});

test.each([[20, false], [25, false], [8, false], [5, true], [20, true], [50, true]])('%i steps (zero terminal SNR: %s) visit the timesteps that the named levels visit there', (steps, zeroTerminalSnr) => {
  const alphasCumprod = Float64Array.from({ length: 1000 }, (_, t) => (zeroTerminalSnr ? 999 - t : 1000 - t) / 1001);
  // comfy/samplers.py, and modules/sd_schedulers.py of A1111: from the second timestep on at even distances, or from the last one down.
  const there: Record<string, number[]> = { ddim_uniform: [], simple: Array.from({ length: steps }, (_, i) => 999 - Math.trunc(i * (1000 / steps))) };
  for (let t = 1; t < 1000; t += Math.floor(1000 / steps)) there['ddim_uniform']!.unshift(t);
  expect(timestepsOf(alphasCumprod, steps)).toEqual(there[levelNames('timesteps', { zeroTerminalSnr }).node]);
});

/** As A1111 reads its text again (modules/infotext_utils.py: parse_generation_parameters). */
function parseInfoText(text: string): Record<string, string> {
  const lines = text.trim().split('\n');
  const last = lines.pop()!;
  const found: Record<string, string> = {};
  for (const [, key, value] of last.matchAll(/\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)/g)) found[key!] = value!.startsWith('"') ? JSON.parse(value!) as string : value!;
  expect(Object.keys(found).length).toBeGreaterThanOrEqual(3);
  const at = lines.findIndex((line) => line.startsWith('Negative prompt:'));
  const prompt = (at < 0 ? lines : lines.slice(0, at)).join('\n');
  return { ...found, prompt, negative: at < 0 ? '' : [lines[at]!.slice('Negative prompt:'.length).trim(), ...lines.slice(at + 1)].join('\n') };
}

/** What is left of a prompt when its brackets have been taken for weights (modules/prompt_parser.py: parse_prompt_attention). */
function attentionOf(prompt: string): { text: string; isWeighted: boolean } {
  let text = '';
  let isWeighted = /\b(?:AND|BREAK)\b/.test(prompt);
  for (const [token] of prompt.matchAll(/\\[()[\]]|\\\\|[()[\]]|[^\\()[\]]+|\\/g)) {
    if (/^[()[\]]$/.test(token)) isWeighted = true;
    else text += token.length > 1 && token.startsWith('\\') ? token.slice(1) : token;
  }
  return { text, isWeighted };
}

test.each(['saber (fate), [night]', 'saber \\(fate\\)', 'two\nlines', 'tail \\', 'a: b, "c"'])('A1111 reads the text of a picture of %j as it was made', (prompt) => {
  const settings = { prompt, negative: prompt, sampler: 'dpmpp-2m-karras', steps: 9, guidance: 7.5, seed: 3, width: 64, height: 32 };
  const read = parseInfoText(infoText(settings, { model: 'some, "model"', adapters: [{ name: 'ink-kohya', strength: 1, isForWebui: true }], clipSkip: 2, vae: 'vae.safetensors', zeroTerminalSnr: true }));
  expect(read).toMatchObject({
    'Steps': '9', 'Sampler': 'DPM++ 2M', 'Schedule type': 'Karras', 'CFG scale': '7.5', 'Seed': '3', 'Size': '64x32', 'Model': 'some, "model"', 'VAE': 'vae.safetensors',
    'Clip skip': '2', 'Noise Schedule': 'Zero Terminal SNR',
  });
  const [words, tag] = [read['prompt']!.replace(/ <lora:[^>]*>$/, ''), /<lora:[^>]*>$/.exec(read['prompt']!)?.[0]];
  expect(tag).toBe('<lora:ink-kohya:1>');
  expect(attentionOf(words)).toEqual({ text: prompt, isWeighted: false });
  expect(attentionOf(read['negative']!)).toEqual({ text: prompt, isWeighted: false });
});

test('words that part a prompt of A1111 are told in small letters, which make the same tokens', () => {
  const text = infoText({ prompt: 'cats AND dogs BREAK BRAND', negative: '', sampler: 'euler', steps: 9, guidance: 7, seed: 3, width: 64, height: 32 });
  expect(text.split('\n')[0]).toBe('cats and dogs break BRAND');
});

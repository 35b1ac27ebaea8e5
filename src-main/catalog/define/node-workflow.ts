// A graph of ComfyUI's nodes (its API form, which the window opens too) that makes a preview again with the exported file.
// Classes and inputs are those of ComfyUI's nodes.py and comfy_extras/nodes_model_advanced.py.
import type { Beside, BesideFacts, ModelFileNames, PictureRecipe } from './beside.ts';

type Wire = readonly [node: string, output: number];
type Input = string | number | boolean | Wire;

interface Node {
  readonly class_type: string;
  readonly inputs: Readonly<Record<string, Input>>;
  readonly _meta: { readonly title: string };
}

/** Adds a node and gives the wire of one of its outputs. */
type Add = (class_type: string, title: string, inputs: Readonly<Record<string, Input>>) => (output: number) => Wire;

/** Null without a picture to make, or when no file is known that text encoders or autoencoder could be taken from. */
export function nodeWorkflow(facts: BesideFacts): Beside | null {
  const { adapters, stem, picture } = facts;
  if (picture === null) return null;
  const { clipSkip, noise } = picture;
  const nodes: Record<string, Node> = {};
  const add: Add = (class_type, title, inputs) => {
    const id = String(Object.keys(nodes).length + 1);
    nodes[id] = { class_type, inputs, _meta: { title } };
    return (output) => [id, output];
  };
  const base = addBase(add, facts, picture);
  if (base === null) return null;
  let { model, clip } = base;
  for (const { file, strength } of adapters) {
    const lora = add('LoraLoader', 'Adapter', { lora_name: file, strength_model: strength, strength_clip: strength, model, clip });
    [model, clip] = [lora(0), lora(1)];
  }
  // Plain models say by themselves what they predict.
  if (noise.prediction !== 'epsilon' || noise.zeroTerminalSnr) {
    model = add('ModelSamplingDiscrete', 'What the model predicts', { sampling: noise.prediction === 'epsilon' ? 'eps' : 'v_prediction', zsnr: noise.zeroTerminalSnr, model })(0);
  }
  if (clipSkip !== null) clip = add('CLIPSetLastLayer', 'Clip skip', { stop_at_clip_layer: -clipSkip, clip })(0);
  const { prompt, negative, seed, steps, guidance, width, height, sampler, scheduler } = picture;
  const positive = add('CLIPTextEncode', 'Prompt', { text: withoutEmphasis(prompt), clip })(0);
  const excluded = add('CLIPTextEncode', 'Negative prompt', { text: withoutEmphasis(negative), clip })(0);
  const latent = add('EmptyLatentImage', 'Size', { width, height, batch_size: 1 })(0);
  const samples = add('KSampler', 'Sampler', { seed, steps, cfg: guidance, sampler_name: sampler, scheduler, denoise: 1, model, positive, negative: excluded, latent_image: latent })(0);
  const images = add('VAEDecode', 'Decode', { samples, vae: base.vae })(0);
  add('SaveImage', 'Save', { filename_prefix: stem, images });
  return { ending: '.workflow.json', text: `${JSON.stringify(nodes, null, 2)}\n` };
}

/** In prompts there parentheses change weights; here they are text. */
const withoutEmphasis = (prompt: string): string => prompt.replaceAll(/[()]/g, '\\$&');

const LOADER: Readonly<Record<ModelFileNames['kind'], (name: string) => readonly [class_type: string, inputs: Readonly<Record<string, Input>>]>> = {
  folder: (name) => ['DiffusersLoader', { model_path: name }],
  checkpoint: (name) => ['CheckpointLoaderSimple', { ckpt_name: name }],
  denoiser: (name) => ['UNETLoader', { unet_name: name, weight_dtype: 'default' }],
};

function addBase(add: Add, { adapters, base }: BesideFacts, { loads }: PictureRecipe): { readonly model: Wire; readonly clip: Wire; readonly vae: Wire } | null {
  const own = add(LOADER[loads.kind](loads.name)[0], adapters.length === 0 ? 'Model' : 'Base model', LOADER[loads.kind](loads.name)[1]);
  const hasOwn = loads.kind !== 'denoiser';
  const clip = addText(add, loads.textEncoders, base.kohyaVersion.startsWith('sdxl')) ?? (hasOwn ? own(1) : null);
  const vae = loads.vae === null ? (hasOwn ? own(2) : null) : add('VAELoader', 'Autoencoder', { vae_name: loads.vae })(0);
  return clip && vae && { model: own(0), clip, vae };
}

/** Loaders exist for all of a model's text encoders, not for one of two. */
function addText(add: Add, [first, second]: readonly string[], isDouble: boolean): Wire | null {
  if (first === undefined || isDouble !== (second !== undefined)) return null;
  if (second === undefined) return add('CLIPLoader', 'Text encoder', { clip_name: first, type: 'stable_diffusion' })(0);
  return add('DualCLIPLoader', 'Text encoders', { clip_name1: first, clip_name2: second, type: 'sdxl' })(0);
}

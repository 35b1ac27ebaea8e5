// A graph of ComfyUI's nodes (its API form, which the window opens too) that makes a preview again with the exported file.
import type { Beside, BesideFacts } from './beside.ts';

type Input = string | number | readonly [node: string, output: number];

interface Node {
  readonly class_type: string;
  readonly inputs: Readonly<Record<string, Input>>;
  readonly _meta: { readonly title: string };
}

const node = (class_type: string, title: string, inputs: Readonly<Record<string, Input>>): Node => ({ class_type, inputs, _meta: { title } });

/** Null without a picture to make. */
export function nodeWorkflow({ file, base, picture, clipSkip }: BesideFacts): Beside | null {
  if (picture === null) return null;
  const { prompt, negative, seed, steps, guidance, width, height, sampler, scheduler } = picture;
  const clip: Input = clipSkip === null ? ['2', 1] : ['9', 0];
  const nodes: Record<string, Node> = {
    1: node('CheckpointLoaderSimple', 'Base model', { ckpt_name: `${base.name}.safetensors` }),
    2: node('LoraLoader', 'Exported adapter', { lora_name: file, strength_model: 1, strength_clip: 1, model: ['1', 0], clip: ['1', 1] }),
    3: node('CLIPTextEncode', 'Prompt', { text: prompt, clip }),
    4: node('CLIPTextEncode', 'Negative prompt', { text: negative, clip }),
    5: node('EmptyLatentImage', 'Size', { width, height, batch_size: 1 }),
    6: node('KSampler', 'Sampler', {
      seed, steps, cfg: guidance, sampler_name: sampler, scheduler, denoise: 1, model: ['2', 0], positive: ['3', 0], negative: ['4', 0], latent_image: ['5', 0],
    }),
    7: node('VAEDecode', 'Decode', { samples: ['6', 0], vae: ['1', 2] }),
    8: node('SaveImage', 'Save', { filename_prefix: file.replace(/\.safetensors$/, ''), images: ['7', 0] }),
    ...(clipSkip === null ? {} : { 9: node('CLIPSetLastLayer', 'Clip skip', { stop_at_clip_layer: -clipSkip, clip: ['2', 1] }) }),
  };
  return { ending: '.workflow.json', text: `${JSON.stringify(nodes, null, 2)}\n` };
}

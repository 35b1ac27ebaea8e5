// Adapters for families that Adora does not load are called by the family's name; those for ours never are.
import { describe, expect, test } from 'vitest';
import { otherFamily } from '../../src-main/catalog/define/other-families.ts';
import { publishedModels } from '../../src-main/catalog/families/index.ts';
import { formats } from '../../src-main/catalog/formats/index.ts';
import { namedModel } from '../../src-main/train/named-model.ts';

describe('other families', () => {
  test.each([
    // As kohya's scripts, musubi-tuner, diffusers, the authors' own programs, OneTrainer and x-flux write them.
    ['lora_unet_joint_blocks_0_x_block_attn_qkv.lora_down.weight', 'Stable Diffusion 3'],
    ['diffusion_model.joint_blocks.0.context_block.mlp.fc1.lora_A.weight', 'Stable Diffusion 3'],
    ['lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight', 'FLUX, or a model built like it'],
    ['lora_unet_single_blocks_0_linear1.lora_down.weight', 'FLUX, or a model built like it'],
    ['transformer.single_transformer_blocks.0.proj_mlp.lora_A.weight', 'FLUX, or a model built like it'],
    ['lora_transformer_single_transformer_blocks_0_attn_to_q.lora_down.weight', 'FLUX, or a model built like it'],
    ['double_blocks.0.processor.qkv_lora1.down.weight', 'FLUX, or a model built like it'],
    ['diffusion_model.double_blocks.0.img_attn.qkv.lora_A.weight', 'FLUX, or a model built like it'],
    ['diffusion_model.double_blocks.0.img_attn_qkv.lora_A.weight', 'HunyuanVideo'],
    ['transformer.single_transformer_blocks.0.attn.to_qkv_mlp_proj.lora_A.weight', 'FLUX.2'],
    ['transformer.transformer_blocks.0.ff.linear_in.lora_A.weight', 'FLUX.2'],
    ['diffusion_model.layers.0.attention.to_q.lora_A.weight', 'Z-Image or Lumina 2'],
    ['diffusion_model.context_refiner.0.attention.to_k.lora_A.weight', 'Z-Image or Lumina 2'],
    ['lora_unet__layers_0_attention_qkv.lora_down.weight', 'Z-Image or Lumina 2'],
    ['transformer_blocks.0.img_mlp.net.0.proj.lora_down.weight', 'Qwen-Image'],
    ['lora_unet_blocks_0_self_attn_q.lora_down.weight', 'Wan'],
    ['diffusion_model.blocks.0.cross_attn.v.lora_A.weight', 'Wan'],
    ['diffusion_model.blocks.0.ffn.0.lora_A.weight', 'Wan'],
    ['transformer.blocks.0.attn1.to_q.lora_A.weight', 'Wan'],
    ['lora_unet_blocks_0_self_attn_q_proj.lora_down.weight', 'Cosmos or Anima'],
    ['transformer.transformer_blocks.0.attn.add_q_proj.lora_A.weight', 'Stable Diffusion 3, FLUX or Qwen-Image'],
    ['transformer.transformer_blocks.0.attn1.to_q.lora_A.weight', 'a diffusion transformer'],
    ['lora_prior_unet_down_blocks_0_0_attention_attn_to_q.lora_down.weight', 'Stable Cascade'],
    ['lora_unet_double_blocks_0_img_attn_qkv.lokr_w1', 'FLUX, or a model built like it'],
  ])('%s: %s', (key, family) => expect(otherFamily([key])).toBe(family));

  test('no layer of ours has their names, in any layout and spelling', () => {
    for (const { label, files } of publishedModels()) {
      const named = namedModel(files, 'unet');
      for (const [path] of named.layers) {
        for (const format of Object.values(formats)) {
          for (const module of format.modulesOf(path, named)) for (const part of ['lora_A.weight', 'lora_magnitude_vector'] as const) expect(otherFamily([`${format.tensorName(module, part)!}`]), `${label}: ${module}`).toBe(null);
        }
      }
    }
  });

  test('weights of base models are no adapters', () => expect(otherFamily(['double_blocks.0.img_attn.qkv.weight', 'model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight'])).toBe(null));
});

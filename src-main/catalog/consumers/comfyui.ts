// ComfyUI (comfy/lora.py: model_lora_keys_unet, model_lora_keys_clip, load_lora; comfy/weight_adapter).
import { nodeWorkflow } from '../define/node-workflow.ts';
import type { ConsumerProgram } from '../define/consumer.ts';
import { byFirstExtent } from '../define/first-extent-magnitudes.ts';
import { DORA_SCALE, MAGNITUDE } from '../define/format.ts';
import { flat, IN_TEXT_LAYERS, originalName, splitPath, textPrefixes } from '../define/module-names.ts';

export const comfyui: ConsumerProgram = {
  label: 'ComfyUI',
  help: 'Reads LoRA, and DoRA with magnitudes per input.',
  naming: 'flat',
  axis: 'input',
  // Of text encoders it knows the layers that adapters have, and no norms.
  readsDifference: (layer, _, isNorm, model) => splitPath(layer).component === model.denoiser || ((IN_TEXT_LAYERS.test(layer) || layer.endsWith('.text_projection')) && !isNorm),
  modulesOf: (path, model) => {
    const { component, module } = splitPath(path);
    if (component !== model.denoiser) return [...textPrefixes(component, model).map((prefix) => prefix + flat(module)), path];
    const original = originalName(module, model);
    const native = original === null ? [] : [`lora_unet_${flat(original)}`, `diffusion_model.${original}`];
    // Names of diffusers with dots are looked for in the form of old attention processors, so queries, keys and values of PEFT files are not found.
    const dotted = module.replaceAll('.to_', '.processor.to_');
    return [...native, `lora_unet_${flat(module)}`, `lycoris_${flat(module)}`, dotted, `unet.${dotted}`];
  },
  endings: {
    'lora_B.weight': ['lora_up.weight', 'lora_B.weight', 'lora.up.weight'], 'lora_A.weight': ['lora_down.weight', 'lora_A.weight', 'lora.down.weight'],
    [MAGNITUDE]: [DORA_SCALE], alpha: ['alpha'],
  },
  beside: nodeWorkflow,
  weight: byFirstExtent,
};

// Forge (backend/patcher/lora.py, extensions-builtin/sd_forge_lora): keys and arithmetic of ComfyUI.
import { webuiCard } from '../define/beside.ts';
import type { ConsumerProgram } from '../define/consumer.ts';
import { byFirstExtent } from '../define/first-extent-magnitudes.ts';
import { DORA_SCALE, MAGNITUDE } from '../define/format.ts';
import { flat, IN_TEXT_LAYERS, originalName, splitPath, textPrefixes } from '../define/module-names.ts';

export const forge: ConsumerProgram = {
  label: 'Forge',
  help: 'Reads LoRA, and DoRA with magnitudes per input.',
  naming: 'flat',
  axis: 'input',
  // Of text encoders it knows the layers that adapters have, and no norms.
  readsDifference: (layer, _, isNorm, model) => splitPath(layer).component === model.denoiser || ((IN_TEXT_LAYERS.test(layer) || layer.endsWith('.text_projection')) && !isNorm),
  modulesOf: (path, model) => {
    const { component, module } = splitPath(path);
    if (component !== model.denoiser) return textPrefixes(component, model).map((prefix) => prefix + flat(module));
    const original = originalName(module, model);
    return [...(original === null ? [] : [`lora_unet_${flat(original)}`, `diffusion_model.${original}`]), `lora_unet_${flat(module)}`, `lycoris_${flat(module)}`];
  },
  endings: { 'lora_B.weight': ['lora_up.weight', 'lora_B.weight'], 'lora_A.weight': ['lora_down.weight', 'lora_A.weight'], [MAGNITUDE]: [DORA_SCALE], alpha: ['alpha'] },
  beside: webuiCard,
  weight: byFirstExtent,
};

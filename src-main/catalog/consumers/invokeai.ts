// InvokeAI (backend/patches/lora_conversions, patches/layers/dora_layer.py; backend/model_manager/configs/lora.py).
import type { ConsumerProgram } from '../define/consumer.ts';
import { byColumns } from '../define/column-magnitudes.ts';
import { DORA_SCALE, MAGNITUDE } from '../define/format.ts';
import { flat, isPooled, originalName, splitPath, textPrefixes } from '../define/module-names.ts';

const ORIGINAL = /^lora_unet_(input_blocks|middle_block|output_blocks|time_embed|label_emb|out_)/;

export const invokeai: ConsumerProgram = {
  label: 'InvokeAI',
  help: 'Reads LoRA, and DoRA with magnitudes per input.',
  naming: 'flat',
  axis: 'input',
  readsDifference: () => true,
  modulesOf: (path, model) => {
    const { component, module } = splitPath(path);
    if (component !== model.denoiser) return textPrefixes(component, model).map((prefix) => prefix + flat(module));
    const original = isPooled(model) ? originalName(module, model) : null;
    return [...(original === null ? [] : [`lora_unet_${flat(original)}`]), `lora_unet_${flat(module)}`];
  },
  endings: { 'lora_B.weight': ['lora_up.weight'], 'lora_A.weight': ['lora_down.weight'], [MAGNITUDE]: [DORA_SCALE], alpha: ['alpha'] },
  refuses: (modules, model) => {
    const unet = modules.filter((module) => module.startsWith('lora_unet_'));
    const original = unet.filter((module) => ORIGINAL.test(module)).length;
    if (isPooled(model) && original > 0 && original < unet.length) return 'it refuses files that mix two kinds of block names';
    // The kind of base is read from the width of the text in cross-attention, or from the text encoder.
    const isKnown = modules.some((module) => /attn2_to_[kv]$/.test(module) || module.startsWith('lora_te'));
    return isKnown ? null : 'it cannot tell what base model the file is for, because no cross-attention layer is adapted';
  },
  weight: byColumns,
};

// A1111 (extensions-builtin/Lora/networks.py: convert_diffusers_name_to_compvis; network.py: finalize_updown).
import { webuiCard } from '../define/beside.ts';
import type { ConsumerProgram } from '../define/consumer.ts';
import { byColumns } from '../define/column-magnitudes.ts';
import { DORA_SCALE, MAGNITUDE } from '../define/format.ts';
import { flat, isPooled, originalName, splitPath, textPrefixes } from '../define/module-names.ts';

export const a1111: ConsumerProgram = {
  label: 'A1111',
  help: 'Reads LoRA, and DoRA with magnitudes per input (since July 2024 with any alpha).',
  naming: 'flat',
  axis: 'input',
  readsDifferences: true,
  modulesOf: (path, model) => {
    const { component, module } = splitPath(path);
    if (component !== model.denoiser) return textPrefixes(component, model).map((prefix) => prefix + flat(module));
    const original = originalName(module, model);
    // Its rule for names of diffusers puts SDXL's first upsampler in a place where SDXL has none.
    const isLost = isPooled(model) && module === 'up_blocks.0.upsamplers.0.conv';
    return [...(original === null ? [] : [`lora_unet_${flat(original)}`]), ...(isLost ? [] : [`lora_unet_${flat(module)}`])];
  },
  endings: { 'lora_B.weight': ['lora_up.weight', 'lora_B.weight'], 'lora_A.weight': ['lora_down.weight', 'lora_A.weight'], [MAGNITUDE]: [DORA_SCALE], alpha: ['alpha'] },
  beside: webuiCard,
  weight: byColumns,
};

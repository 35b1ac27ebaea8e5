// A1111 (extensions-builtin/Lora/networks.py: convert_diffusers_name_to_compvis; network.py: finalize_updown).
import { webuiCard } from '../define/beside.ts';
import type { ConsumerProgram } from '../define/consumer.ts';
import { byColumns } from '../define/column-magnitudes.ts';
import { DORA_SCALE, MAGNITUDE, type NamedModel } from '../define/format.ts';
import { flat, IN_TEXT_LAYERS, isPooled, originalName, splitPath, textPrefixes } from '../define/module-names.ts';

const JOINED = /\.self_attn\.(?:q|k|v|out)_proj$/;

/**
 * Text encoders of OpenCLIP (SD 2, the second one of SDXL) have queries, keys and values in one matrix there
 * (networks.py: network_apply_weights for MultiheadAttention). SD 2 has linear layers around its transformers.
 */
const isJoined = (component: string, model: NamedModel): boolean =>
  (isPooled(model) ? component === model.textEncoders[1] : [...model.layers].some(([path, shape]) => path.startsWith(`${model.denoiser}.`) && path.endsWith('.proj_in') && shape.length === 2));

export const a1111: ConsumerProgram = {
  label: 'A1111',
  help: 'Reads LoRA, and DoRA with magnitudes per input (since July 2024 with any alpha).',
  naming: 'flat',
  axis: 'input',
  readsDifference: (layer, part, isNorm, model) => {
    const { component, module } = splitPath(layer);
    // Its rules for names of diffusers have none for the last norm.
    if (component === model.denoiser) return isPooled(model) || module !== 'conv_norm_out';
    if (!IN_TEXT_LAYERS.test(layer)) return false;
    if (!isJoined(component, model)) return true;
    // Norms have other names in OpenCLIP, and biases of queries, keys and values are not taken.
    return !isNorm && !(part === 'bias' && JOINED.test(module) && !module.endsWith('out_proj'));
  },
  modulesOf: (path, model) => {
    const { component, module } = splitPath(path);
    if (component !== model.denoiser) return IN_TEXT_LAYERS.test(path) ? textPrefixes(component, model).map((prefix) => prefix + flat(module)) : [];
    const original = originalName(module, model);
    // Its rule for names of diffusers puts SDXL's first upsampler in a place where SDXL has none.
    const isLost = isPooled(model) && module === 'up_blocks.0.upsamplers.0.conv';
    return [...(original === null ? [] : [`lora_unet_${flat(original)}`]), ...(isLost ? [] : [`lora_unet_${flat(module)}`])];
  },
  endings: { 'lora_B.weight': ['lora_up.weight', 'lora_B.weight'], 'lora_A.weight': ['lora_down.weight', 'lora_A.weight'], [MAGNITUDE]: [DORA_SCALE], alpha: ['alpha'] },
  refuses: (modules, model) => {
    const present = new Set(modules);
    for (const module of modules) {
      const [, prefix, layer] = /^(lora_te[12]?_)(.+_self_attn)_(?:q|k|v|out)_proj$/.exec(module) ?? [];
      const component = model.textEncoders[prefix === 'lora_te2_' ? 1 : 0];
      if (prefix === undefined || component === undefined || !isJoined(component, model)) continue;
      const missing = ['q', 'k', 'v', 'out'].filter((part) => !present.has(`${prefix}${layer}_${part}_proj`));
      if (missing.length > 0) return `in this text encoder it changes attention only where queries, keys, values and the output are all changed, and "${prefix}${layer}" lacks ${missing.map((part) => `${part}_proj`).join(', ')}`;
    }
    return null;
  },
  beside: webuiCard,
  weight: byColumns,
};

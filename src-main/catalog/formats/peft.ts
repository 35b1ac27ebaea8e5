// The layout of PEFT and diffusers: `unet.<path>.lora_A.weight`. Magnitudes are `lora_magnitude_vector.weight`, on the output axis.
// There is no alpha tensor: diffusers takes alpha = rank.
import { sizeOf } from '../../base/shape.ts';
import { originalName, splitPath } from '../define/module-names.ts';
import { commonMetadata, MAGNITUDE, magnitudeShape, type AdapterFormat, type AdapterPart } from '../define/format.ts';

// PEFT itself writes the adapter's name into the keys of its own state dict.
const KEY = new RegExp(`^(.+\\..+?)\\.(?:(lora_A|lora_B)(?:\\.default)?\\.weight|(${MAGNITUDE})(?:(?:\\.default)?\\.weight)?|(alpha))$`);

export const peft: AdapterFormat = {
  label: 'PEFT',
  help: 'For diffusers.',
  naming: 'dotted',
  axes: ['output'],
  // diffusers utils/peft_utils.py (get_peft_kwargs): `use_dora` holds for all layers.
  isAllDora: true,
  hasAlpha: false,
  keyOf: tensorName,
  tensorName,
  modulesOf: (path, model) => {
    const { component, module } = splitPath(path);
    // ComfyUI's own names of layers, which OneTrainer and newer programs write with PEFT's endings.
    const original = component === model.denoiser ? originalName(module, model) : null;
    return [path, ...(original === null ? [] : [`diffusion_model.${original}`])];
  },
  parse: (key) => {
    const [, module, matrix, magnitude, alpha] = KEY.exec(key) ?? [];
    if (module === undefined) return null;
    return { module, part: (matrix ? `${matrix}.weight` : (magnitude ?? alpha)) as AdapterPart };
  },
  magnitudeShape,
  axesOf: (magnitude, weight) => (sizeOf(magnitude) === weight[0] ? ['output'] : []),
  metadata: commonMetadata,
};

/** Magnitudes as PEFT's own modules have them: of text encoders transformers (5) finds no others, of the UNet PEFT (0.12) finds both. */
function tensorName(module: string, part: AdapterPart): string | null {
  return part === 'alpha' ? null : part === MAGNITUDE ? `${module}.${MAGNITUDE}.weight` : `${module}.${part}`;
}

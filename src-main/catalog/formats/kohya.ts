// The layout of kohya's scripts: `lora_unet_<path with underscores>.lora_down.weight`. ComfyUI, A1111, Forge and InvokeAI read
// it, and for LoRA everything else does too. DoRA magnitudes are called `dora_scale`.
import type { Shape } from '../../base/shape.ts';
import { sameShape } from '../../base/shape.ts';
import { DORA_SCALE, MAGNITUDE, type AdapterFormat, type AdapterPart, type DoraAxis, type NamedModel } from '../define/format.ts';
import { flat, isPooled, originalName, splitPath, textPrefixes } from '../define/module-names.ts';
import { kohyaMetadata } from '../define/kohya-metadata.ts';

const SUFFIX: Readonly<Record<AdapterPart, string>> = {
  'lora_A.weight': 'lora_down.weight', 'lora_B.weight': 'lora_up.weight', [MAGNITUDE]: DORA_SCALE, alpha: 'alpha',
};
const PART = new Map(Object.entries(SUFFIX).map(([part, suffix]) => [suffix, part as AdapterPart]));
const KEY = /^((?:lora_(?:unet|te|te1|te2)|lycoris)_[^.]+)\.(.+)$/;

export const kohya: AdapterFormat = {
  label: 'kohya',
  help: 'For ComfyUI, A1111, Forge and InvokeAI.',
  naming: 'flat',
  axes: ['output', 'input'],
  isAllDora: false,
  hasAlpha: true,
  keyOf: (path, part, model) => {
    const [module] = spellings(path, model);
    return module === undefined ? null : tensorName(module, part);
  },
  tensorName,
  modulesOf: spellings,
  parse: (key) => {
    const [, module, suffix] = KEY.exec(key) ?? [];
    const part = PART.get(suffix ?? '');
    return module !== undefined && part !== undefined ? { module, part } : null;
  },
  // Never 1-D: ComfyUI would take the outer product with the norms.
  magnitudeShape: (weight, axis) => weight.map((extent, i) => (i === (axis === 'output' ? 0 : 1) ? extent : 1)),
  axesOf,
  metadata: kohyaMetadata,
};

function tensorName(module: string, part: AdapterPart): string {
  return `${module}.${SUFFIX[part]}`;
}

/** The name that is written, then others that are read. */
function spellings(path: string, model: NamedModel): string[] {
  const { component, module } = splitPath(path);
  if (component !== model.denoiser) return textPrefixes(component, model).map((prefix) => prefix + flat(module));
  const own = `lora_unet_${flat(module)}`;
  // LyCORIS outside of kohya's scripts (lycoris/wrapper.py).
  const wrapper = `lycoris_${flat(module)}`;
  const original = originalName(module, model);
  if (original === null) return [own, wrapper];
  // A1111 and InvokeAI expect the original block names where the text has a pooled form (SDXL), else those of diffusers.
  const other = `lora_unet_${flat(original)}`;
  return isPooled(model) ? [other, own, wrapper] : [own, other, wrapper];
}

/** Old writers gave plain vectors, which name their axis only where the weight is not square. */
function axesOf(magnitude: Shape, weight: Shape): DoraAxis[] {
  const isFlat = magnitude.length === 1;
  return (['output', 'input'] as const).filter((axis) =>
    isFlat ? magnitude[0] === weight[axis === 'output' ? 0 : 1] : sameShape(magnitude, kohya.magnitudeShape(weight, axis)));
}

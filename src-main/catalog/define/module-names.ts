// Names of a model's modules outside the diffusers layout, which several programs know.
import { ldmUnetNames } from '../../nn/ldm-unet-names.ts';
import type { NamedModel } from './format.ts';

export const flat = (name: string): string => name.replaceAll('.', '_');

/** A path's component and the rest: `unet`, `conv_in`. */
export function splitPath(path: string): { readonly component: string; readonly module: string } {
  const component = path.slice(0, path.indexOf('.'));
  return { component, module: path.slice(component.length + 1) };
}

const known = new WeakMap<NamedModel, (module: string) => string | null>();

/** A denoiser's module in the original layout, or null for one that has no name there. */
export function originalName(module: string, model: NamedModel): string | null {
  let names = known.get(model);
  if (!names) {
    const prefix = `${model.denoiser}.`;
    names = ldmUnetNames([...model.layers.keys()].filter((path) => path.startsWith(prefix)).map((path) => path.slice(prefix.length)));
    known.set(model, names);
  }
  return names(module);
}

/** A module of a layer of a text encoder, and not of its ends. */
export const IN_TEXT_LAYERS = /^text_encoder\w*\.text_model\.encoder\.layers\.\d+\./;

/** Whether the text has a pooled form (SDXL): programs expect the original block names there. */
export const isPooled = (model: NamedModel): boolean => model.layers.has(`${model.denoiser}.add_embedding.linear_1`);

/** `lora_te` for the only text encoder, `lora_te1` and `lora_te2` for two; null for something else. */
export function textPrefixes(component: string, model: NamedModel): readonly string[] {
  const index = model.textEncoders.indexOf(component);
  if (index < 0) return [];
  return model.textEncoders.length > 1 ? [`lora_te${index + 1}_`] : ['lora_te_', 'lora_te1_'];
}

// The layers of a model, as the layouts of adapter files need them for names and shapes.
import type { ModelFiles } from '../catalog/define/family.ts';
import type { NamedModel } from '../catalog/define/format.ts';
import type { Shape } from '../base/shape.ts';

/** Weights of linear and convolution layers stand in the headers; embeddings look the same and do no harm. */
export function namedModel(files: ModelFiles, denoiser: string): NamedModel {
  const layers = new Map<string, Shape>();
  const textEncoders = [...files.keys()].filter((component) => component.startsWith('text_encoder')).sort();
  for (const component of [denoiser, ...textEncoders]) {
    for (const [key, { shape }] of files.get(component)?.tensors ?? []) {
      if (key.endsWith('.weight') && (shape.length === 2 || shape.length === 4)) layers.set(`${component}.${key.slice(0, -'.weight'.length)}`, shape);
    }
  }
  return { denoiser, textEncoders, layers };
}

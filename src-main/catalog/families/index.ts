// The families of models that can be trained, by the name that stands in jobs and files.
import { UserError } from '../../base/errors.ts';
import type { Family, Model, ModelFiles } from '../define/family.ts';
import { stableDiffusion } from './stable-diffusion.ts';

export const families: Readonly<Record<string, Family>> = {
  'stable-diffusion': stableDiffusion,
};

/** The model that these files hold. Throws UserError when no family knows them, or when they are broken. */
export function detectModel(files: ModelFiles): Model {
  const found = Object.values(families).flatMap((family) => family.detect(files) ?? []);
  if (found.length === 1) return found[0]!;
  const seen = [...files].map(([folder, { config }]) => `${folder} (${classOf(config)})`).join(', ') || 'no parts';
  if (found.length > 1) {
    throw new UserError('model.ambiguous', `Several families take this model for theirs: ${found.map(({ label }) => label).join('; ')}.`, { seen });
  }
  throw new UserError(
    'model.unknown',
    `No known kind of model: looked for a folder "unet" with a UNet2DConditionModel, "vae" with an AutoencoderKL, ` +
      `"text_encoder" with a CLIPTextModel; found ${seen}. Choose a model folder in the diffusers layout.`,
    { seen },
  );
}

function classOf(config: Readonly<Record<string, unknown>>): string {
  const list = config['architectures'];
  const name = config['_class_name'] ?? (Array.isArray(list) ? list[0] : undefined);
  return typeof name === 'string' ? name : 'no class name';
}

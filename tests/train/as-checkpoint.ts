// The tiny model as one file.
import { readFileSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { writeSafetensors } from '../../src-main/files/safetensors-write.ts';
import { FOLDER_FILES } from '../../src-main/nn/checkpoint-parts.ts';
import { ldmUnetNames } from '../../src-main/nn/ldm-unet-names.ts';
import { openModel } from '../../src-main/train/open-model.ts';

/** The folder's model as one file in the original layout, with the small files of the folder in its header. */
export async function asCheckpoint(folder: string, path: string): Promise<string> {
  const model = openModel(folder);
  const unetKeys = [...model.files.get('unet')!.tensors.keys()];
  const moduleOf = (key: string): string => key.replace(/\.(weight|bias)$/, '');
  const names = ldmUnetNames(unetKeys.map(moduleOf));
  const prefixes: Readonly<Record<string, (key: string) => string>> = {
    unet: (key) => `model.diffusion_model.${names(moduleOf(key))}${key.slice(moduleOf(key).length)}`,
    vae: (key) => `first_stage_model.${key}`,
    text_encoder: (key) => `cond_stage_model.transformer.${key}`,
  };
  const tensors = [...model.files].flatMap(([component, { tensors: own }]) => [...own].map(([key, { shape }]) => ({
    name: prefixes[component]!(key), dtype: 'f32' as const, shape, data: model.readF32(`${component}.${key}`),
  })));
  const small = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile() && !entry.name.endsWith('.safetensors')).map((entry) => join(entry.parentPath, entry.name));
  const texts = Object.fromEntries(small.map((file) => [relative(folder, file).replaceAll('\\', '/'), readFileSync(file, 'utf8')]));
  await writeSafetensors(path, tensors, { [FOLDER_FILES]: JSON.stringify(texts) });
  return path;
}

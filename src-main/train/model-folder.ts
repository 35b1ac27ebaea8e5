// A model in the diffusers folder layout: configurations and weights of its parts.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../base/errors.ts';
import { hasWeights } from '../catalog/families/index.ts';
import { openWeights } from '../files/sharded.ts';
import type { WeightFile } from '../files/weight-file.ts';
import { folderParameters, jsonObject, refuseQuantised } from '../nn/checkpoint-parts.ts';
import { textWidth } from '../nn/latent-diffusion-kinds.ts';
import { componentOf, openTexts, openVae, type BaseFiles, type FilePart, type OpenComponent, type OpenedFiles } from './model-file.ts';

/**
 * What no family computes with (a safety checker, an image encoder) may be incomplete. Errors: `model.not-a-model`,
 * `model.bad-config`, `model.no-part`, those of the weight files.
 */
export function openModelFolder({ model: root, vae, textEncoders = [] }: BaseFiles, isRandom: boolean): OpenedFiles {
  const components = new Map<string, OpenComponent>();
  for (const entry of readdirSync(root, { withFileTypes: true })) {
    const folder = join(root, entry.name);
    if (!entry.isDirectory() && !entry.isSymbolicLink()) continue;
    const configFile = ['config.json', 'scheduler_config.json'].map((name) => join(folder, name)).find((file) => existsSync(file));
    if (!configFile) continue;
    const config = jsonObject(readFileSync(configFile, 'utf8'), `"${configFile}"`);
    const replaced = (entry.name === 'vae' && vae !== undefined) || (entry.name.startsWith('text_encoder') && textEncoders.length > 0);
    const file = !hasWeights(entry.name) || replaced ? null : openIfPresent(folder, isRandom);
    if (file) refuseQuantised(file);
    components.set(entry.name, { config, file, parameters: file ? folderParameters(entry.name, config, file.tensors) : new Map() });
  }
  if (components.size === 0) throw notAModel(root);
  if (vae !== undefined) replace(components, 'vae', openVae(vae));
  for (const part of textEncoders.flatMap(openTexts)) replace(components, textComponentOf(components, part), part);
  return { components, unused: [], readText: (name) => readIfPresent(join(root, name)) };
}

/** What a person may have meant by a folder without parts. */
function notAModel(root: string): UserError {
  const names = readdirSync(root).sort();
  const file = names.find((name) => name.endsWith('.safetensors'));
  const version = names.includes('snapshots') ? readdirSync(join(root, 'snapshots')).sort()[0] : undefined;
  const advice = names.includes('config.json') ? 'It is one part of a model: name the folder above it.'
    : version !== undefined ? `It belongs to a cache of downloads: name the version in it, "${join(root, 'snapshots', version)}".`
      : file !== undefined ? `Name a checkpoint by its file, such as "${join(root, file)}".` : 'A checkpoint is named by its file.';
  return new UserError('model.not-a-model', `"${root}" is not a model in the diffusers layout: it has no folder such as "unet" with a config.json. ${advice}`, { root });
}

function replace(components: Map<string, OpenComponent>, name: string, part: FilePart): void {
  const old = components.get(name);
  if (!old) throw new UserError('model.no-component', `"${part.file.path}" cannot take the place of "${name}", of which the model has no configuration: use a model folder that has it.`, { component: name });
  components.set(name, componentOf(old.config, part, name.startsWith('text_encoder')));
}

function textComponentOf(components: ReadonlyMap<string, OpenComponent>, { file, tensors }: FilePart): string {
  const width = textWidth(tensors);
  const found = [...components].find(([name, { config }]) => name.startsWith('text_encoder') && config['hidden_size'] === width);
  if (!found) throw new UserError('model.no-component', `"${file.path}" is a text encoder of ${width} channels, and the model has none of that size: choose another file for base.textEncoders.`, { width });
  return found[0];
}

const readIfPresent = (file: string): string | null => (existsSync(file) ? readFileSync(file, 'utf8') : null);

function openIfPresent(folder: string, isRandom: boolean): WeightFile | null {
  try {
    return openWeights(folder);
  } catch (error) {
    if (error instanceof UserError && error.code === 'files.no-weights') {
      const isTokenizer = existsSync(join(folder, 'tokenizer_config.json'));
      if (isRandom || isTokenizer) return null;
    }
    throw error;
  }
}

// Small files beside an adapter or a merged model: cards and workflows that its programs take.
import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { consumers } from '../catalog/consumers/index.ts';
import type { BesideFacts, ModelFileNames, PictureRecipe } from '../catalog/define/beside.ts';
import type { NoiseSettings, Prediction } from '../catalog/define/family.ts';
import type { Program } from '../catalog/define/format.ts';
import { levelNames, type Sampler } from '../catalog/define/sampler.ts';
import { samplers } from '../catalog/samplers/index.ts';
import { writeFileAtomic } from '../files/atomic-write.ts';
import { modelName } from '../files/paths.ts';
import type { BaseFiles } from './model-file.ts';
import type { OpenModel } from './open-model.ts';
import type { AdapterUsed, PaintedWith, PictureSettings } from './picture.ts';
import { lastOf } from './export-data-facts.ts';

const ENDING = /\.safetensors$/;

/** A picture to make again in another program. */
export interface PictureElsewhere {
  readonly settings: PictureSettings;
  readonly noise: { readonly noise: NoiseSettings; readonly prediction: Prediction };
  readonly clipSkip: number | null;
  /** The base model's files. */
  readonly base: BaseFiles;
}

export interface WrittenBeside extends Pick<BesideFacts, 'title' | 'trigger' | 'note' | 'base'> {
  /** With what is loaded: the base of an adapter, or the merged model. */
  readonly picture: PictureElsewhere | null;
  readonly loaded: Pick<OpenModel, 'stored'>;
  readonly denoiser: string;
  /** Whether `path` is an adapter. */
  readonly isAdapter: boolean;
}

/** @param path of the file or folder that they stand beside. Gives the files written. */
export async function writeBeside(path: string, programs: readonly Program[], { picture, loaded, denoiser, isAdapter, ...facts }: WrittenBeside): Promise<string[]> {
  const told: BesideFacts = {
    ...facts, adapters: isAdapter ? [{ file: basename(path), strength: 1 }] : [], stem: basename(path).replace(ENDING, ''),
    picture: picture && recipeOf(picture, fileNames(picture.base, loaded, denoiser)),
  };
  const wanted = new Map(programs.flatMap((program) => consumers[program].beside?.(told) ?? []).map(({ ending, text }) => [ending, text]));
  const files: string[] = [];
  for (const [ending, text] of wanted) {
    const file = `${path.replace(ENDING, '')}${ending}`;
    await writeFileAtomic(file, text);
    files.push(file);
  }
  return files;
}

/** What a picture's text tells of it. @param adapters none for a model that is used by itself */
export function usedFor({ base, clipSkip, noise: { noise } }: Pick<PictureElsewhere, 'base' | 'clipSkip' | 'noise'>, adapters: readonly AdapterUsed[]): PaintedWith {
  return {
    model: modelName(base.model), adapters, ...(base.vae === undefined ? {} : { vae: lastOf(base.vae) }),
    ...(clipSkip === null ? {} : { clipSkip }), zeroTerminalSnr: noise.zeroTerminalSnr,
  };
}

/** The one adapter of an export, by its name for A1111; null where that would not show it. */
export const calledThere = (webuiName: string | null): readonly AdapterUsed[] => (webuiName === null ? [] : [{ name: webuiName, strength: 1, isForWebui: true }]);

/** A base model's files by name: other programs look for them in folders of their own. */
export function fileNames({ model, vae, textEncoders = [] }: BaseFiles, { stored }: Pick<OpenModel, 'stored'>, denoiser: string): ModelFileNames {
  const isFolder = statSync(model).isDirectory();
  const others = [...stored].filter(([component]) => component !== denoiser);
  const hasOthers = others.some(([, { file }]) => file.files.some(({ path }) => path === model));
  return {
    kind: isFolder ? 'folder' : hasOthers ? 'checkpoint' : 'denoiser',
    name: basename(model), vae: vae === undefined ? null : basename(vae), textEncoders: textEncoders.map((path) => basename(path)),
  };
}

export function recipeOf({ settings: { sampler, ...rest }, noise: { noise, prediction }, clipSkip }: Pick<PictureElsewhere, 'settings' | 'noise' | 'clipSkip'>, loads: ModelFileNames): PictureRecipe {
  const { node, levels } = (samplers as Readonly<Record<string, Sampler>>)[sampler]!.elsewhere;
  return { ...rest, sampler: node, scheduler: levelNames(levels, noise).node, clipSkip, noise: { prediction, zeroTerminalSnr: noise.zeroTerminalSnr }, loads };
}

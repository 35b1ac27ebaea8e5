// Small files that some programs take beside an adapter or a merged model.
import type { Prediction } from './family.ts';
import type { BaseFacts } from './format.ts';

/** How a picture was made, in the words of the program it is told to. */
export interface PictureRecipe {
  readonly prompt: string;
  readonly negative: string;
  readonly seed: number;
  readonly steps: number;
  readonly guidance: number;
  readonly width: number;
  readonly height: number;
  /** A node's names of the sampler and of its noise levels. */
  readonly sampler: string;
  readonly scheduler: string;
  readonly clipSkip: number | null;
  readonly noise: { readonly prediction: Prediction; readonly zeroTerminalSnr: boolean };
  /** What is loaded before the adapter, or the merged model. */
  readonly loads: ModelFileNames;
}

/** The files of a model by name, as a program has to load them. */
export interface ModelFileNames {
  /** A folder in the diffusers layout, a file with text encoders and autoencoder, or the denoiser alone. */
  readonly kind: 'folder' | 'checkpoint' | 'denoiser';
  readonly name: string;
  /** An autoencoder in place of the model's own. */
  readonly vae: string | null;
  /** Text encoders in place of the model's own; empty without. */
  readonly textEncoders: readonly string[];
}

/** An adapter's file by name, and the share of the way from the base to what it changes. */
export interface NamedAdapter {
  readonly file: string;
  readonly strength: number;
}

export interface BesideFacts {
  /** In the order in which they are applied; none with a merged model. */
  readonly adapters: readonly NamedAdapter[];
  /** What pictures made there are called. */
  readonly stem: string;
  readonly title: string;
  readonly trigger: string;
  readonly note: string;
  readonly base: Pick<BaseFacts, 'isVersion2' | 'kohyaVersion'>;
  /** The preview to make again there; null when there is none, as on a denoiser by itself. */
  readonly picture: PictureRecipe | null;
}

export interface Beside {
  /** What takes the place of `.safetensors` in the name. */
  readonly ending: string;
  readonly text: string;
}

/** The card of an adapter in A1111 and Forge (`<name>.json`). */
export function webuiCard({ adapters, title, trigger, note, base }: BesideFacts): Beside | null {
  if (adapters.length === 0) return null;
  const version = base.kohyaVersion.startsWith('sdxl') ? 'SDXL' : base.isVersion2 ? 'SD2' : base.kohyaVersion === 'sd_v1' ? 'SD1' : 'Unknown';
  const card = { description: title, 'sd version': version, 'activation text': trigger, 'preferred weight': 1, 'negative text': '', notes: note };
  return { ending: '.json', text: `${JSON.stringify(card, null, 2)}\n` };
}

// Small files that some programs take beside an adapter.
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
}

export interface BesideFacts {
  /** Name of the adapter's file. */
  readonly file: string;
  readonly title: string;
  readonly trigger: string;
  readonly note: string;
  readonly base: Pick<BaseFacts, 'name' | 'isVersion2' | 'kohyaVersion'>;
  readonly clipSkip: number | null;
  /** The preview to make again there; null when there is none. */
  readonly picture: PictureRecipe | null;
}

export interface Beside {
  /** What takes the place of `.safetensors` in the name. */
  readonly ending: string;
  readonly text: string;
}

/** The card of an adapter in A1111 and Forge (`<name>.json`). */
export function webuiCard({ title, trigger, note, base }: BesideFacts): Beside {
  const version = base.kohyaVersion.startsWith('sdxl') ? 'SDXL' : base.isVersion2 ? 'SD2' : base.kohyaVersion === 'sd_v1' ? 'SD1' : 'Unknown';
  const card = { description: title, 'sd version': version, 'activation text': trigger, 'preferred weight': 1, 'negative text': '', notes: note };
  return { ending: '.json', text: `${JSON.stringify(card, null, 2)}\n` };
}

// A picture that is asked for, and one that was painted.
import { rng } from '../base/rng.ts';
import { levelNames, type Sampler } from '../catalog/define/sampler.ts';
import { samplers } from '../catalog/samplers/index.ts';
import { writeFileAtomic } from '../files/atomic-write.ts';
import { encodePng } from '../files/images.ts';

export interface PictureSettings {
  readonly prompt: string;
  readonly negative: string;
  readonly seed: number;
  readonly sampler: string;
  readonly steps: number;
  /** Factor of classifier-free guidance; 1 is none. */
  readonly guidance: number;
  /** In pixels. */
  readonly width: number;
  readonly height: number;
}

export interface Picture {
  /** Rows from the top, RGB. */
  readonly rgb: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** Code of the error that ends painting when it shall stop; nothing has gone wrong then. */
export const PAINTING_STOPPED = 'sample.stopped';

/** The noise that a picture starts from, or that of one of its steps: given by its seed, whatever is painted with it. */
export function pictureNoise(seed: number, size: number, stream: 'start' | 'step', step = 0): Float32Array {
  return rng(seed, 'picture', stream, step).fillNormal(new Float32Array(size));
}

/** Planes [3,H,W] in [−1,1] to interleaved bytes. */
export function toRgb(pixels: Float32Array, width: number, height: number): Uint8Array {
  const plane = width * height;
  const rgb = new Uint8Array(3 * plane);
  for (let channel = 0; channel < 3; channel++) {
    for (let i = 0; i < plane; i++) {
      const value = (pixels[channel * plane + i]! + 1) / 2;
      rgb[3 * i + channel] = Math.round(255 * Math.min(1, Math.max(0, value)));
    }
  }
  return rgb;
}

export interface AdapterUsed {
  /** Name of the file without its ending. */
  readonly name: string;
  readonly strength: number;
  /** Whether A1111 shows it as it is; another is told of, and not called for. */
  readonly isForWebui: boolean;
}

/** What a picture was painted with, for the text in it. */
export interface PaintedWith {
  /** Name of the base model. */
  readonly model?: string;
  readonly adapters?: readonly AdapterUsed[];
  readonly clipSkip?: number;
  /** Name of an autoencoder's file that stands in for the model's own. */
  readonly vae?: string;
  readonly zeroTerminalSnr?: boolean;
  /** Nodes of ComfyUI that make the picture. */
  readonly workflow?: string | null;
}

/** The picture as a PNG with its settings in the text that A1111 and other tools read. */
export function picturePng({ rgb, width, height }: Picture, settings: PictureSettings, used: PaintedWith = {}): Promise<Buffer> {
  const { workflow = null } = used;
  // ComfyUI opens a picture by the text "prompt", which it takes for UTF-8 and other readers for Latin-1.
  return encodePng(rgb, width, height, { parameters: infoText(settings, used), ...(workflow === null ? {} : { prompt: inAscii(workflow) }) });
}

const inAscii = (json: string): string => json.replaceAll(/[^\x20-\x7e\n]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

export async function savePicture(file: string, picture: Picture, settings: PictureSettings, used: PaintedWith = {}): Promise<void> {
  await writeFileAtomic(file, await picturePng(picture, settings, used));
}

/**
 * A1111's text of a picture, with its names of samplers and noise levels: pasted there it asks for the same picture (its noise
 * is its own).
 */
export function infoText({ prompt, negative, steps, sampler, guidance, seed, width, height }: PictureSettings, { model, adapters = [], clipSkip, vae, zeroTerminalSnr = false }: PaintedWith = {}): string {
  const { infotext, levels } = (samplers as Readonly<Record<string, Sampler>>)[sampler]!.elsewhere;
  const wanted = asPlainText(prompt);
  const called = [wanted, ...adapters.filter(({ isForWebui }) => isForWebui).map(({ name, strength }) => `<lora:${name}:${strength}>`)].join(' ').trim();
  const others = adapters.filter(({ isForWebui }) => !isForWebui).map(({ name, strength }) => `${name}:${strength}`).join(', ');
  const excluded = negative === '' ? '' : `Negative prompt: ${asPlainText(negative)}\n`;
  const facts: readonly (readonly [string, string | number | undefined])[] = [
    ['Steps', steps], ['Sampler', infotext], ['Schedule type', levelNames(levels, { zeroTerminalSnr }).infotext], ['CFG scale', guidance],
    ['Seed', seed], ['Size', `${width}x${height}`], ['Model', model], ['Adapters', others === '' ? undefined : others], ['VAE', vae], ['Clip skip', clipSkip], ['Noise Schedule', zeroTerminalSnr ? 'Zero Terminal SNR' : undefined],
  ];
  return `${called}\n${excluded}${facts.flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${quoted(value)}`])).join(', ')}`;
}

/** Brackets change weights there and two words in capitals part a prompt; here all are text, and capitals make no other tokens. */
const asPlainText = (prompt: string): string => prompt.replaceAll(/[\\()[\]]/g, '\\$&').replaceAll(/\b(?:AND|BREAK)\b/g, (word) => word.toLowerCase());

/** Values with separators in them stand in quotes. */
const quoted = (value: string | number): string => (typeof value === 'string' && /[,:\n"]/.test(value) ? JSON.stringify(value) : String(value));

// From a picture's caption to the text of one training step. Pure: the random choices are named by what they are for.
import { rng } from '../base/rng.ts';
import type { CaptionSettings } from './types.ts';

/** Names one use of one picture. */
export interface CaptionUse {
  readonly seed: number;
  readonly item: number;
  /** Counts the uses of this picture over all epochs. */
  readonly occurrence: number;
}

/** Prefix and caption as one text, with a space between them where the prefix does not bring its own. */
export function withPrefix(prefix: string, caption: string, separator: string): string {
  const text = caption.trim();
  if (prefix.trim() === '') return text;
  if (text === '') {
    const bare = prefix.trim();
    const end = separator.trim();
    return end !== '' && bare.endsWith(end) ? bare.slice(0, -end.length).trim() : bare;
  }
  return `${prefix.trim()} ${text}`;
}

/** The parts of a caption in a new order, the first `keepTokens` in their place; empty parts go. */
function shuffled(caption: string, { separator, keepTokens }: CaptionSettings, use: CaptionUse): string {
  const parts = caption.split(separator).map((part) => part.trim()).filter((part) => part !== '');
  const fixed = parts.slice(0, keepTokens);
  const loose = parts.slice(keepTokens);
  const order = rng(use.seed, 'caption-shuffle', use.item, use.occurrence).shuffle(loose.length);
  const glue = separator.trim() === '' ? separator : `${separator.trimEnd()} `;
  return [...fixed, ...order.map((index) => loose[index]!)].join(glue);
}

/**
 * The text to train with: empty with the chance `dropout` (prefix too, so that the model keeps an unconditional
 * answer for classifier-free guidance), else prefix and caption, whose parts are shuffled if wished. `null` is a
 * picture without caption.
 */
export function captionFor(caption: string | null, settings: CaptionSettings, use: CaptionUse): string {
  const { dropout, shuffle, prefix, separator } = settings;
  if (dropout > 0 && rng(use.seed, 'caption-dropout', use.item, use.occurrence).uniform() < dropout) return '';
  const text = caption ?? '';
  return withPrefix(prefix, shuffle ? shuffled(text, settings, use) : text, separator);
}

/**
 * Every text that `captionFor` can give for these captions, each once, the empty one first (guidance needs it
 * anyway), or null when captions are shuffled and there are too many to list.
 */
export function possibleTexts(captions: readonly (string | null)[], settings: CaptionSettings): string[] | null {
  if (settings.shuffle) return null;
  return [...new Set(['', ...captions.map((caption) =>
    withPrefix(settings.prefix, caption ?? '', settings.separator))])];
}

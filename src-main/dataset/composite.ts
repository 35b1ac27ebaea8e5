// The one stage that removes transparency. Decoding keeps alpha; whoever wants it gone comes here and says so.
import { assert } from '../base/errors.ts';
import { composite, type Pixels } from '../files/images.ts';

export type Colour = readonly [red: number, green: number, blue: number];

/** `#rrggbb` to 0-255. */
export function parseColour(text: string): Colour {
  const match = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(text);
  assert(match !== null, `"${text}" is no colour`);
  return [parseInt(match[1]!, 16), parseInt(match[2]!, 16), parseInt(match[3]!, 16)];
}

/** RGB of the picture over the colour; a picture without alpha comes back as it is. */
export const compositeOn = (pixels: Pixels, background: Colour): Pixels => composite(pixels, background);

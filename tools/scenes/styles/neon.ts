import { fromHsl, hslOf, mix } from '../palette.ts';
import type { Part } from '../pen.ts';
import type { Style } from './style.ts';

const dark = '#0a0620';

/** The colour of a tube: full saturation; greys, black and white become cool white light. */
function tubeOf(colour: string): string {
  const [hue, saturation, lightness] = hslOf(colour);
  if (saturation < 0.2 || lightness > 0.9) return lightness < 0.5 ? '#8a90b8' : '#eef8ff';
  return fromHsl(hue, 1, 0.6);
}

function glow(path: string, colour: string, width: number): string {
  const stroke = (grown: number, paint: string, opacity: number): string =>
    `<path d="${path}" fill="none" stroke="${paint}" stroke-width="${grown.toFixed(2)}" ` +
    `stroke-opacity="${opacity}" stroke-linejoin="round" stroke-linecap="round"/>`;
  return (
    stroke(width + 4.4, colour, 0.14) + stroke(width + 2.2, colour, 0.3) +
    stroke(width, colour, 1) + stroke(width * 0.4, mix(colour, '#ffffff', 0.75), 1)
  );
}

/** Neon tubes at night: everything is dark but for its glowing outline. */
export const neon: Style = {
  paint: ({ parts }) => {
    const shapes = parts.map((part: Part) => {
      const { role, path, colour, toColour, line } = part;
      const tube = tubeOf(toColour === undefined ? colour : mix(colour, toColour, 0.3));
      if (role === 'sky') return `<path d="${path}" fill="${mix(dark, tube, 0.1)}"/>`;
      if (line !== undefined) return glow(path, tube, role === 'air' ? 0.7 : Math.min(line, 1));
      if (role === 'detail') return `<path d="${path}" fill="${tube}" fill-opacity="0.85"/>`;
      if (role === 'speck') return `<path d="${path}" fill="${tube}"/>`;
      const body = `<path d="${path}" fill="${mix(dark, tube, role === 'subject' ? 0.22 : 0.07)}"/>`;
      // The fill of a shape with several lobes covers the tubes inside it, which leaves one tube all round.
      const lobes = path.split('Z').length > 2;
      const width = role === 'subject' ? 1.6 : 1;
      return lobes ? glow(path, tube, width + 1) + body : body + glow(path, tube, width);
    });
    return `<rect width="64" height="64" fill="${dark}"/>${shapes.join('')}`;
  },
};

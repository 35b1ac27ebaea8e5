import { lumaOf, mix } from '../palette.ts';
import type { Sky } from '../scene.ts';
import type { Style } from './style.ts';

const paper = '#f7efd9';
const wash = '#e3d3ac';
const black = '#1b1714';

/** Parallel strokes `gap` apart, turned by `angle` degrees, over a ground. */
function hatch(name: string, angle: number, gap: number, width: number, ground: string): string {
  const lattice = `patternUnits="userSpaceOnUse" patternTransform="rotate(${angle})"`;
  return (
    `<pattern id="${name}" width="${gap}" height="${gap}" ${lattice}>` +
    `<rect width="${gap}" height="${gap}" fill="${ground}"/>` +
    `<rect width="${gap}" height="${width}" fill="${black}"/></pattern>`
  );
}

const patterns = [
  hatch('light', -40, 4.6, 1, paper),
  hatch('middle', -40, 3.8, 1.3, wash),
  hatch('deep', 50, 3.6, 2.1, wash),
].join('');

const skyTones: Readonly<Partial<Record<Sky, string>>> = { night: black, rain: wash };

/** From light to dark: bare paper, a wash, three grades of hatching, black. */
function tone(luma: number): string {
  if (luma > 0.78) return paper;
  if (luma > 0.6) return wash;
  if (luma > 0.46) return 'url(#light)';
  if (luma > 0.32) return 'url(#middle)';
  return luma > 0.18 ? 'url(#deep)' : black;
}

/** Pen and ink on cream paper: black outlines, shadows made of hatching, no colour at all. */
export const ink: Style = {
  paint: ({ parts, scene }) => {
    const shapes = parts.map(({ role, path, colour, toColour, line }) => {
      if (line !== undefined) {
        return `<path d="${path}" fill="none" stroke="${black}" stroke-width="${Math.min(line, 1.1).toFixed(2)}"/>`;
      }
      if (role === 'sky') return `<path d="${path}" fill="${skyTones[scene.sky] ?? paper}"/>`;
      if (role === 'speck') return `<path d="${path}" fill="${scene.sky === 'night' ? paper : black}"/>`;
      const shade = tone(lumaOf(mix(colour, toColour ?? colour, 0.5)));
      // Outlines lie under the fill, so that overlapping lobes of one shape merge; a rim of bare paper round them
      // keeps the subject apart from a hatched or black background.
      const outline = (paint: string, width: number): string =>
        `<path d="${path}" fill="none" stroke="${paint}" stroke-width="${width}" stroke-linejoin="round"/>`;
      const rims = role === 'subject' ? outline(paper, 5) + outline(black, 3) : outline(black, 2);
      return `${rims}<path d="${path}" fill="${shade}"/>`;
    });
    return `<defs>${patterns}</defs><rect width="64" height="64" fill="${paper}"/>${shapes.join('')}`;
  },
};

import { fromHsl, hslOf, mix } from '../palette.ts';
import { rect, unitsAcross } from '../pen.ts';
import type { Part } from '../pen.ts';
import { randomOf } from '../random.ts';
import type { Random } from '../random.ts';
import type { Style } from './style.ts';

const lead = '#120e12';

/** The nearest colour of a glazier: deep and saturated, greys turned bluish, white turned to milk glass. */
function glassOf(colour: string): string {
  const [hue, saturation, lightness] = hslOf(colour);
  if (lightness > 0.88) return '#fdf3cf';
  if (saturation < 0.22) return fromHsl(saturation < 0.05 ? 225 : hue, 0.34, 0.16 + lightness * 0.55);
  return fromHsl(hue, Math.max(saturation, 0.92), 0.2 + lightness * 0.48);
}

/** Wedges around a centre, as panes of slightly different glass. */
function wedges(colour: string, x: number, y: number, count: number, random: Random): string {
  const turn = random.between(0, 1);
  return Array.from({ length: count }, (_, i) => {
    const corner = (step: number): string => {
      const angle = ((step + turn) * 2 * Math.PI) / count;
      return `${(x + 96 * Math.cos(angle)).toFixed(1)} ${(y + 96 * Math.sin(angle)).toFixed(1)}`;
    };
    const pane = mix(colour, i % 2 === 0 ? '#ffffff' : '#000018', random.between(0.06, 0.3));
    const path = `M${x} ${y} L${corner(i)} L${corner(i + 1)} Z`;
    return `<path d="${path}" fill="${pane}" stroke="${lead}" stroke-width="1.3"/>`;
  }).join('');
}

/** Leaded glass: jewel-coloured panes between thick black lines; sky and ground fan out in rays. */
export const stainedGlass: Style = {
  paint: ({ scene, parts, horizon }) => {
    const random = randomOf(scene.detail, 7);
    const clips: string[] = [];
    const fan = (part: Part, y: number, count: number): string => {
      clips.push(`<clipPath id="pane${clips.length}"><path d="${part.path}"/></clipPath>`);
      const colour = glassOf(mix(part.colour, part.toColour ?? part.colour, 0.4));
      return `<g clip-path="url(#pane${clips.length - 1})">${wedges(colour, 32, y, count, random)}</g>`;
    };
    const shapes = parts.map((part) => {
      const { path, role, line } = part;
      const colour = glassOf(part.colour);
      const stroke = (paint: string, width: number): string =>
        `<path d="${path}" fill="none" stroke="${paint}" stroke-width="${width.toFixed(2)}" ` +
        `stroke-linejoin="round" stroke-linecap="round"/>`;
      if (line !== undefined) return (role === 'air' ? '' : stroke(lead, line + 1)) + stroke(colour, line);
      const plain = `<path d="${path}" fill="${colour}"/>`;
      if (role === 'speck') return plain;
      // The rim lies under the fill, so that overlapping lobes of one shape merge into one pane.
      const rim = stroke(lead, role === 'detail' ? 1.4 : 3);
      if (role === 'sky') return rim + fan(part, horizon + 2, 18);
      return rim + (part.toColour === undefined ? plain : fan(part, horizon - 14, 16));
    });
    const frame = `<path d="${rect(0, 0, unitsAcross, unitsAcross)}" fill="none" stroke="${lead}" stroke-width="3.4"/>`;
    return `<defs>${clips.join('')}</defs>${shapes.join('')}${frame}`;
  },
};

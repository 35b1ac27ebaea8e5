import { fromHsl, hexOf, hslOf, rgbOf } from '../palette.ts';
import type { Rgb } from '../palette.ts';
import { plain } from './plain.ts';
import type { Style } from './style.ts';

const tilesAcross = 16;
const grout: Rgb = [38, 32, 44];

/** The nearest tile on the shelf, as one number: 12 hues, grey or bright, four steps of light. */
function shelfOf(r: number, g: number, b: number): number {
  const [hue, saturation, lightness] = hslOf(hexOf([r, g, b]));
  const light = Math.min(3, Math.floor(lightness * 4));
  return saturation < 0.25 || lightness > 0.92 ? 100 + light : (Math.round(hue / 30) % 12) * 4 + light;
}

function tileOf(shelf: number): Rgb {
  if (shelf >= 100) return rgbOf(['#3c3a4c', '#77798c', '#b9bcc9', '#fdfaf0'][shelf - 100] ?? '#000000');
  return rgbOf(fromHsl(Math.floor(shelf / 4) * 30, 0.85, [0.18, 0.4, 0.57, 0.76][shelf % 4] ?? 0));
}

/** A floor mosaic: square tiles of few colours, each the commonest of what it covers, with dark joints between. */
export const mosaic: Style = {
  paint: plain.paint,
  finish: (pixels, size) => {
    const out = new Uint8Array(pixels.length);
    const edge = (tile: number): number => Math.round((tile * size) / tilesAcross);
    const joint = Math.max(1, Math.round(size / 64));
    for (let tile = 0; tile < tilesAcross * tilesAcross; tile += 1) {
      const [column, row] = [tile % tilesAcross, Math.floor(tile / tilesAcross)];
      const [x0, x1, y0, y1] = [edge(column), edge(column + 1), edge(row), edge(row + 1)];
      const votes = new Map<number, number>();
      let winner = 0;
      for (let y = y0; y < y1; y += 1) {
        for (let x = x0; x < x1; x += 1) {
          const at = (y * size + x) * 3;
          const shelf = shelfOf(pixels[at] ?? 0, pixels[at + 1] ?? 0, pixels[at + 2] ?? 0);
          const count = (votes.get(shelf) ?? 0) + 1;
          votes.set(shelf, count);
          if (count > (votes.get(winner) ?? 0)) winner = shelf;
        }
      }
      const colour = tileOf(winner);
      for (let y = y0; y < y1; y += 1) {
        for (let x = x0; x < x1; x += 1) out.set(x < x0 + joint || y < y0 + joint ? grout : colour, (y * size + x) * 3);
      }
    }
    return out;
  },
};

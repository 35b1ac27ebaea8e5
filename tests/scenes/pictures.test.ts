import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { hslOf, hexOf, fromHsl, lumaOf, mix } from '../../tools/scenes/palette.ts';
import { ellipse, mapPath, poly } from '../../tools/scenes/pen.ts';
import { render, renderPixels, svgOf } from '../../tools/scenes/render.ts';
import { habits, kinds, sampleScene } from '../../tools/scenes/scene.ts';
import type { Colour, Scene } from '../../tools/scenes/scene.ts';
import { styleNames } from '../../tools/scenes/styles/index.ts';

const size = 64;

/** Mean absolute difference of two pictures, in steps of 255. */
function distance(a: Uint8Array, b: Uint8Array): number {
  return a.reduce((sum, value, i) => sum + Math.abs(value - (b[i] ?? 0)), 0) / a.length;
}

/** Where two pictures differ: the share of pixels and the mean column. */
function difference(a: Uint8Array, b: Uint8Array): { share: number; column: number } {
  const columns: number[] = [];
  for (let i = 0; i < size * size; i += 1) {
    const changed = [0, 1, 2].some((c) => Math.abs((a[i * 3 + c] ?? 0) - (b[i * 3 + c] ?? 0)) > 12);
    if (changed) columns.push(i % size);
  }
  return { share: columns.length / (size * size), column: columns.reduce((x, y) => x + y, 0) / columns.length };
}

/** The same scene with its subject in another colour; nothing else changes. */
function recoloured(scene: Scene, colour: Colour): Scene {
  return { ...scene, subject: { ...scene.subject, colour } };
}

/** A quiet scene that shows `kind` and little else. */
function sceneOf(kind: (typeof kinds)[number], place: 'left' | 'middle' | 'right'): Scene {
  const ground = habits[kind].grounds[0] ?? 'meadow';
  const subject = { kind, colour: 'red', place } as const;
  return { sky: 'day', skyItem: 'none', ground, backdrop: 'none', subject, extra: null, detail: 5, wording: 1 };
}

describe('pictures show what the caption says', () => {
  test.each(kinds)('%s: its colour covers a large area at the place that is named', async (kind) => {
    const centre: Record<string, number> = {};
    for (const place of ['left', 'middle', 'right'] as const) {
      const scene = sceneOf(kind, place);
      const red = await renderPixels(scene, { size });
      const other = await renderPixels(recoloured(scene, 'blue'), { size });
      const { share, column } = difference(red, other);
      // What changes is what has the colour: of a palm that is the crown, of a flower the petals.
      expect(share).toBeGreaterThan(0.04);
      expect(share).toBeLessThan(0.5);
      centre[place] = column;
    }
    expect(centre.left).toBeLessThan(27);
    expect(Math.abs((centre.middle ?? 0) - 32)).toBeLessThan(7);
    expect(centre.right).toBeGreaterThan(37);
  });

  test('a red subject is red and a blue one blue', async () => {
    const hues = { red: 0, yellow: 50, green: 125, blue: 220, purple: 280 } as const;
    for (const [colour, hue] of Object.entries(hues) as [keyof typeof hues, number][]) {
      const scene = sceneOf('balloon', 'middle');
      const pixels = await renderPixels(recoloured(scene, colour), { size });
      const changed = await renderPixels(recoloured(scene, 'white'), { size });
      let near = 0;
      let all = 0;
      for (let i = 0; i < pixels.length; i += 3) {
        if (distance(pixels.subarray(i, i + 3), changed.subarray(i, i + 3)) < 40) continue;
        const [seen] = hslOf(hexOf([pixels[i] ?? 0, pixels[i + 1] ?? 0, pixels[i + 2] ?? 0]));
        all += 1;
        if (Math.abs(((seen - hue + 540) % 360) - 180) < 25) near += 1;
      }
      expect(all).toBeGreaterThan(200);
      expect(near / all, colour).toBeGreaterThan(0.85);
    }
  });

  test('night is dark, snowfall bright, sunset red and day blue at the top', async () => {
    const top = async (sky: Scene['sky']): Promise<string> => {
      const pixels = await renderPixels({ ...sceneOf('house', 'middle'), sky }, { size });
      return hexOf([pixels[0] ?? 0, pixels[1] ?? 0, pixels[2] ?? 0]);
    };
    expect(lumaOf(await top('night'))).toBeLessThan(0.15);
    expect(lumaOf(await top('snowfall'))).toBeGreaterThan(0.55);
    expect(hslOf(await top('day'))[0]).toBeCloseTo(209, -1);
    expect(hslOf(await top('sunset'))[0]).toBeGreaterThan(330);
  });

  test('a small companion stands on the other side', async () => {
    const scene = sceneOf('house', 'left');
    const alone = await renderPixels(scene, { size });
    const extra = { kind: 'tree', colour: 'orange', place: 'right' } as const;
    const { share, column } = difference(alone, await renderPixels({ ...scene, extra }, { size }));
    expect(column).toBeGreaterThan(45);
    expect(share).toBeGreaterThan(0.01);
  });
});

describe('rendering', () => {
  test.each(styleNames)('%s gives PNG files of the size asked for, the same bytes each time', async (style) => {
    const scene = sampleScene(3, 4);
    for (const edge of [64, 96]) {
      const png = await render(scene, { size: edge, style });
      const { width, height, channels, format } = await sharp(png).metadata();
      expect({ width, height, channels, format }).toEqual({ width: edge, height: edge, channels: 3, format: 'png' });
      expect(await render(scene, { size: edge, style })).toEqual(png);
      expect(svgOf(scene, edge, style)).not.toMatch(/NaN|undefined|Infinity/);
    }
  });

  test('styles are far from the plain pictures and from each other', async () => {
    const scenes = Array.from({ length: 12 }, (_, i) => sampleScene(21, i));
    const pictures = new Map<string, Uint8Array[]>();
    for (const style of styleNames) {
      pictures.set(style, await Promise.all(scenes.map((scene) => renderPixels(scene, { size, style }))));
    }
    for (const [a, some] of pictures) {
      for (const [b, others] of pictures) {
        if (a >= b) continue;
        const mean = some.reduce((sum, one, i) => sum + distance(one, others[i] ?? one), 0) / some.length;
        expect(mean, `${a} and ${b}`).toBeGreaterThan(25);
      }
    }
  });

  test('ink knows no colour, neon is dark', async () => {
    for (const index of [0, 5, 9]) {
      const ink = await renderPixels(sampleScene(2, index), { size, style: 'ink' });
      const neon = await renderPixels(sampleScene(2, index), { size, style: 'neon' });
      for (let i = 0; i < ink.length; i += 3) {
        expect(ink[i]).toBeGreaterThanOrEqual((ink[i + 2] ?? 0) - 1);
        expect((ink[i] ?? 0) - (ink[i + 2] ?? 0)).toBeLessThan(64);
      }
      expect(neon.reduce((sum, value) => sum + value, 0) / neon.length).toBeLessThan(90);
    }
  });
});

describe('tools of the pen', () => {
  test('an ellipse keeps its shape under a map of its points', () => {
    const moved = mapPath(ellipse(10, 20, 4, 3), (x, y) => [2 * x + 1, 2 * y - 1]);
    const numbers = (path: string): number[] => (path.match(/-?[\d.]+/g) ?? []).map(Number);
    numbers(ellipse(21, 39, 8, 6)).forEach((value, i) => expect(numbers(moved)[i]).toBeCloseTo(value, 2));
    expect(mapPath(poly(0, 0, 1, -1, 2.5, 3), (x, y) => [y, x])).toBe('M0.00 0.00 L-1.00 1.00 L3.00 2.50 Z');
  });

  test('colours convert back and forth', () => {
    for (const hex of ['#000000', '#ffffff', '#123456', '#fedcba', '#808080', '#00ff7f']) {
      expect(fromHsl(...hslOf(hex))).toBe(hex);
      expect(mix(hex, '#ffffff', 0)).toBe(hex);
    }
    expect(mix('#000000', '#ffffff', 0.5)).toBe('#808080');
  });
});

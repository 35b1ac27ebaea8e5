import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { captionOf } from '../../tools/scenes/caption.ts';
import { renderPixels } from '../../tools/scenes/render.ts';
import { kinds, sampleScene } from '../../tools/scenes/scene.ts';

const folderOf = (name: string): string => fileURLToPath(new URL(`../../assets/demo/${name}/`, import.meta.url));

describe.each([
  { name: 'neon', seed: 2163, count: 24 },
  { name: 'holdout', seed: 5528, count: 8 },
])('demo set $name', ({ name, seed, count }) => {
  const stems = Array.from({ length: count }, (_, i) => String(i).padStart(6, '0'));

  test('is what the drawing tool makes from its seed', async () => {
    expect((await readdir(folderOf(name))).sort()).toEqual(stems.flatMap((stem) => [`${stem}.png`, `${stem}.txt`]));
    for (const [i, stem] of stems.entries()) {
      const scene = sampleScene(seed, i);
      expect(await readFile(`${folderOf(name)}${stem}.txt`, 'utf8')).toBe(`${captionOf(scene)}\n`);
      const kept = await sharp(`${folderOf(name)}${stem}.png`).removeAlpha().raw().toBuffer();
      const drawn = await renderPixels(scene, { size: 128, style: 'neon' });
      expect(kept.length).toBe(drawn.length);
      // Not byte for byte: another release of the SVG renderer may round edges differently.
      expect(kept.reduce((sum, value, at) => sum + Math.abs(value - (drawn[at] ?? 0)), 0) / kept.length).toBeLessThan(2);
    }
  });

  test('shows different subjects', () => {
    const shown = new Set(stems.map((_, i) => sampleScene(seed, i).subject.kind));
    expect(shown.size).toBe(Math.min(count, kinds.length));
  });
});

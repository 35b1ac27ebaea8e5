import { mix } from '../palette.ts';
import { poly, rect } from '../pen.ts';
import type { Part } from '../pen.ts';
import type { Random } from '../random.ts';
import type { Backdrop, Scene, Sky } from '../scene.ts';
import { litFar } from './light.ts';

/** Draws one backdrop standing on the line y = `base`. */
type Draw = (base: number, sky: Sky, random: Random) => Part[];

const mountains: Draw = (base, sky, random) => {
  const ridges = [[10, 17, 17], [54, 18, 17], [32, 23, 18]] as const;
  return ridges.flatMap(([x, height, half]): Part[] => {
    const top = base - height - random.between(-2, 2);
    const middle = x + random.between(-3, 3);
    const [left, right, snowLine] = [middle - half * 0.3, middle + half * 0.3, top + 6.5];
    const rock = poly(middle - half, base, middle, top, middle + half, base);
    const snow = poly(left, snowLine, middle, top, right, snowLine, middle, top + 4.5);
    return [
      { role: 'far', colour: litFar('#7a7fa8', sky), path: rock },
      { role: 'far', colour: litFar('#ffffff', sky, 0.5), path: snow },
    ];
  });
};

const hills: Draw = (base, sky, random) => {
  const colour = litFar('#4f9f5a', sky);
  const crest = random.between(9, 12);
  return [
    { role: 'far', colour: mix(colour, '#000000', 0.12), path: `M-4 ${base} Q14 ${base - crest * 2} 38 ${base} Z` },
    { role: 'far', colour, path: `M22 ${base} Q48 ${base - crest * 2.3} 70 ${base} Z` },
  ];
};

const forest: Draw = (base, sky, random) => {
  const trees: string[] = [];
  for (let x = -2; x < 67; x += 6) trees.push(poly(x - 4.6, base, x, base - random.between(11, 16), x + 4.6, base));
  return [{ role: 'far', colour: litFar('#1f5c3a', sky), path: trees.join(' ') }];
};

const city: Draw = (base, sky, random) => {
  const colour = litFar('#5d6480', sky);
  const towers: string[] = [];
  const windows: string[] = [];
  for (let x = 1; x < 62; x += 9) {
    const height = random.between(10, 22);
    towers.push(rect(x, base - height, 8, height));
    for (let y = base - height + 2; y < base - 3; y += 5) {
      windows.push(rect(x + 1.4, y, 2, 2.6), rect(x + 4.6, y, 2, 2.6));
    }
  }
  return [
    { role: 'far', colour, path: towers.join(' ') },
    { role: 'detail', colour: sky === 'night' ? '#ffe27a' : mix(colour, '#ffffff', 0.5), path: windows.join(' ') },
  ];
};

const backdrops: Readonly<Record<Backdrop, Draw>> = { none: () => [], mountains, hills, forest, city };

/** What stands on the horizon. */
export function backdropParts(scene: Scene, horizon: number, random: Random): Part[] {
  return backdrops[scene.backdrop](horizon + 1.5, scene.sky, random);
}

import { tintOf } from './palette.ts';
import { Pen } from './pen.ts';
import type { Part } from './pen.ts';
import { randomOf } from './random.ts';
import type { Random } from './random.ts';
import { habits } from './scene.ts';
import type { Kind, Place, Scene, Thing } from './scene.ts';
import { backdropParts } from './setting/backdrop.ts';
import { groundParts } from './setting/ground.ts';
import { skyParts, weatherParts } from './setting/sky.ts';
import { subjects } from './subjects/index.ts';

/** A scene laid out as painted shapes, back to front; every style is another way of painting them. */
export interface Picture {
  scene: Scene;
  horizon: number;
  parts: Part[];
}

const across: Readonly<Record<Place, number>> = { left: 19.5, middle: 32, right: 44.5 };
const acrossSmall: Readonly<Record<Place, number>> = { left: 10, middle: 32, right: 54 };

/** Height of the 100-unit sheet in picture units: slim things are drawn taller so that all look about equally big. */
const sizes: Readonly<Record<Kind, number>> = {
  house: 38, castle: 40, lighthouse: 50, windmill: 44, tent: 38, tree: 44, pine: 44, palm: 44, cactus: 42, flower: 44,
  mushroom: 40, boat: 40, car: 36, train: 36, balloon: 42, cat: 40, bird: 38, fish: 38,
};

function drawThing(thing: Thing, small: boolean, horizon: number, random: Random): Part[] {
  const tint = tintOf(thing.colour, random);
  const { flies } = habits[thing.kind];
  const size = (small ? 0.44 : 1) * sizes[thing.kind] * random.between(0.93, 1.05);
  const x = (small ? acrossSmall : across)[thing.place] + random.between(-1.5, 1.5);
  const floor = small ? horizon + random.between(7, 9) : random.between(56, 59);
  const hover = thing.kind === 'fish' ? 46 : small ? 24 : 46;
  const pen = new Pen(x, flies ? hover + random.between(-2, 2) : floor, size);
  subjects[thing.kind](pen, tint, random);
  return pen.parts;
}

/** Lays a scene out. */
export function pictureOf(scene: Scene): Picture {
  // A stream for each layer, so that changing one leaves the others as they were.
  const layer = (number: number): Random => randomOf(scene.detail, number);
  const horizon = layer(0).between(38, 41);
  const parts = [
    ...skyParts(scene, horizon, layer(1)),
    ...backdropParts(scene, horizon, layer(2)),
    ...groundParts(scene, horizon, layer(3)),
    ...(scene.extra === null ? [] : drawThing(scene.extra, true, horizon, layer(4))),
    ...drawThing(scene.subject, false, horizon, layer(5)),
    ...weatherParts(scene, layer(6)),
  ];
  return { scene, horizon, parts };
}

import { hash32, randomOf } from './random.ts';
import type { Random } from './random.ts';

export const colours = ['red', 'blue', 'yellow', 'green', 'white', 'black', 'orange', 'purple', 'pink'] as const;
export const skies = ['day', 'sunset', 'night', 'grey', 'rain', 'snowfall'] as const;
export const grounds = ['meadow', 'desert', 'snow', 'sea', 'beach', 'road'] as const;
export const backdrops = ['none', 'mountains', 'hills', 'forest', 'city'] as const;
export const skyItems = ['none', 'sun', 'clouds', 'rainbow', 'moon'] as const;
export const places = ['left', 'middle', 'right'] as const;
export const kinds = [
  'house', 'castle', 'lighthouse', 'windmill', 'tent', 'tree', 'pine', 'palm', 'cactus', 'flower', 'mushroom',
  'boat', 'car', 'train', 'balloon', 'cat', 'bird', 'fish',
] as const;

export type Colour = (typeof colours)[number];
export type Sky = (typeof skies)[number];
export type Ground = (typeof grounds)[number];
export type Backdrop = (typeof backdrops)[number];
export type SkyItem = (typeof skyItems)[number];
export type Place = (typeof places)[number];
export type Kind = (typeof kinds)[number];

export interface Thing {
  kind: Kind;
  colour: Colour;
  place: Place;
}

/** All that a picture shows. `detail` seeds the shapes that no caption names; `wording` seeds the caption's form. */
export interface Scene {
  sky: Sky;
  skyItem: SkyItem;
  ground: Ground;
  backdrop: Backdrop;
  subject: Thing;
  extra: Thing | null;
  detail: number;
  wording: number;
}

interface Habits {
  colours: readonly Colour[];
  grounds: readonly Ground[];
  /** Hovers above the ground. */
  flies?: true;
}

const land = ['meadow', 'desert', 'snow', 'beach', 'road'] as const;
const natural = ['meadow', 'desert', 'snow', 'beach'] as const;

/** Where each kind is found and in which colours. */
export const habits: Readonly<Record<Kind, Habits>> = {
  house: { colours, grounds: land },
  castle: { colours, grounds: natural },
  lighthouse: { colours, grounds: ['beach', 'beach', 'meadow', 'snow'] },
  windmill: { colours, grounds: natural },
  tent: { colours, grounds: natural },
  tree: {
    colours: ['green', 'green', 'yellow', 'orange', 'red', 'pink'],
    grounds: ['meadow', 'meadow', 'snow', 'road'],
  },
  pine: { colours: ['green', 'green', 'blue', 'white'], grounds: ['meadow', 'snow', 'snow', 'road'] },
  palm: { colours: ['green'], grounds: ['desert', 'beach', 'beach', 'meadow'] },
  cactus: { colours: ['green'], grounds: ['desert', 'desert', 'beach', 'meadow'] },
  flower: {
    colours: ['red', 'blue', 'yellow', 'white', 'orange', 'purple', 'pink'],
    grounds: ['meadow', 'meadow', 'desert'],
  },
  mushroom: { colours, grounds: ['meadow', 'meadow', 'desert', 'snow'] },
  boat: { colours, grounds: ['sea', 'sea', 'sea', 'beach'] },
  car: { colours, grounds: ['road', 'road', 'meadow', 'desert', 'snow', 'beach'] },
  train: { colours, grounds: ['meadow', 'desert', 'snow'] },
  balloon: { colours, grounds, flies: true },
  cat: { colours: ['white', 'black', 'orange', 'yellow', 'blue', 'purple', 'pink', 'red'], grounds: land },
  bird: { colours, grounds, flies: true },
  fish: { colours, grounds: ['sea'], flies: true },
};

const companions: Readonly<Record<Ground, readonly Kind[]>> = {
  meadow: ['tree', 'pine', 'house', 'flower', 'mushroom', 'cat', 'tent', 'bird', 'balloon'],
  desert: ['cactus', 'palm', 'tent', 'house', 'bird', 'balloon'],
  snow: ['pine', 'house', 'tree', 'tent', 'bird', 'balloon'],
  sea: ['boat', 'boat', 'bird', 'balloon'],
  beach: ['palm', 'tent', 'cat', 'boat', 'bird', 'balloon'],
  road: ['tree', 'house', 'car', 'cat', 'bird', 'balloon'],
};

const itemsOfSky: Readonly<Record<Sky, readonly SkyItem[]>> = {
  day: ['none', 'sun', 'clouds', 'rainbow'],
  sunset: ['none', 'sun'],
  night: ['none', 'moon'],
  grey: ['none'],
  rain: ['none'],
  snowfall: ['none'],
};

const backdropsOfGround: Readonly<Record<Ground, readonly Backdrop[]>> = {
  meadow: ['none', 'none', 'mountains', 'hills', 'forest', 'city'],
  desert: ['none', 'none', 'mountains', 'hills', 'city'],
  snow: ['none', 'none', 'mountains', 'forest', 'city'],
  sea: ['none', 'none', 'none', 'mountains', 'city'],
  beach: ['none'],
  road: ['none', 'hills', 'forest', 'city', 'mountains'],
};

const opposite: Readonly<Record<Place, readonly Place[]>> = {
  left: ['right'],
  middle: ['left', 'right'],
  right: ['left'],
};

function sampleThing(random: Random, kind: Kind, place: Place): Thing {
  return { kind, colour: random.pick(habits[kind].colours), place };
}

/**
 * Scene number `index` of the endless series `seed`. Kinds go round in turn (kind = index modulo their number), so
 * every stretch of a series shows all of them; the rest is drawn independently.
 */
export function sampleScene(seed: number, index: number): Scene {
  const random = randomOf(seed, index);
  const turn = Math.floor(index / kinds.length);
  const kind = kinds[(index + hash32(seed, turn)) % kinds.length] ?? 'house';
  const subject = sampleThing(random, kind, random.pick(places));
  const ground = random.pick(habits[kind].grounds);
  const sky = random.pick(['day', 'day', 'sunset', 'night', 'grey', 'rain', 'snowfall'] as const);
  const extraKind = random.pick(companions[ground].filter((other) => other !== kind));
  const extra = random.chance(0.4) ? sampleThing(random, extraKind, random.pick(opposite[subject.place])) : null;
  // A flying companion takes the place in the sky where the sun or the moon would be.
  const items = extra !== null && habits[extra.kind].flies ? (['none'] as const) : itemsOfSky[sky];
  return {
    sky,
    skyItem: random.pick(items),
    ground,
    backdrop: random.pick(backdropsOfGround[ground]),
    subject,
    extra,
    detail: random.below(0x7fffffff),
    wording: random.below(0x7fffffff),
  };
}

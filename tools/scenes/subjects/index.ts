import type { Kind } from '../scene.ts';
import { bird, cat, fish } from './animals.ts';
import { castle, house, lighthouse, tent, windmill } from './buildings.ts';
import { cactus, flower, mushroom, palm, pine, tree } from './plants.ts';
import type { Subject } from './subject.ts';
import { balloon, boat, car, train } from './vehicles.ts';

/** How each kind of thing is drawn. */
export const subjects: Readonly<Record<Kind, Subject>> = {
  house, castle, lighthouse, windmill, tent, tree, pine, palm, cactus, flower, mushroom,
  boat, car, train, balloon, cat, bird, fish,
};

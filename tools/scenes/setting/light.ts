import { mix } from '../palette.ts';
import type { Sky } from '../scene.ts';

/** The colour that each sky lays over what lies under it, and how strongly it does so near by and far away. */
const veils: Readonly<Record<Sky, readonly [colour: string, near: number, far: number]>> = {
  day: ['#ffffff', 0, 0.1],
  sunset: ['#d0506a', 0.18, 0.4],
  night: ['#12164a', 0.5, 0.5],
  grey: ['#9aa4ae', 0.22, 0.35],
  rain: ['#5a6672', 0.38, 0.5],
  snowfall: ['#dfe8f2', 0.25, 0.35],
};

/** A colour of the ground as it looks under a sky. */
export function litNear(colour: string, sky: Sky): string {
  const [veil, near] = veils[sky];
  return mix(colour, veil, near);
}

/** A colour on the horizon as it looks under a sky; `share` weakens the effect (snow on peaks keeps shining). */
export function litFar(colour: string, sky: Sky, share = 1): string {
  const [veil, , far] = veils[sky];
  return mix(colour, veil, far * share);
}

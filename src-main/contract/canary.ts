// How far pictures changed, and what that says of an adapter. Pure numbers: the app measures, tests and pages can too.

import type { Text } from './text.ts';

/**
 * Mean absolute difference of two pictures of the same size, as a share of the largest possible one: 0 to 1.
 * @param first interleaved channels, 8 bits each
 */
export function pictureDistance(first: Uint8Array, second: Uint8Array): number {
  if (first.length !== second.length || first.length === 0) throw new Error('Internal error: pictures of different size have no distance');
  let sum = 0;
  for (let at = 0; at < first.length; at++) sum += Math.abs(first[at]! - second[at]!);
  return sum / first.length / 255;
}

export type CanaryLevel = 'good' | 'warning' | 'bad' | 'unclear';

/** Below this the style prompt's picture has hardly changed: nothing can be said by comparison. */
const LEAST_CHANGE = 0.01;
/** Shares of the style prompt's change from which a prompt off the set changes too much. Rules of thumb. */
const [MUCH, AS_MUCH] = [0.6, 0.9];

/**
 * What a prompt that has nothing to do with the pictures tells: it should keep its picture while a style prompt's changes.
 * @param style change of the style prompt's picture against the base model's, 0 to 1
 * @param canary the same of the prompt off the set
 */
export function judgeCanary(style: number, canary: number): { readonly level: CanaryLevel; readonly share: number | null } & Text {
  if (style < LEAST_CHANGE) return { level: 'unclear', share: null, code: 'canary.unclear', data: {}, text: 'The style prompt’s own picture has hardly changed, so there is nothing to compare with yet.' };
  const share = canary / style;
  const data = { percent: Math.round(100 * share) };
  const head = `The prompt off the set changed ${data.percent} % as much as the style prompt`;
  if (share < MUCH) return { level: 'good', share, code: 'canary.good', data, text: `${head}: the adapter keeps to its style.` };
  if (share < AS_MUCH) return { level: 'warning', share, code: 'canary.warning', data, text: `${head}: the style begins to reach prompts that did not ask for it.` };
  return { level: 'bad', share, code: 'canary.bad', data, text: `${head}: everything is bent alike. Take an earlier step or a lower strength, unless the set was trained without words that call the style up.` };
}

// Pictures that are measured and never trained on.
import { createHash } from 'node:crypto';
import { UserError } from '../base/errors.ts';
import { byCodePoint, countOf, listNames, shortName } from './names.ts';
import type { DatasetWarning, MeasuredItem } from './types.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/**
 * Content hashes of `fraction` of the pictures (rounded, at least one, never all). Chosen by content: names, order
 * and seed do not matter, equal pictures stay together. Regularization pictures are left out.
 */
export function chooseHeldOut(items: readonly MeasuredItem[], fraction: number): Set<string> {
  const hashes = [...new Set(items.filter(({ regularization }) => !regularization).map(({ contentHash }) =>
    contentHash))];
  if (fraction <= 0 || hashes.length < 2) return new Set();
  const count = Math.min(hashes.length - 1, Math.max(1, Math.round(fraction * hashes.length)));
  const ranked = hashes.map((hash) => ({ hash, rank: sha256(`holdout ${hash}`) }));
  ranked.sort((a, b) => byCodePoint(a.rank, b.rank));
  return new Set(ranked.slice(0, count).map(({ hash }) => hash));
}

export interface Split {
  readonly training: readonly MeasuredItem[];
  readonly heldOut: readonly MeasuredItem[];
  readonly warnings: readonly DatasetWarning[];
}

/** Splits by a fraction. Held-out pictures count once each, whatever their repeats. */
export function splitByFraction(items: readonly MeasuredItem[], fraction: number): Split {
  const chosen = chooseHeldOut(items, fraction);
  const first = new Map(items.filter(({ regularization, contentHash }) =>
    !regularization && chosen.has(contentHash)).toReversed().map((item) => [item.contentHash, item]));
  return {
    training: items.filter(({ contentHash }) => !chosen.has(contentHash)),
    heldOut: items.filter((item) => first.get(item.contentHash) === item),
    warnings: fraction > 0 && chosen.size === 0 ? [{
      code: 'dataset.no-holdout', text: 'Nothing was held out, because the data set has only one picture.',
    }] : [],
  };
}

/**
 * Splits by a folder of held-out pictures: training pictures of equal content are left out, with the warning
 * `dataset.holdout-overlap`. Error: `dataset.holdout-all` when none is left.
 */
export function splitByFolder(items: readonly MeasuredItem[], heldOut: readonly MeasuredItem[]): Split {
  const held = new Set(heldOut.map(({ contentHash }) => contentHash));
  const both = items.filter(({ contentHash }) => held.has(contentHash));
  const training = items.filter(({ contentHash }) => !held.has(contentHash));
  if (!training.some(({ regularization }) => !regularization)) {
    throw new UserError('dataset.holdout-all', 'Every training picture is also in the folder data.holdout, so none ' +
      'is left to train on: name another folder, or a share such as 0.1.');
  }
  return {
    training, heldOut,
    warnings: both.length === 0 ? [] : [{
      code: 'dataset.holdout-overlap', data: { files: both.map(({ path }) => path) },
      text: `${countOf(both.length, 'picture')} also in the held-out folder and not trained on: ` +
        `${listNames(both.map(({ path }) => shortName(path)))}.`,
    }],
  };
}

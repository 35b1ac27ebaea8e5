// Third stage: every picture gets its bucket and the ways in which it is cut.
import { nearestBucket, show } from './buckets.ts';
import { countOf, listNames, shortName } from './names.ts';
import type { DatasetItem, DatasetWarning, MeasuredItem, Size } from './types.ts';
import { coverScale, coverSize, variantsOf, type VariantSettings } from './variants.ts';

/** Share of a picture that a crop may lose without a word. */
const QUIET_LOSS = 0.25;

/** Items with the index of their size in `sizes`. Warnings: see `fitWarnings`. */
export const fitItems = (
  items: readonly MeasuredItem[], sizes: readonly Size[], settings: VariantSettings,
): DatasetItem[] => items.map((item) => {
  const bucket = nearestBucket(item.size, sizes);
  return { ...item, bucket, variants: variantsOf(item, sizes[bucket]!, settings) };
});

/** `dataset.enlarged` for pictures smaller than their bucket, `dataset.cropped` for those that lose a quarter. */
export function fitWarnings(items: readonly DatasetItem[]): DatasetWarning[] {
  const warnings: DatasetWarning[] = [];
  const targetOf = (item: DatasetItem): Size => item.variants[0]!.target;
  const small = items.filter((item) => coverScale(item.size, targetOf(item)) > 1);
  if (small.length > 0) {
    warnings.push({
      code: 'dataset.enlarged', data: { files: small.map(({ path }) => path) },
      text: `${countOf(small.length, 'picture')} smaller than the training size and blurred by enlarging: ` +
        `${listNames(small.map((item) => `${shortName(item.path)} (${show(item.size)})`))}; ` +
        'use larger ones or a lower resolution.',
    });
  }
  const cut = items.filter((item) => {
    const target = targetOf(item);
    const whole = coverSize(item.size, target);
    return target.width * target.height < (1 - QUIET_LOSS) * whole.width * whole.height;
  });
  if (cut.length > 0) {
    warnings.push({
      code: 'dataset.cropped', data: { files: cut.map(({ path }) => path) },
      text: `${countOf(cut.length, 'picture')} lose${cut.length === 1 ? 's' : ''} more than a quarter to the crop: ` +
        `${listNames(cut.map((item) => shortName(item.path)))}; crop by hand, or let buckets keep the shape.`,
    });
  }
  return warnings;
}

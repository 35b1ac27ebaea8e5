// The ways in which a picture is cut. Latents are computed once per way, so there is a small fixed number of them.
import { rng } from '../base/rng.ts';
import type { Focus, Size, Variant } from './types.ts';

export interface VariantSettings {
  readonly crop: 'center' | 'random';
  readonly flip: boolean;
  /** Number of random crops of a picture. */
  readonly crops: number;
  readonly seed: number;
}

/** Scale at which a picture just covers the target. Above 1 it is enlarged. */
export const coverScale = (picture: Size, target: Size): number =>
  Math.max(target.width / picture.width, target.height / picture.height);

/** The picture's size after scaling, rounded, never smaller than the target. */
export function coverSize(picture: Size, target: Size): Size {
  const scale = coverScale(picture, target);
  return {
    width: Math.max(target.width, Math.round(picture.width * scale)),
    height: Math.max(target.height, Math.round(picture.height * scale)),
  };
}

/** Left and top of the crop whose middle is as near to the focus as the picture allows. */
export function focusCorner(resized: Size, target: Size, focus: Focus = { x: 0.5, y: 0.5 }): [left: number, top: number] {
  const at = (share: number, extent: number, kept: number): number =>
    Math.min(extent - kept, Math.max(0, Math.floor(share * extent - kept / 2)));
  return [at(focus.x, resized.width, target.width), at(focus.y, resized.height, target.height)];
}

/**
 * The variants of a picture for a bucket, without doubles; the first is never mirrored. Random places depend on the
 * seed and the picture's content, not on its name or place in the list, so cached latents survive new pictures.
 */
export function variantsOf(
  picture: { readonly size: Size; readonly contentHash: string; readonly focus?: Focus }, target: Size, settings: VariantSettings,
): Variant[] {
  const resized = coverSize(picture.size, target);
  const room = { x: resized.width - target.width, y: resized.height - target.height };
  const corners = new Map<string, { left: number; top: number }>();
  const add = (left: number, top: number): unknown => corners.set(`${left},${top}`, { left, top });
  if (settings.crop === 'center') add(...focusCorner(resized, target, picture.focus));
  else {
    for (let crop = 0; crop < settings.crops; crop++) {
      const random = rng(settings.seed, 'dataset-crop', picture.contentHash, crop);
      add(random.int(room.x + 1), random.int(room.y + 1));
    }
  }
  const flips = settings.flip ? [false, true] : [false];
  return [...corners.values()].flatMap((corner) => flips.map((flip) => ({ resized, ...corner, target, flip })));
}

/**
 * Sizes that SDXL is told with a training picture ("micro-conditioning", Podell et al. 2023, section 2.2): the file's
 * size, the corner of the crop in the scaled picture, and the size of the crop. A mirrored crop is the same crop of
 * the mirrored picture.
 */
export function cropConditioning(picture: Size, { resized, left, top, target, flip }: Variant) {
  return {
    originalSize: picture,
    cropTopLeft: { top, left: flip ? resized.width - target.width - left : left },
    targetSize: target,
  };
}

// What the stages of the data set hand to each other.
import type { ErrorData } from '../base/errors.ts';
import type { Job } from '../contract/job.ts';

export type DataSettings = Job['data'];
export type DataFolder = DataSettings['folders'][number];
export type CaptionSettings = DataSettings['caption'];

/** In pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** A point as shares of width and height, from the top left. */
export interface Focus {
  readonly x: number;
  readonly y: number;
}

/** Something the user should know that does not stop the work; the body of a warning event. */
export interface DatasetWarning {
  readonly code: string;
  readonly text: string;
  readonly data?: ErrorData;
}

/** A picture as found on disk; nothing of it has been decoded yet. */
export interface ScannedItem {
  readonly path: string;
  /** The folder it lies in. */
  readonly folder: string;
  /** Text of the side-car file or of the folder's name; null when there is neither. */
  readonly caption: string | null;
  /** How often it counts in an epoch. */
  readonly repeats: number;
  /** A picture of the general kind, for prior preservation. */
  readonly regularization: boolean;
  /** What crops shall keep, chosen by hand; the middle without. */
  readonly focus?: Focus;
}

/** A scanned picture whose header and content are known. */
export interface MeasuredItem extends ScannedItem {
  /** As shown, that is turned by its EXIF orientation. */
  readonly size: Size;
  /** SHA-256 of the file, lower-case hex. */
  readonly contentHash: string;
}

/** How a picture becomes training pixels: scaled to `resized`, cut at `left`, `top` to `target`, then mirrored. */
export interface Variant {
  readonly resized: Size;
  readonly left: number;
  readonly top: number;
  readonly target: Size;
  readonly flip: boolean;
}

/** A picture with its place in the training plan. */
export interface DatasetItem extends MeasuredItem {
  /** Index of its size in `PreparedDataset.buckets`. */
  readonly bucket: number;
  /** The ways it is cut; all have the bucket's size, so their latents have one shape. */
  readonly variants: readonly Variant[];
}

/** One shape of training pictures. */
export interface Bucket extends Size {
  /** Pictures that are trained on in this shape, and how often they count in an epoch together. */
  readonly pictures: number;
  readonly draws: number;
}

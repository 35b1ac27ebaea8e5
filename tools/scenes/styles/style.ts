import type { Picture } from '../picture.ts';

/** One way of painting a picture. */
export interface Style {
  /** SVG elements (and definitions) in the 64-unit square. */
  paint(picture: Picture): string;
  /** A last pass over the finished pixels: RGB bytes, `size` x `size`, row by row. */
  finish?(pixels: Uint8Array, size: number): Uint8Array;
}

/**
 * What a shape belongs to; styles treat them differently: `light` is the sun or the moon, `air` clouds, rainbow and
 * rain, `speck` stars and snowflakes, `far` what stands on the horizon, `detail` small things on top of others.
 */
export type Role = 'sky' | 'light' | 'air' | 'speck' | 'far' | 'ground' | 'subject' | 'detail';

/** One painted shape of a picture, in a square of 64 units, y downwards. */
export interface Part {
  role: Role;
  /** SVG path data made of absolute M, L, Q, C and Z only. */
  path: string;
  colour: string;
  /** The colour at the lower edge, where the shape fades from top to bottom. */
  toColour?: string;
  /** A line of this width instead of an area. */
  line?: number;
}

export const unitsAcross = 64;

export const rect = (x: number, y: number, width: number, height: number): string =>
  `M${x} ${y} L${x + width} ${y} L${x + width} ${y + height} L${x} ${y + height} Z`;

/** A closed polygon through `x y x y ...`. */
export function poly(...numbers: readonly number[]): string {
  const points: string[] = [];
  for (let i = 0; i + 1 < numbers.length; i += 2) points.push(`${numbers[i]} ${numbers[i + 1]}`);
  return `M${points.join(' L')} Z`;
}

/** An ellipse as four cubic curves, so that it can be mapped point by point like any other path. */
export function ellipse(x: number, y: number, rx: number, ry = rx): string {
  const k = 0.5523;
  return (
    `M${x - rx} ${y} C${x - rx} ${y - ry * k} ${x - rx * k} ${y - ry} ${x} ${y - ry} ` +
    `C${x + rx * k} ${y - ry} ${x + rx} ${y - ry * k} ${x + rx} ${y} ` +
    `C${x + rx} ${y + ry * k} ${x + rx * k} ${y + ry} ${x} ${y + ry} ` +
    `C${x - rx * k} ${y + ry} ${x - rx} ${y + ry * k} ${x - rx} ${y} Z`
  );
}

/** A circle's outline as a path of its own; several may be joined into one shape. */
export const circle = (x: number, y: number, r: number): string => ellipse(x, y, r, r);

/** Applies a map to every point of a path. */
export function mapPath(path: string, map: (x: number, y: number) => [number, number]): string {
  return path.replace(/(-?[\d.]+(?:e-?\d+)?)[ ,]+(-?[\d.]+(?:e-?\d+)?)/g, (_, x: string, y: string) => {
    const [u, v] = map(Number(x), Number(y));
    return `${u.toFixed(2)} ${v.toFixed(2)}`;
  });
}

/** Draws icons designed on a 100 x 100 sheet (y downwards, standing on y = 100) into the picture. */
export class Pen {
  readonly parts: Part[] = [];
  private readonly footX: number;
  private readonly footY: number;
  private readonly scale: number;

  /** The sheet's foot (50, 100) comes to (footX, footY); its 100 units become `size` units of the picture. */
  constructor(footX: number, footY: number, size: number) {
    this.footX = footX;
    this.footY = footY;
    this.scale = size / 100;
  }

  private place(path: string): string {
    return mapPath(path, (x, y) => [this.footX + (x - 50) * this.scale, this.footY + (y - 100) * this.scale]);
  }

  /** A large area of the subject. */
  area(colour: string, path: string): void {
    this.parts.push({ role: 'subject', path: this.place(path), colour });
  }

  /** A small area on top of it. */
  detail(colour: string, path: string): void {
    this.parts.push({ role: 'detail', path: this.place(path), colour });
  }

  /** An open line; `width` in units of the sheet. */
  stroke(colour: string, width: number, path: string): void {
    this.parts.push({ role: 'detail', path: this.place(path), colour, line: width * this.scale });
  }
}

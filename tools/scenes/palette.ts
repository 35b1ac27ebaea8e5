import type { Random } from './random.ts';
import type { Colour } from './scene.ts';

/** Red, green, blue in 0..255. */
export type Rgb = readonly [number, number, number];

/** A colour word as paint: the colour itself, its shadow and its highlight. */
export interface Tint {
  word: Colour;
  main: string;
  dark: string;
  light: string;
}

const tints: Readonly<Record<Colour, readonly [main: string, dark: string, light: string]>> = {
  red: ['#dc2f2c', '#96191f', '#f46a5e'],
  blue: ['#2b5fd9', '#1a3b94', '#72a0f5'],
  yellow: ['#f8cf22', '#c7920f', '#fde782'],
  green: ['#38a140', '#1f6b2e', '#7dcc6c'],
  white: ['#f8f6f0', '#b4b8c2', '#ffffff'],
  black: ['#25232b', '#0d0c11', '#56535f'],
  orange: ['#f27f1f', '#b0520d', '#fbb068'],
  purple: ['#8b3fc0', '#572180', '#bd85e6'],
  pink: ['#f57fb4', '#c24681', '#fbb6d6'],
};

export function rgbOf(hex: string): Rgb {
  const value = Number.parseInt(hex.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

export function hexOf(rgb: Rgb): string {
  const bytes = rgb.map((channel) => Math.max(0, Math.min(255, Math.round(channel))).toString(16).padStart(2, '0'));
  return `#${bytes.join('')}`;
}

/** `amount` = 0 gives `from`, 1 gives `to`. */
export function mix(from: string, to: string, amount: number): string {
  const a = rgbOf(from);
  const b = rgbOf(to);
  return hexOf([a[0] + (b[0] - a[0]) * amount, a[1] + (b[1] - a[1]) * amount, a[2] + (b[2] - a[2]) * amount]);
}

/** Rec. 709 luma of the encoded values, 0 (black) to 1 (white). */
export function lumaOf(hex: string): number {
  const [r, g, b] = rgbOf(hex);
  return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
}

/** Hue in degrees, saturation and lightness in 0..1. */
export function hslOf(hex: string): [hue: number, saturation: number, lightness: number] {
  const [r, g, b] = rgbOf(hex).map((channel) => channel / 255) as [number, number, number];
  const high = Math.max(r, g, b);
  const span = high - Math.min(r, g, b);
  const lightness = high - span / 2;
  if (span === 0) return [0, 0, lightness];
  const sector = high === r ? ((g - b) / span + 6) % 6 : high === g ? (b - r) / span + 2 : (r - g) / span + 4;
  return [sector * 60, span / (1 - Math.abs(2 * lightness - 1)), lightness];
}

export function fromHsl(hue: number, saturation: number, lightness: number): string {
  const reach = saturation * Math.min(lightness, 1 - lightness);
  const channel = (offset: number): number => {
    const position = (offset + hue / 30) % 12;
    return 255 * (lightness - reach * Math.max(-1, Math.min(position - 3, 9 - position, 1)));
  };
  return hexOf([channel(0), channel(8), channel(4)]);
}

/** The paint of a colour word, a little lighter or darker from picture to picture. */
export function tintOf(colour: Colour, random: Random): Tint {
  const [main, dark, light] = tints[colour];
  const shift = random.between(-0.1, 0.1);
  const vary = (hex: string): string => mix(hex, shift < 0 ? '#000000' : '#ffffff', Math.abs(shift));
  return { word: colour, main: vary(main), dark: vary(dark), light: vary(light) };
}

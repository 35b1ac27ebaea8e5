import { ink } from './ink.ts';
import { mosaic } from './mosaic.ts';
import { neon } from './neon.ts';
import { plain } from './plain.ts';
import { stainedGlass } from './stained-glass.ts';
import type { Style } from './style.ts';

/** The styles by the name that commands use. */
export const styles = {
  plain, 'stained-glass': stainedGlass, ink, neon, mosaic,
} as const satisfies Readonly<Record<string, Style>>;
export type StyleName = keyof typeof styles;
export const styleNames = Object.keys(styles) as StyleName[];

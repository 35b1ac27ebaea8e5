import type { Tint } from '../palette.ts';
import type { Pen } from '../pen.ts';
import type { Random } from '../random.ts';

/** Draws one kind of thing on the pen's 100 x 100 sheet. */
export type Subject = (pen: Pen, tint: Tint, random: Random) => void;

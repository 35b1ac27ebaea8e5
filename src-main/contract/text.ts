// What the program says to people, so that a page can say it in another language.

import { z } from 'zod';

/**
 * A sentence: a stable code, the numbers and names in it, and the English text. `code` and `data` are what a language
 * translates from; where it has no entry, `text` is shown.
 */
export const said = { code: z.string().min(1), data: z.record(z.string(), z.unknown()), text: z.string() } as const;
export const textSchema = z.strictObject(said);
export type Text = z.infer<typeof textSchema>;

/** A `Text` in the order in which one writes it. */
export const say = (code: string, text: string, data: Record<string, unknown> = {}): Text => ({ code, data, text });

/** A row of a table: the text is its head. A plain value is a name, or what a file says of itself. */
export const factSchema = z.strictObject({ ...said, value: z.union([z.string(), textSchema]) });
export type Fact = z.infer<typeof factSchema>;

// Comparing what runs learnt: pictures by checkpoint and strength, runs beside each other, the chosen checkpoint.

import { z } from 'zod';

import { count, idSchema, imageUrlSchema, nothing } from './api-parts.ts';
import { said } from './text.ts';

/** What a picture for comparing is painted with. */
const painting = {
  negative: z.string().max(2000).default(''),
  guidance: z.number().min(0).max(100).default(7),
  /** Of the sampler. */
  steps: z.int().min(1).max(200).default(20),
  /** That of the run's previews if left out. */
  sampler: z.string().optional(),
};
const strength = z.number().min(-4).max(4).default(1);
const prompt = z.string().max(2000);
const seed = z.int().min(0).max(2 ** 32 - 1);

const renderItemSchema = z.strictObject({
  runId: idSchema,
  /** A saved step; 0 is the base model, whatever the strength. */
  step: count,
  strength, prompt, seed, ...painting,
});
export type RenderItem = z.infer<typeof renderItemSchema>;

const taskId = idSchema.nullable();
const change = z.number().min(0).max(1).nullable();

export const compareApi = {
  /**
   * Pictures for comparing, kept in the run's folder. Those that were made before come at once; for the others there is a
   * task, unless only what is there was asked for. Ask again at its progress (one picture at a time gets ready) until no
   * null is left. Errors: `run.no-step`.
   */
  'runs.compareRender': {
    input: z.strictObject({ items: z.array(renderItemSchema).min(1).max(256), onlyMade: z.boolean().default(false) }),
    output: z.strictObject({ images: z.array(imageUrlSchema.nullable()), taskId }),
  },
  /** The checkpoint that exports take unless told otherwise; null goes back to the last one. Error: `run.no-step`. */
  'runs.choose': { input: z.strictObject({ runId: idSchema, step: count.nullable() }), output: nothing },
  /** Settings in which runs differ, by their paths in the catalog; one value for each run, null where it has no such setting. */
  'runs.differences': {
    input: z.strictObject({ runIds: z.array(idSchema).min(1).max(8) }),
    output: z.strictObject({ rows: z.array(z.strictObject({ path: z.string(), values: z.array(z.string().nullable()) })) }),
  },
  /**
   * Overfit canary: how far pictures of a style prompt and of one off the set changed against the base model, for each saved
   * step that is asked for; mean over the seeds. Null where pictures are still to be painted.
   */
  'runs.canary': {
    input: z.strictObject({
      runId: idSchema, checkpoints: z.array(z.int().min(1)).min(1).max(24), strength, style: prompt, offSet: prompt,
      seeds: z.array(seed).min(1).max(4), ...painting, onlyMade: z.boolean().default(false),
    }),
    output: z.strictObject({
      rows: z.array(z.strictObject({
        step: count, style: change, offSet: change,
        /** offSet / style. */
        share: z.number().nullable(),
        level: z.enum(['good', 'warning', 'bad', 'unclear']).nullable(), ...said,
        /** Of the first seed. */
        styleUrl: imageUrlSchema.nullable(), offSetUrl: imageUrlSchema.nullable(),
      })),
      base: z.strictObject({ styleUrl: imageUrlSchema.nullable(), offSetUrl: imageUrlSchema.nullable() }),
      taskId,
    }),
  },
} as const;

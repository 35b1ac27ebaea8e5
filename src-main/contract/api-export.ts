// Exports: which programs show exactly what was trained, writing, and the proof.

import { z } from 'zod';

import { EXPORT, exportKinds } from './export-kinds.ts';
import { count, fileSchema, idSchema, imageUrlSchema, startedTaskSchema } from './api-parts.ts';
import { said, textSchema } from './text.ts';

const toolSchema = z.strictObject({
  /** Id for export.start, as comfyui. */
  id: z.string(), label: z.string(),
  /** Layout that this program gets; '' when it gets none. */
  layout: z.string(),
  exact: z.boolean(),
  /** Reads whole differences of weights. */
  readsDifferences: z.boolean(),
  /** Why not, or what will be exact; one sentence. */
  ...said,
  alternatives: z.array(z.strictObject({ kind: z.enum(['merged', 'other-tool', 'train-again']), ...said })),
});

const exportSchema = z.strictObject({
  id: idSchema, step: count, tool: z.string(), kind: z.enum(exportKinds), dtype: z.string(), time: z.number(),
  files: z.array(z.strictObject({ ...fileSchema.shape, bytes: count })),
  ok: z.boolean(),
  /** What reading the files again has shown. */
  proof: z.array(z.strictObject({ ok: z.boolean(), ...said })),
  warnings: z.array(textSchema),
  /** Painted by the trained values and by the file that was written. */
  pictures: z.strictObject({ trained: imageUrlSchema, exported: imageUrlSchema, worstDifference: z.number() }).nullable(),
  /** `export.workflow` has one. */
  hasWorkflow: z.boolean(),
});
export type ExportEntry = z.infer<typeof exportSchema>;

const dtypes = z.enum(['f16', 'bf16', 'f32']);

export const exportApi = {
  'export.options': {
    input: z.strictObject({ runId: idSchema }),
    output: z.strictObject({
      steps: z.array(count),
      tools: z.array(toolSchema),
      /** What can be written of this run. */
      kinds: z.array(z.strictObject({ kind: z.enum(exportKinds), ...said })),
      /** Of the base model, and so of a merged one. */
      bytes: count,
      /** Of the nearest LoRA without magnitudes. */
      defaultRank: count,
      dtypes: z.array(dtypes), defaultDtype: dtypes, defaultTool: z.string(),
      /** The chosen checkpoint, else the last; null without checkpoints. */
      defaultStep: count.nullable(),
    }),
  },
  'export.start': {
    input: z.strictObject({
      runId: idSchema, step: count.optional(), tool: z.string(), kind: z.enum(exportKinds).default(EXPORT.asItIs),
      /** Of the nearest LoRA without magnitudes. */
      rank: count.min(1).max(4096).optional(),
      /** Number format; the job's if left out, and for a merged model that of the base. */
      dtype: dtypes.optional(),
      /** Folder to write to; the run's own exports if left out. */
      folderId: idSchema.optional(),
      /**
       * Paint one picture with the trained values and one with the file. It waits while a training has the device, and
       * is left out, with a warning, when one begins meanwhile.
       */
      picture: z.boolean().default(true),
    }),
    output: startedTaskSchema,
  },
  /** Newest first, with the one that the training ended with. Error `run.bad-job`. */
  'export.list': { input: z.strictObject({ runId: idSchema }), output: z.strictObject({ exports: z.array(exportSchema) }) },
  /** A ComfyUI workflow that loads the file; text to copy or save. */
  'export.workflow': { input: z.strictObject({ runId: idSchema, exportId: idSchema }), output: z.strictObject({ name: z.string(), json: z.string() }) },
} as const;

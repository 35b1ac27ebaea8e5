// The pictures of a project. Edits live in the project's folder; captions are side-car files beside the pictures.

import { z } from 'zod';

import { count, idSchema, imageUrlSchema, nothing, startedTaskSchema } from './api-parts.ts';
import { said, textSchema } from './text.ts';

export const itemFlags = [
  'duplicate-exact', 'duplicate-near', 'too-small', 'blurred', 'over-exposed', 'under-exposed', 'border',
  'watermark-suspect', 'alpha', 'no-caption', 'unreadable',
] as const;
export type ItemFlag = (typeof itemFlags)[number];

const rectangle = z.strictObject({ x: z.number(), y: z.number(), width: z.number(), height: z.number() });

export const itemSchema = z.strictObject({
  id: idSchema, name: z.string(),
  /** Id of the data folder. */
  folderId: idSchema,
  imageUrl: imageUrlSchema,
  /** At most 320 pixels a side; a picture that cannot be read has none. */
  thumbUrl: imageUrlSchema.nullable(),
  /** Pixels, upright. 0 until scanned. */
  width: count, height: count, bytes: count,
  caption: z.string(),
  /** Parts of the caption between separators. */
  tags: z.array(z.string()),
  included: z.boolean(),
  repeats: z.int().min(1),
  /** Centre of interest as shares of width and height from the top left; [0.5, 0.5] unless set. */
  focus: z.strictObject({ x: z.number().min(0).max(1), y: z.number().min(0).max(1) }),
  flags: z.array(z.enum(itemFlags)),
  /** Pictures of one group are duplicates of each other, exact or near. */
  group: z.int().nullable(),
  /** Measurements behind the flags: sharpness (variance of the Laplacian), share of clipped pixels. */
  sharpness: z.number().nullable(), bright: z.number().nullable(), dark: z.number().nullable(),
  /** Training size in pixels and what is cut out of the picture, in pixels of the picture; null until scanned. */
  bucket: z.strictObject({ width: count, height: count }).nullable(),
  crop: rectangle.nullable(),
  /** Exactly what the text encoder gets (before dropout and shuffling). */
  trainedText: z.string(),
  /** Why it cannot be trained on. */
  problem: textSchema.nullable(),
});
export type Item = z.infer<typeof itemSchema>;

export const itemFilterSchema = z.strictObject({
  ids: z.array(idSchema).max(500).optional(),
  /** In name or caption, any case. */
  text: z.string().max(500).optional(),
  /** Has all of these tags. */
  tags: z.array(z.string()).max(50).optional(),
  flags: z.array(z.enum(itemFlags)).max(20).optional(),
  included: z.boolean().optional(),
  folderId: idSchema.optional(),
  group: z.int().optional(),
});
export type ItemFilter = z.infer<typeof itemFilterSchema>;

/** Which pictures an edit is for: these, or all that a filter shows. */
const target = z.union([
  z.strictObject({ ids: z.array(idSchema).min(1).max(20000) }),
  z.strictObject({ filter: itemFilterSchema }),
]);

const change = z.strictObject({
  /** Pictures that changed. */
  changed: count,
  undo: textSchema.nullable(), redo: textSchema.nullable(),
});

const edit = <Shape extends z.ZodRawShape>(shape: Shape) =>
  ({ input: z.strictObject({ projectId: idSchema, target, ...shape }), output: change });

const ofProject = z.strictObject({ projectId: idSchema });

export const verdictSchema = z.strictObject({
  level: z.enum(['good', 'warning', 'bad']), ...said, count,
  /** The filter that shows the pictures meant. */
  filter: itemFilterSchema.nullable(),
});

export const dataApi = {
  /** Looks for new, changed and gone pictures; measures and makes thumbnails of those. Event data.changed at the end. */
  'data.scan': { input: ofProject, output: startedTaskSchema },
  'data.items': {
    input: z.strictObject({
      projectId: idSchema, offset: count.default(0), limit: z.int().min(1).max(500).default(200),
      filter: itemFilterSchema.default({}),
      sort: z.enum(['name', 'size', 'sharpness', 'caption', 'group', 'folder']).default('name'),
      descending: z.boolean().default(false),
    }),
    output: z.strictObject({
      items: z.array(itemSchema), total: count,
      /** Goes up with every change; ask again when data.changed brings a higher one. */
      revision: count,
      /** False: there are pictures that were never measured; start data.scan. */
      scanned: z.boolean(),
    }),
  },
  'data.setCaption': edit({ caption: z.string().max(20000) }),
  'data.editTags': edit({
    edit: z.discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('add'), tags: z.array(z.string().min(1)).min(1), at: z.enum(['start', 'end']).default('end') }),
      z.strictObject({ kind: z.literal('remove'), tags: z.array(z.string().min(1)).min(1) }),
      /** In the whole caption; `find` is plain text. */
      z.strictObject({ kind: z.literal('replace'), find: z.string().min(1), replace: z.string(), matchCase: z.boolean().default(false), wholeTag: z.boolean().default(false) }),
      /** Text put before every caption that does not begin with it. */
      z.strictObject({ kind: z.literal('prefix'), text: z.string().min(1) }),
    ]),
  }),
  'data.include': edit({ included: z.boolean() }),
  /** Of each group of duplicates among these, all but the best (largest, then sharpest) are left out. */
  'data.keepBest': edit({}),
  'data.setFocus': edit({ focus: itemSchema.shape.focus }),
  'data.setRepeats': edit({ repeats: z.int().min(1).max(10000) }),
  /** Text before every caption that is trained; the files stay as they are. Empty: none. Changes the draft. */
  'data.setPrefix': { input: z.strictObject({ projectId: idSchema, prefix: z.string().max(500) }), output: change },
  /** `undo` and `redo` of every answer say what the next one would do, for a menu. */
  'data.undo': { input: ofProject, output: change },
  'data.redo': { input: ofProject, output: change },
  'data.history': { input: ofProject, output: change },
  /** Most frequent first. */
  'data.tags': {
    input: z.strictObject({ projectId: idSchema, filter: itemFilterSchema.default({}) }),
    output: z.strictObject({ tags: z.array(z.strictObject({ tag: z.string(), count })) }),
  },
  'data.readiness': {
    input: ofProject,
    output: z.strictObject({
      ready: z.boolean(), ...said,
      pictures: count, included: count,
      verdicts: z.array(verdictSchema),
      /** What is trained in which shape; `draws` counts repeats. */
      buckets: z.array(z.strictObject({ width: count, height: count, pictures: count, draws: count })),
      folders: z.array(z.strictObject({ id: idSchema, name: z.string(), pictures: count, draws: count })),
    }),
  },
  /** A tagger of the WD14 family on the user's own files. Undoable as one edit. */
  'data.autocaption': {
    input: z.strictObject({
      projectId: idSchema, target, modelId: idSchema, csvId: idSchema,
      threshold: z.number().min(0).max(1).default(0.35),
      characterThreshold: z.number().min(0).max(1).default(0.85),
      mode: z.enum(['replace', 'append', 'empty-only']).default('empty-only'),
      underscores: z.boolean().default(false),
    }),
    output: startedTaskSchema,
  },
  /** Dropped on the desktop: folders join the project, pictures are copied into it. Error `data.bring-none`. */
  'data.bring': { input: z.strictObject({ projectId: idSchema, fileIds: z.array(idSchema).min(1).max(20000) }), output: startedTaskSchema },
  /** Deletes uploads that were never finished. Files themselves come by POST /upload/<projectId>?name=<name>. */
  'data.discardUploads': { input: ofProject, output: nothing },
} as const;

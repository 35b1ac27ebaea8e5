// Pieces that several parts of the API share.

import { z } from 'zod';

import { said } from './text.ts';

/** An opaque name that the app gave out. The page never sees or sends a path that it could act on. */
export const idSchema = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);

/** Of the page's own origin, so that its pixels may be read: http://127.0.0.1 in the browser, app:// in the desktop app. */
export const imageUrlSchema = z.string().regex(/^\/img\/[A-Za-z0-9_-]{1,64}$/);

export const nothing = z.strictObject({});
export const byId = z.strictObject({ id: idSchema });
export const count = z.int().nonnegative();

/** A file or folder as people see it: `path` is text for display and is accepted nowhere. */
export const fileSchema = z.strictObject({ id: idSchema, name: z.string(), path: z.string() });
export type FileRef = z.infer<typeof fileSchema>;

/** What a call answers that starts work in the background; see the event `task.progress`. */
export const startedTaskSchema = z.strictObject({ taskId: idSchema });

export const problemSchema = z.strictObject({
  code: z.string(), message: z.string(), details: z.record(z.string(), z.unknown()).optional(),
});
export type Problem = z.infer<typeof problemSchema>;

export const taskSchema = z.strictObject({
  id: idSchema,
  kind: z.enum(['scan', 'autocaption', 'inspect', 'library', 'forecast', 'magnitude', 'render', 'export', 'doctor', 'upload', 'bring']),
  /** The project or run that the work is for. */
  subject: idSchema.nullable(),
  /** What is being done, for people: `label` is the text of the code. `unit` is what is counted. */
  code: said.code, data: said.data, label: z.string(),
  state: z.enum(['running', 'done', 'failed', 'cancelled']),
  done: count,
  /** 0: not known. */
  total: count,
  unit: z.string(),
  problem: problemSchema.nullable(),
});
export type Task = z.infer<typeof taskSchema>;

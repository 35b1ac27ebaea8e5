// Projects: a folder with data folders, a draft of a job and runs.

import { z } from 'zod';

import { byId, fileSchema, idSchema, imageUrlSchema, nothing } from './api-parts.ts';
import { runSchema } from './api-runs.ts';

/**
 * A job as a person writes it, less `base.model` and `data.folders`: those come from the project. Missing keys are
 * defaults; unknown keys are issues of `job.validate`.
 */
export const draftSchema = z.record(z.string(), z.unknown());
export type Draft = z.infer<typeof draftSchema>;

export const dataFolderSchema = z.strictObject({
  ...fileSchema.shape,
  /** null: what the folder's name says (10_style), else 1. */
  repeats: z.int().min(1).max(10000).nullable(),
  regularization: z.boolean(),
  /** The folder is not there any more. */
  missing: z.boolean(),
});

export const projectSchema = z.strictObject({
  id: idSchema, name: z.string(), folder: fileSchema,
  /** Milliseconds since 1970. */
  opened: z.number(),
  model: z.strictObject({ id: idSchema, name: z.string(), missing: z.boolean() }).nullable(),
  dataFolders: z.array(dataFolderSchema),
  draft: draftSchema,
  /** Newest first. */
  runs: z.array(runSchema),
});
export type Project = z.infer<typeof projectSchema>;

const projectSummarySchema = z.strictObject({
  id: idSchema, name: z.string(), folder: fileSchema, opened: z.number(), missing: z.boolean(),
  runs: z.int(), lastRun: runSchema.nullable(), lastSample: imageUrlSchema.nullable(),
});

const projectName = z.string().trim().min(1).max(100);

export const projectsApi = {
  'projects.list': { input: nothing, output: z.strictObject({ projects: z.array(projectSummarySchema) }) },
  'projects.create': {
    input: z.strictObject({
      name: projectName,
      /** Folder to make the project's folder in; the projects folder if left out. */
      parent: idSchema.optional(),
      /** With the starter model, the demo pictures and the demo recipe. */
      demo: z.boolean().default(false),
    }),
    output: projectSchema,
  },
  /** Also the way to read a project again; puts it first in the list. */
  'projects.open': { input: byId, output: projectSchema },
  /** A project folder that is not in the list. Error `projects.not-a-project`. */
  'projects.openFolder': { input: z.strictObject({ fileId: idSchema }), output: projectSchema },
  'projects.update': {
    input: z.strictObject({
      id: idSchema,
      name: projectName.optional(),
      modelId: idSchema.nullable().optional(),
      /** Ids of picked folders. */
      addFolders: z.array(idSchema).max(100).optional(),
      removeFolders: z.array(idSchema).max(100).optional(),
      folders: z.array(dataFolderSchema.pick({ id: true, repeats: true, regularization: true }).partial({ repeats: true, regularization: true })).max(100).optional(),
      draft: draftSchema.optional(),
    }),
    output: projectSchema,
  },
  /** Takes it off the list; nothing on disk is touched. */
  'projects.remove': { input: byId, output: nothing },
  /** Runs that ended without saying so, in any listed project. */
  'projects.recover': { input: nothing, output: z.strictObject({ runs: z.array(runSchema) }) },
} as const;

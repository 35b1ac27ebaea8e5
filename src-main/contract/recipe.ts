// A recipe: a run as one file that opens as the same job. It names base and pictures by their hashes, so that whoever has
// them can make the same adapter again, and whoever has others is told what differs.

import { z } from 'zod';

import type { Job } from './job.ts';

export const recipeVersion = 1;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in lower-case hex');
const count = z.int().nonnegative();

const pictureSchema = z.strictObject({
  /** Path inside its folder, with `/`; missing where names are nobody's business. */
  file: z.string().optional(),
  sha256,
  /** SHA-256 of the caption's text; null without a caption. */
  caption: sha256.nullable(),
  repeats: count,
});

const folderSchema = z.strictObject({ name: z.string(), pictures: z.array(pictureSchema) });

const dataSchema = z.strictObject({
  /** Of all that decides what is trained: content, captions, order, repeats, crops. */
  fingerprint: z.string(),
  /** In the order of data.folders. */
  folders: z.array(folderSchema),
  /** The folder of data.holdout, when it is one. */
  holdout: folderSchema.nullable(),
  /** What was decided by hand about single pictures, by content. */
  choices: z.array(z.strictObject({
    sha256, included: z.boolean().optional(), repeats: count.optional(),
    focus: z.strictObject({ x: z.number().min(0).max(1), y: z.number().min(0).max(1) }).optional(),
  })),
});

const baseSchema = z.strictObject({
  /** Name of the kind of model, for people. */
  kind: z.string(),
  /** A hash for each part of the model, of its types, shapes and some of its values. */
  parts: z.record(z.string(), z.string()),
  /** SHA-256 of whole files, by name. */
  files: z.record(z.string(), sha256),
});

const resultsSchema = z.strictObject({
  steps: count,
  seconds: z.number().nullable(),
  /** Loss at fixed noise and timesteps before the first step and at the end. */
  firstProbe: z.number().nullable(),
  lastProbe: z.number().nullable(),
  device: z.string().nullable(),
  dtype: z.string().nullable(),
  /** Adapter files of the run. */
  files: z.array(z.strictObject({ file: z.string(), sha256 })),
  /** What was found out about the run and its files. */
  verdicts: z.array(z.strictObject({ name: z.string(), ok: z.boolean(), text: z.string() })),
});

export const recipeSchema = z.strictObject({
  recipe: z.literal(recipeVersion),
  versions: z.record(z.string(), z.string()),
  /** A whole job; its places are meant from the recipe's own folder. */
  job: z.record(z.string(), z.unknown()),
  base: baseSchema.nullable(),
  data: dataSchema.nullable(),
  /** SHA-256 of the adapter file that training went on from (adapter.from); missing where it began anew. */
  start: z.strictObject({ sha256 }).optional(),
  results: resultsSchema.nullable(),
});

export type Recipe = z.infer<typeof recipeSchema>;
export type RecipeData = z.infer<typeof dataSchema>;
export type RecipeBase = z.infer<typeof baseSchema>;
export type RecipeResults = z.infer<typeof resultsSchema>;
export type RecipePicture = z.infer<typeof pictureSchema>;

/** What stands in the metadata of an adapter file beside its job. */
export type RecipeInFile = Omit<Recipe, 'job' | 'results'>;

/** Whether a parsed JSON value means to be a recipe. */
export const isRecipe = (raw: unknown): raw is Record<string, unknown> => typeof raw === 'object' && raw !== null && !Array.isArray(raw) && 'recipe' in raw;

export type RecipeResult = { readonly ok: true; readonly recipe: Recipe } | { readonly ok: false; readonly issue: string };

/** Checks a parsed JSON value. */
export function parseRecipe(raw: unknown): RecipeResult {
  const version = isRecipe(raw) ? raw['recipe'] : undefined;
  if (typeof version === 'number' && version > recipeVersion) return { ok: false, issue: `it was written by a newer Adora (version ${version} of recipes; this one reads up to ${recipeVersion}): update Adora.` };
  const parsed = recipeSchema.safeParse(raw);
  if (parsed.success) return { ok: true, recipe: parsed.data };
  const [issue] = parsed.error.issues;
  return { ok: false, issue: `${issue!.path.join('.')}: ${issue!.message}` };
}

/** A job with other places; everything else stays as it is. */
export function withPlaces(job: Job, place: { file(path: string): string; folder(path: string, index: number): string; holdout(path: string): string }): Job {
  const { base, data, adapter } = job;
  return {
    ...job,
    adapter: { ...adapter, ...(adapter.from === undefined ? {} : { from: place.file(adapter.from) }) },
    base: {
      ...base, model: place.file(base.model), ...(base.vae === undefined ? {} : { vae: place.file(base.vae) }),
      ...(base.textEncoders === undefined ? {} : { textEncoders: base.textEncoders.map((path) => place.file(path)) }),
    },
    data: {
      ...data,
      folders: data.folders.map((folder, index) => ({ ...folder, path: place.folder(folder.path, index) })),
      holdout: typeof data.holdout === 'string' ? place.holdout(data.holdout) : data.holdout,
    },
  };
}

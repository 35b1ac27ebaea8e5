// Checkpoints and adapters on disk, the catalog, recipes, and checking a draft.

import { z } from 'zod';

import { byId, count, idSchema, imageUrlSchema, nothing } from './api-parts.ts';
import { draftSchema } from './api-projects.ts';
import { factSchema, said, textSchema } from './text.ts';

const modelSchema = z.strictObject({
  id: idSchema, name: z.string(), path: z.string(), bytes: count,
  layout: z.enum(['folder', 'single-file']),
  /** As the family names itself; null when no family knows it. */
  family: z.string().nullable(),
  /** Number formats of the weights: "F16". */
  dtype: z.string(),
  prediction: z.enum(['epsilon', 'v']).nullable(), zeroTerminalSnr: z.boolean(),
  /** Parts that must come from other files, by the names of their folders. */
  lacks: z.array(z.string()),
  isStarter: z.boolean(),
  /** False: it can be looked at but not trained; `reason` says why. */
  usable: z.boolean(), reason: textSchema.nullable(),
});
export type ModelEntry = z.infer<typeof modelSchema>;

const adapterSchema = z.strictObject({
  id: idSchema, name: z.string(), path: z.string(), bytes: count,
  /** False: it can be looked at but not applied; `reason` says why. */
  usable: z.boolean(), reason: textSchema.nullable(),
  layout: z.string().nullable(), kind: z.string(), rank: z.number().nullable(), axis: z.string().nullable(),
  /** From the file's metadata, if it says so. */
  base: z.string().nullable(), trigger: z.string().nullable(), thumbUrl: imageUrlSchema.nullable(),
  /** Of the checkpoints that it fits, as these name it; null when the file does not tell. */
  family: z.string().nullable(),
});
export type AdapterEntry = z.infer<typeof adapterSchema>;

/** Rows of a table for people. */
const facts = z.array(factSchema);

const inspection = z.strictObject({
  facts,
  /** Adapters: one row a layer. */
  layers: z.array(z.strictObject({ path: z.string(), rank: z.number().nullable(), hasMagnitudes: z.boolean(), norm: z.number().nullable() })),
  metadata: z.array(z.strictObject({ key: z.string(), value: z.string() })),
  /** Adapters: what each program makes of the file. */
  programs: z.array(z.strictObject({ id: z.string(), label: z.string(), layout: z.string(), /** Null: nothing tells. */ exact: z.boolean().nullable(), ...said })),
});

/** `code` is of the label; help, why and unit are found below it. */
const fieldText = { code: said.code, label: z.string(), help: z.string(), why: z.string().optional() };
export const fieldSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('number'), ...fieldText, default: z.number().nullable(), min: z.number(), max: z.number(),
    integer: z.boolean().optional(), step: z.number().optional(), unit: z.string().optional(), scale: z.literal('log').optional(),
  }),
  z.strictObject({
    kind: z.literal('choice'), ...fieldText, default: z.string(),
    options: z.array(z.strictObject({ code: said.code, value: z.string(), label: z.string(), help: z.string() })),
  }),
  z.strictObject({ kind: z.literal('flag'), ...fieldText, default: z.boolean() }),
  z.strictObject({ kind: z.literal('text'), ...fieldText, default: z.string().nullable() }),
  /** Several texts, as preview.prompts. */
  z.strictObject({ kind: z.literal('texts'), ...fieldText, default: z.array(z.string()) }),
  /** A number or the word 'auto', or two numbers: shown as text, read as JSON where it parses. */
  z.strictObject({ kind: z.literal('free'), ...fieldText, default: z.unknown(), example: z.string() }),
]);

const settingSchema = z.strictObject({
  /** Key in the draft, as train.steps. */
  path: z.string(),
  /** First part of the path, and its heading, whose code this is. */
  group: z.string(), code: said.code, groupLabel: z.string(),
  field: fieldSchema,
  /** The setting exists only while the draft's `path` is `is`. */
  when: z.strictObject({ path: z.string(), is: z.string() }).nullable(),
  /** Shown only in the full list. */
  advanced: z.boolean(),
});
export type SettingDescription = z.infer<typeof settingSchema>;

const choiceSchema = z.strictObject({ id: z.string(), code: said.code, label: z.string(), help: z.string() });

const recipeSchema = z.strictObject({
  id: idSchema, name: z.string(), isOwn: z.boolean(),
  /** What it is for. The user's own words have no code. */
  code: said.code.nullable(), text: z.string(),
});

const openedRecipe = z.strictObject({
  draft: draftSchema, notes: z.array(textSchema),
  /** The other trainer whose settings these were; null for a job of our own. */
  from: z.string().nullable(),
  /** Its settings that have no counterpart. */
  left: z.array(z.string()),
});

const ofDraft = z.strictObject({ projectId: idSchema, draft: draftSchema });

export const goals = ['style', 'fidelity', 'speed'] as const;

export const modelsApi = {
  'models.list': {
    input: z.strictObject({ refresh: z.boolean().default(false) }),
    /** `others`: files of weights that are neither checkpoints nor adapters, and those that cannot be read. */
    output: z.strictObject({ models: z.array(modelSchema), others: z.array(modelSchema), taskId: idSchema.nullable() }),
  },
  /** A picked file or folder becomes an entry of the lists, whatever it is. */
  'models.add': { input: z.strictObject({ fileId: idSchema }), output: modelSchema },
  'models.inspect': { input: byId, output: inspection },
  'adapters.list': {
    input: z.strictObject({ refresh: z.boolean().default(false) }),
    output: z.strictObject({ adapters: z.array(adapterSchema), taskId: idSchema.nullable() }),
  },
  'adapters.inspect': { input: byId, output: inspection },
  /** A picture without and one with this adapter at this strength; null while it is painted: ask again when the task is done. */
  'adapters.try': {
    input: z.strictObject({
      id: idSchema, modelId: idSchema, strength: z.number().min(-4).max(4), prompt: z.string().max(2000), negative: z.string().max(2000).default(''),
      seed: z.int().min(0).max(2 ** 32 - 1), steps: z.int().min(1).max(200).default(20), guidance: z.number().min(0).max(100).default(7), sampler: z.string().optional(),
    }),
    output: z.strictObject({ baseUrl: imageUrlSchema.nullable(), adaptedUrl: imageUrlSchema.nullable(), taskId: idSchema.nullable() }),
  },
  'catalog.describe': {
    input: nothing,
    output: z.strictObject({
      /** Every setting of a job except the model and the folders. */
      settings: z.array(settingSchema),
      adapters: z.array(choiceSchema), optimizers: z.array(choiceSchema), schedules: z.array(choiceSchema),
      objectives: z.array(choiceSchema), samplers: z.array(choiceSchema),
      /** Programs that read exports. */
      consumers: z.array(choiceSchema),
      /** JSON Schema of job files. */
      jobSchema: z.record(z.string(), z.unknown()),
    }),
  },
  'recipes.list': { input: nothing, output: z.strictObject({ recipes: z.array(recipeSchema) }) },
  'recipes.open': { input: byId, output: openedRecipe },
  /** A job file of the user's, or settings of another trainer. Errors: `recipe.*`, `import.*`. */
  'recipes.openFile': { input: z.strictObject({ fileId: idSchema }), output: openedRecipe },
  /** Never overwrites: a name that is taken gets a number. */
  'recipes.save': { input: z.strictObject({ projectId: idSchema, name: z.string().trim().min(1).max(80), text: z.string().max(400).default(''), draft: draftSchema }), output: recipeSchema },
  /** The user's own ones only. Error: `recipe.not-own`. */
  'recipes.remove': { input: byId, output: nothing },
  /** The answers to the three questions, and the positions of three sliders, as settings, each with its reason. */
  'recipes.recommend': {
    input: z.strictObject({
      projectId: idSchema,
      /** What the settings are put into; the project's draft if left out. */
      draft: draftSchema.optional(),
      /** Only what this answer decides; everything if left out. */
      only: z.enum(['consumer', 'intensity', 'fidelity', 'economy']).optional(),
      consumer: z.string(), goal: z.enum(goals),
      /** 0 weak, 0.5 usual, 1 strong. */
      intensity: z.number().min(0).max(1).default(0.5),
      /** 0 free, 1 close to the pictures; what suits the goal if left out. */
      fidelity: z.number().min(0).max(1).optional(),
      /** 0 fast with much memory, 1 with little memory; what suits the goal if left out. */
      economy: z.number().min(0).max(1).optional(),
    }),
    output: z.strictObject({
      draft: draftSchema,
      reasons: z.array(z.strictObject({ path: z.string(), value: z.unknown(), ...said })),
      /** Positions that were used. */
      fidelity: z.number(), economy: z.number(),
    }),
  },
  'job.validate': {
    input: ofDraft,
    output: z.strictObject({
      issues: z.array(z.strictObject({ path: z.string(), ...said })),
      /** Every default filled in; null with issues. */
      job: z.record(z.string(), z.unknown()).nullable(),
      /** The same as a .toml file. */
      toml: z.string().nullable(),
    }),
  },
  /**
   * Asks the trainer (seconds; minutes with a large model). Ends an earlier one of the project: that fails with `forecast.superseded`, or
   * `forecast.stopped`. With issues in the draft: error `job.invalid`.
   */
  'job.forecast': {
    input: ofDraft,
    output: z.strictObject({
      /** Bytes on the device while training, with what it is made of. */
      memory: z.number(), memoryParts: z.array(z.strictObject({ code: said.code, label: z.string(), bytes: z.number() })),
      /** Bytes free on the device, where known. */
      memoryFree: z.number().nullable(),
      secondsPerStep: z.number().nullable(), seconds: z.number().nullable(),
      /** Where the seconds come from, for people. */
      basis: textSchema,
      disk: z.number(), diskFree: z.number().nullable(),
      trained: count, frozen: count, pictures: count, epochs: z.number(),
      device: z.string(), warnings: z.array(textSchema),
      /** `tight`: more than is free now; `too-large`: more than there is. */
      verdict: z.enum(['fits', 'tight', 'too-large']),
      /** Whether a training with these settings is refused. */
      isRefused: z.boolean(),
      /** Settings by path that need less memory, and how much they would need. */
      changes: z.array(z.strictObject({ values: z.record(z.string(), z.union([z.number(), z.boolean(), z.string()])), memory: z.number(), fits: z.boolean() })),
    }),
  },
  'job.stopForecast': { input: z.strictObject({ projectId: idSchema }), output: nothing },
} as const;


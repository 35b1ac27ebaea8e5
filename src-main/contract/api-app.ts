// The program itself: version, settings, files, background work, doctor.

import { z } from 'zod';

import { byId, fileSchema, idSchema, nothing, taskSchema, count } from './api-parts.ts';
import { devices } from './devices.ts';
import { said } from './text.ts';

export const settingsSchema = z.strictObject({
  /** Folders in which checkpoints and adapters are looked for; in the browser also where files may be picked. */
  folders: z.array(fileSchema),
  device: z.enum(devices),
  theme: z.enum(['dark', 'light', 'system']),
  /** Draw without the graphics card and pause previews while training. Takes effect at the next start. */
  lowVram: z.boolean(),
  locale: z.string().max(35),
});
export type Settings = z.infer<typeof settingsSchema>;

export const deviceReportSchema = z.strictObject({
  name: z.string(), usable: z.boolean(),
  /** The doctor's sentence about it. */
  ...said,
  checks: z.array(z.strictObject({ name: z.string(), ok: z.boolean(), ...said })),
});

export const doctorReportSchema = z.strictObject({
  ok: z.boolean(), ...said, time: z.number(), devices: z.array(deviceReportSchema),
});
export type DoctorReport = z.infer<typeof doctorReportSchema>;

const browseEntrySchema = z.strictObject({
  id: idSchema, name: z.string(), kind: z.enum(['folder', 'file']), size: count,
  /** Pictures directly inside a folder; null where it was not counted. */
  pictures: count.nullable(),
});

export const pickKinds = ['folder', 'pictures', 'model', 'adapter', 'tagger', 'csv', 'recipe'] as const;

export const appApi = {
  'app.info': {
    input: nothing,
    output: z.strictObject({
      version: z.string(),
      mode: z.enum(['desktop', 'browser']),
      platform: z.string(),
      /** What trainings compute with; null until the trainer has been asked (a few seconds after the start). */
      device: z.string().nullable(),
      /** Where projects are made unless told otherwise; text. */
      projectsFolder: z.string(),
      cacheFolder: z.string(),
      /** Id in `models.list`; null when the assets are not there. */
      starterModelId: idSchema.nullable(),
      hasDemo: z.boolean(),
    }),
  },
  'settings.get': { input: nothing, output: settingsSchema },
  'settings.set': {
    input: z.strictObject({
      addFolders: z.array(idSchema).max(50).optional(),
      removeFolders: z.array(idSchema).max(50).optional(),
      device: settingsSchema.shape.device.optional(),
      theme: settingsSchema.shape.theme.optional(),
      lowVram: z.boolean().optional(),
      locale: settingsSchema.shape.locale.optional(),
    }),
    output: settingsSchema,
  },
  /**
   * Desktop: the system's dialog, with the window's words for its head and for the files of the kind. Browser: error
   * `files.no-dialog`; use files.roots and files.browse.
   */
  'files.pick': {
    input: z.strictObject({ kind: z.enum(pickKinds), many: z.boolean().default(false), title: z.string().max(200), filter: z.string().max(200) }),
    output: z.strictObject({ files: z.array(fileSchema) }),
  },
  /** Folders that the page may look into: the user's folders, home, projects. */
  'files.roots': { input: nothing, output: z.strictObject({ roots: z.array(fileSchema) }) },
  /** Folders, and files that fit `kind`; names that begin with a dot are left out. At most 2000 entries. */
  'files.browse': {
    input: z.strictObject({ id: idSchema, kind: z.enum(pickKinds) }),
    output: z.strictObject({
      folder: fileSchema, parent: fileSchema.nullable(), entries: z.array(browseEntrySchema), truncated: z.boolean(),
    }),
  },
  /** Desktop: shows it in the system's file manager. Browser: `shown` false and the path as text to copy. */
  'files.reveal': { input: byId, output: z.strictObject({ shown: z.boolean(), path: z.string() }) },
  'tasks.list': { input: nothing, output: z.strictObject({ tasks: z.array(taskSchema) }) },
  'tasks.cancel': { input: z.strictObject({ taskId: idSchema }), output: nothing },
  /** The last report, and with `again` or without a report the task that makes a new one. */
  'doctor.run': {
    input: z.strictObject({ again: z.boolean().default(false) }),
    output: z.strictObject({ report: doctorReportSchema.nullable(), taskId: idSchema.nullable() }),
  },
} as const;

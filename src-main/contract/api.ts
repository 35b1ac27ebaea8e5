// Everything that a window may ask of the app, and what the app tells without being asked. One object: the transports
// (WebSocket, Electron) validate by it, the page gets its types from it.

import { z } from 'zod';

import { appApi, settingsSchema } from './api-app.ts';
import { compareApi } from './api-compare.ts';
import { dataApi } from './api-data.ts';
import { exportApi } from './api-export.ts';
import { modelsApi } from './api-models.ts';
import { idSchema, taskSchema } from './api-parts.ts';
import { projectsApi } from './api-projects.ts';
import { queueSchema, runSchema, runsApi } from './api-runs.ts';
import { trainEventSchema } from './events.ts';

export const api = { ...appApi, ...projectsApi, ...dataApi, ...modelsApi, ...runsApi, ...compareApi, ...exportApi } as const;

export const events = {
  /** An event of a trainer, at most ten steps a second. In `sample` events `file` is an image URL; paths are names only. */
  'run.event': z.strictObject({ runId: idSchema, event: trainEventSchema }),
  /** A run changed its state (paused, crashed, finished, ...). */
  'run.changed': runSchema,
  'queue.changed': queueSchema,
  'task.progress': taskSchema,
  'data.changed': z.strictObject({ projectId: idSchema, revision: z.int() }),
  'settings.changed': settingsSchema,
} as const;

export type Api = typeof api;
export type Method = keyof Api;
/** What a caller gives: defaults may be left out. */
export type Input<Name extends Method> = z.input<Api[Name]['input']>;
/** What a handler gets: defaults filled in. */
export type Given<Name extends Method> = z.output<Api[Name]['input']>;
export type Output<Name extends Method> = z.output<Api[Name]['output']>;
export type EventName = keyof typeof events;
export type EventData<Name extends EventName> = z.output<(typeof events)[Name]>;
export type { Analysis, Run, RunStateName, Sample } from './api-runs.ts';
export type { RenderItem } from './api-compare.ts';
export type { AdapterEntry, ModelEntry, SettingDescription } from './api-models.ts';
export type { DoctorReport, Settings } from './api-app.ts';
export type { ExportEntry } from './api-export.ts';
export type { FileRef, Problem, Task } from './api-parts.ts';
export type { Item, ItemFilter, ItemFlag } from './api-data.ts';
export type { Draft, Project } from './api-projects.ts';

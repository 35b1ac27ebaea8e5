// Runs: the queue, what happens in them, and comparing what they learnt.

import { z } from 'zod';

import { count, idSchema, imageUrlSchema, nothing, problemSchema } from './api-parts.ts';
import { trainEventSchema } from './events.ts';

export const runStates = [
  'queued', 'preparing', 'running', 'pausing', 'paused', 'stopping',
  /** Stopped by the user or a quit, or found so on disk; can be resumed. */
  'interrupted',
  'finished',
  /** An error that the trainer could explain; can be resumed when there is a checkpoint. */
  'failed',
  /** The trainer process died; can be resumed. */
  'crashed',
] as const;
export type RunStateName = (typeof runStates)[number];

export const runSchema = z.strictObject({
  id: idSchema, projectId: idSchema, name: z.string(), state: z.enum(runStates),
  /** Milliseconds since 1970. */
  created: z.number(),
  step: count, total: count,
  /** Kind of adapter, model, device; for people. */
  adapter: z.string(), model: z.string(), device: z.string(),
  loss: z.number().nullable(),
  /** Loss at fixed noise: first and last. */
  firstProbe: z.number().nullable(), lastProbe: z.number().nullable(),
  /** Seconds of training so far; null where it was not measured. */
  seconds: z.number().nullable(),
  /** Last saved step; null: none. */
  checkpoint: count.nullable(),
  lastSample: imageUrlSchema.nullable(),
  canResume: z.boolean(),
  /** Position in the queue from 1; null when it does not wait. */
  queue: count.nullable(),
  /** Why it failed or crashed. */
  problem: problemSchema.nullable(),
});
export type Run = z.infer<typeof runSchema>;

const ofRun = z.strictObject({ runId: idSchema });
const command = { input: ofRun, output: runSchema } as const;

export const sampleSchema = z.strictObject({
  step: count, url: imageUrlSchema, prompt: z.string(), seed: z.number(),
  /** Position of the prompt in preview.prompts. */
  index: count,
});
export type Sample = z.infer<typeof sampleSchema>;

const summary = z.strictObject({
  points: count, correlation: z.number().nullable(), relativeCorrelation: z.number().nullable(),
  slope: z.number().nullable(), relativeSlope: z.number().nullable(),
});

const analysisSchema = z.strictObject({
  steps: z.array(count), adapter: z.string(), summary, kinds: z.record(z.string(), summary),
  /** Change of a layer up to a step: direction (1 - cosine), magnitude, magnitude relative to the layer's mean. */
  points: z.array(z.strictObject({
    layer: z.string(), step: count, direction: z.number(), magnitude: z.number(), relativeMagnitude: z.number(),
  })),
});
export type Analysis = z.infer<typeof analysisSchema>;

/**
 * The run at work (if any), those that were paused, those that wait, and which of these wait for `runs.goOn`: because they were left
 * from an earlier session, or because one before them was paused.
 */
export const queueSchema = z.strictObject({ active: runSchema.nullable(), paused: z.array(runSchema), waiting: z.array(runSchema), held: z.array(idSchema) });

export const runsApi = {
  /**
   * Checks the draft and queues a run; it starts when none is at work. Error `job.invalid` with `details.issues`,
   * `data.nothing`, `project.no-model`.
   */
  'runs.start': {
    input: z.strictObject({ projectId: idSchema, draft: z.record(z.string(), z.unknown()), name: z.string().trim().min(1).max(100).optional() }),
    output: runSchema,
  },
  /** All runs of a project, or of all listed projects; newest first. */
  'runs.list': { input: z.strictObject({ projectId: idSchema.optional() }), output: z.strictObject({ runs: z.array(runSchema) }) },
  'runs.queue': { input: nothing, output: queueSchema },
  /** Starts the runs that are held. */
  'runs.goOn': { input: nothing, output: nothing },
  /** Takes them off the queue instead; runs that had begun keep their folders. */
  'runs.forget': { input: nothing, output: nothing },
  /**
   * What a page needs to fold from: all events but steps, and at most `maxSteps` of those, evenly thinned. Then listen
   * to run.event and leave out events with seq <= lastSeq, `phase` events excepted (they are not logged).
   */
  'runs.snapshot': {
    input: z.strictObject({ runId: idSchema, maxSteps: z.int().min(10).max(20000).default(2000) }),
    output: z.strictObject({
      run: runSchema, events: z.array(trainEventSchema),
      /** The last progress of preparations, while there is any. */
      phase: trainEventSchema.nullable(),
      /** -1: no event yet. */
      lastSeq: z.int().min(-1),
      draft: z.record(z.string(), z.unknown()),
    }),
  },
  /** Logged events with seq >= fromSeq, at most 5000. */
  'runs.events': {
    input: z.strictObject({ runId: idSchema, fromSeq: count }),
    output: z.strictObject({ events: z.array(trainEventSchema), more: z.boolean() }),
  },
  /** Saves and gives the device back. Runs behind it are held until it is resumed or stopped, or until `runs.goOn`. */
  'runs.pause': command,
  /** A paused run goes before those that wait; one that was interrupted, failed or crashed is queued again. */
  'runs.resume': command,
  /** Saves and ends. A run that waits leaves the queue. */
  'runs.stop': command,
  'runs.sampleNow': command,
  /** Takes a waiting run off the queue; its folder was not made yet. Other runs: error `runs.not-queued`. */
  'runs.remove': { input: ofRun, output: nothing },
  /** Moves a waiting run to a position from 1. */
  'runs.move': { input: z.strictObject({ runId: idSchema, position: z.int().min(1) }), output: nothing },
  'runs.samples': { input: ofRun, output: z.strictObject({ samples: z.array(sampleSchema) }) },
  'runs.checkpoints': {
    input: ofRun,
    output: z.strictObject({
      checkpoints: z.array(z.strictObject({ step: count, bytes: count, probe: z.number().nullable() })),
      /** Marked by the user; exports take it. */
      chosen: count.nullable(),
      /** The one with the lowest loss at fixed noise; null where nothing was measured. */
      suggested: count.nullable(),
    }),
  },
  /** Magnitude and direction of all checkpoints. With `taskId` a newer analysis is being made: ask again when it is done. */
  'runs.magnitude': { input: ofRun, output: z.strictObject({ analysis: analysisSchema.nullable(), taskId: idSchema.nullable() }) },
} as const;

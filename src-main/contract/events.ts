// What a training process tells the world. One event is one line of a run's events.jsonl and of `--json` output.

import { z } from 'zod';

const step = z.int().nonnegative();
const count = z.int().nonnegative();
/** A number that may be missing because it was not finite; JSON has no NaN. */
const measured = z.number().nullable();

const stamp = {
  /** 0, 1, 2, ... within a run; goes on after a resume. */
  seq: count,
  /** Wall clock, milliseconds since 1970; for people only, nothing is computed from it. */
  time: z.number(),
};

const forecastAmount = z.strictObject({ bytes: z.number(), free: z.number().nullable(), total: z.number().nullable() });

const event = <Kind extends string, Shape extends z.ZodRawShape>(kind: Kind, shape: Shape) =>
  z.strictObject({ kind: z.literal(kind), ...stamp, ...shape });

export const trainEventSchema = z.discriminatedUnion('kind', [
  event('started', {
    job: z.strictObject({
      name: z.string(), task: z.string(), model: z.string(), family: z.string(), adapter: z.string(),
      optimizer: z.string(), images: count, steps: count, batch: count, seed: z.number(),
    }),
    /** First step of this process: 0, or the step that a resume goes on from. */
    fromStep: step,
    device: z.string(),
    dtype: z.string(),
    parameters: z.strictObject({ trained: count, frozen: count, tensors: count }),
    /** Of the program and of what its result depends on. */
    versions: z.record(z.string(), z.string()).optional(),
  }),
  /** What the run will need, before it begins; again with times once some steps have been made. Bytes and seconds. */
  event('forecast', {
    /** `tight`: more than is free now; `too-large`: more than there is. */
    verdict: z.enum(['fits', 'tight', 'too-large']),
    text: z.string(),
    memory: z.strictObject({ host: forecastAmount, device: forecastAmount.nullable(), parts: z.array(z.strictObject({ label: z.string(), bytes: z.number() })) }),
    disk: z.strictObject({ bytes: z.number(), free: z.number(), parts: z.array(z.strictObject({ label: z.string(), bytes: z.number() })) }),
    /** Null before anything was timed. `total` is of all that trains, measures and paints. */
    seconds: z.strictObject({ step: z.number(), probe: z.number(), preview: z.number(), total: z.number() }).nullable(),
    /** Settings that would make it fit, each alone, and together the last. Empty when it fits. */
    changes: z.array(z.strictObject({ settings: z.array(z.string()), values: z.record(z.string(), z.union([z.number(), z.boolean(), z.string()])).default({}), host: z.number(), device: z.number().nullable(), fits: z.boolean() })),
  }),
  /** `about`: what it is done with or to, where there are several. */
  event('phase', { name: z.string(), about: z.string().optional(), done: count, total: count, unit: z.string() }),
  event('step', {
    step, total: step,
    loss: measured,
    /** Learning rate that the step was made with: the schedule's, or the optimizer's own where it ignores that. */
    lr: z.number(),
    /** L2 norm over all trained tensors, before clipping. */
    gradNorm: measured,
    /** L2 norm of the change of all trained tensors, at the steps where it was measured. */
    updateNorm: measured.optional(),
    secondsPerStep: z.number(),
    /** Seconds until the last step. */
    eta: z.number(),
    /** True when the update was left out because a gradient was not finite. */
    skipped: z.boolean().optional(),
    /** Factor of dynamic loss scaling, where it is in use. */
    lossScale: z.number().optional(),
  }),
  /** Loss at fixed noise and fixed timesteps, so that two of them can be compared. */
  event('probe', { step, loss: measured }),
  event('sample', { step, file: z.string(), prompt: z.string(), seed: z.number() }),
  event('checkpoint', { step, path: z.string() }),
  event('verdict', {
    name: z.string(), about: z.string().optional(), step: step.optional(), ok: z.boolean(), text: z.string(), data: z.record(z.string(), z.unknown()),
  }),
  /** Bytes: of the process, and of the device where it can be known. */
  event('memory', { step, rss: count, peakRss: count, device: count.optional() }),
  event('warning', { code: z.string(), text: z.string(), data: z.record(z.string(), z.unknown()).optional() }),
  event('paused', { step }),
  event('resumed', { step }),
  event('failed', { code: z.string(), text: z.string(), data: z.record(z.string(), z.unknown()).optional() }),
  event('interrupted', { step, path: z.string().nullable() }),
  /** What a command that does not train has found out. */
  event('result', { command: z.string(), ok: z.boolean(), data: z.unknown() }),
  event('finished', { step, seconds: z.number(), loss: measured, files: z.array(z.string()) }),
]);

export type TrainEvent = z.infer<typeof trainEventSchema>;
export type TrainEventKind = TrainEvent['kind'];
export type TrainEventOf<Kind extends TrainEventKind> = Extract<TrainEvent, { kind: Kind }>;

type WithoutStamp<Event> = Event extends unknown ? Omit<Event, keyof typeof stamp> : never;
/** An event before the log gives it `seq` and `time`. */
export type TrainEventBody = WithoutStamp<TrainEvent>;

/** One line of events.jsonl, without the line end. Numbers that are not finite must have been made null before. */
export function eventLine(value: TrainEvent): string {
  return JSON.stringify(value);
}

/** Reads one line of events.jsonl; null when it is not a whole event (the torn last line of a killed run). */
export function parseEventLine(line: string): TrainEvent | null {
  let raw: unknown;
  try {
    raw = JSON.parse(line);
  } catch {
    return null;
  }
  const parsed = trainEventSchema.safeParse(raw);
  return parsed.success ? parsed.data : null;
}

/** NaN and infinities as null, so that they survive JSON. */
export function measuredNumber(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

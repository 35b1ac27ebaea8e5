// What of an event log counts. A run that was killed and resumed trains the steps after its last checkpoint again: the log,
// which is append-only, then tells of them twice, and only the newest telling is what the run became.
import type { TrainEvent, TrainEventBody } from './events.ts';

type Stepped = Extract<TrainEventBody, { step?: number }>;

/** Kinds of events that belong to the work at their step, and are void when the step is done again. */
const WORK: ReadonlySet<TrainEventBody['kind']> = new Set<Stepped['kind']>(['step', 'probe', 'sample', 'checkpoint', 'verdict', 'memory']);

/** Whether a process that starts from `fromStep` does the work at `step` again. A start at 0 does all again. */
export const isDoneAgain = (step: number, fromStep: number): boolean => step > fromStep || fromStep === 0;

/** Whether an earlier event is void once a process starts from `fromStep`. */
export function isSuperseded(event: TrainEventBody, fromStep: number): boolean {
  if (!WORK.has(event.kind)) return false;
  const step = (event as { readonly step?: number }).step;
  return step !== undefined && isDoneAgain(step, fromStep);
}

/**
 * The events that count, in the order of the log: each step, probe and so on once, the newest telling of it. Everything
 * that reads a log to show, draw or sum up a course takes it from here.
 */
export function courseOf<Event extends TrainEventBody | TrainEvent>(log: readonly Event[]): Event[] {
  const kept: Event[] = [];
  // From the end: what comes later decides.
  let least = Infinity;
  const seen = new Set<string>();
  for (let at = log.length - 1; at >= 0; at--) {
    const event = log[at]!;
    if (least !== Infinity && isSuperseded(event, least)) continue;
    // A log without its starts (cut by hand, or of a program that did not write them) still shows a step once.
    if (event.kind === 'step' || event.kind === 'probe') {
      const name = `${event.kind} ${event.step}`;
      if (seen.has(name)) continue;
      seen.add(name);
    }
    kept.push(event);
    if (event.kind === 'started') least = Math.min(least, event.fromStep);
  }
  return kept.reverse();
}

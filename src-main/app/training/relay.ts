// Events on their way from a trainer to windows: images by URL, files by name, not more often than eyes can follow.

import { basename } from 'node:path';

import type { TrainEvent } from '../../contract/events.ts';
import type { Ids } from '../ids.ts';

/** Milliseconds between two events of progress; the others all go out. */
const INTERVAL = 90;

/** An event as a window gets it. */
export function forWindow(event: TrainEvent, ids: Ids): TrainEvent {
  switch (event.kind) {
    case 'sample': return { ...event, file: ids.image(event.file) };
    case 'checkpoint': return { ...event, path: basename(event.path) };
    case 'finished': return { ...event, files: event.files.map((file) => basename(file)) };
    case 'interrupted': return { ...event, path: event.path === null ? null : basename(event.path) };
    default: return event;
  }
}

/** Tells whether an event of progress is due; one function for each run. Steps that measured more are not lost in between. */
export function createThrottle(now: () => number): (event: TrainEvent) => boolean {
  let sentAt = -Infinity;
  let measuredAt = -Infinity;
  return (event) => {
    const isLast = (event.kind === 'phase' && event.done >= event.total) || (event.kind === 'step' && event.step >= event.total);
    if ((event.kind !== 'phase' && event.kind !== 'step') || isLast) return true;
    const hasMore = event.kind === 'step' && event.updateNorm !== undefined;
    if (now() - (hasMore ? measuredAt : sentAt) < INTERVAL) return false;
    sentAt = now();
    if (hasMore) measuredAt = now();
    return true;
  };
}

/** At most `most` steps, evenly thinned, and everything else. The last step stays; of neighbours those that measured more. */
export function thinned(events: readonly TrainEvent[], most: number): TrainEvent[] {
  const steps = events.filter((event) => event.kind === 'step');
  if (steps.length <= most) return [...events];
  const kept = new Map<number, TrainEvent>();
  for (const [index, event] of steps.entries()) {
    const place = Math.floor((index * most) / steps.length);
    if (!kept.has(place) || event.updateNorm !== undefined || index === steps.length - 1) kept.set(place, event);
  }
  const chosen = new Set(kept.values());
  return events.filter((event) => event.kind !== 'step' || chosen.has(event));
}

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

/** Tells whether an event of progress is due; one function for each run. */
export function createThrottle(now: () => number): (event: TrainEvent) => boolean {
  let sentAt = -Infinity;
  return (event) => {
    const isLast = (event.kind === 'phase' && event.done >= event.total) || (event.kind === 'step' && event.step >= event.total);
    if ((event.kind !== 'phase' && event.kind !== 'step') || isLast) return true;
    if (now() - sentAt < INTERVAL) return false;
    sentAt = now();
    return true;
  };
}

/** At most `most` steps, evenly thinned, and everything else. The last step stays. */
export function thinned(events: readonly TrainEvent[], most: number): TrainEvent[] {
  const steps = events.filter(({ kind }) => kind === 'step').length;
  if (steps <= most) return [...events];
  let index = -1;
  return events.filter(({ kind }) => {
    if (kind !== 'step') return true;
    index++;
    return index === steps - 1 || Math.floor((index * most) / steps) !== Math.floor(((index - 1) * most) / steps);
  });
}
